import { type Dimension, type Filter, type TimeRange, type TopRow, unknownValue } from '../store.ts'
import { countItems, largest } from './counting.ts'
import { checkKept, type SeenColumn, type SeenRow, visitSeen } from './seen.ts'
import type { Session } from './session.ts'
import type { QuestionRecounting } from './tallies.ts'

/** The values with most events; items come from the tallies, the rest from the rows. */
export async function findTop(
  session: Session,
  dimension: Dimension,
  range: TimeRange,
  filter: Filter,
  limit: number,
  recounting: QuestionRecounting,
): Promise<TopRow[]> {
  if (dimension === 'itemId') {
    return largest(await countItems(session, range, filter, recounting), limit)
  }
  const [columns, derive] = dimensions[dimension]
  const counts = new Map<string, number>()
  await visitSeen(session, range, filter, columns, (row) => {
    const value = derive(row)
    if (value === undefined) return
    counts.set(value, (counts.get(value) ?? 0) + 1)
    checkKept(counts.size, 'values')
  })
  return largest(counts, limit)
}

/** What to select, and what it comes to: undefined where the event has no part. */
type Derivation = readonly [
  columns: readonly SeenColumn[],
  derive: (row: SeenRow) => string | undefined,
]

const dimensions: Readonly<Record<Exclude<Dimension, 'itemId'>, Derivation>> = {
  page: [['url'], ({ location }) => pageOf(location)],
  referrer: [['url', 'referer'], ({ location, referer }) => referrerOf(location, referer)],
  country: [['country'], ({ country }) => country ?? unknownValue],
  device: [['agent'], ({ agent }) => agent.deviceCategory ?? unknownValue],
  browser: [['agent'], ({ agent }) => agent.name ?? unknownValue],
  system: [['agent'], ({ agent }) => agent.osFamily ?? unknownValue],
}

function pageOf(location: string | null): string | undefined {
  const page = location?.split('#', 1)[0]?.split('?', 1)[0]
  return page !== undefined && /^https?:\/\/[^/]/i.test(page) ? page : undefined
}

function referrerOf(location: string | null, referer: string | null): string | undefined {
  if (referer === null) return
  const [scheme = '', , authority = ''] = referer.split('/', 3)
  if (!/^https?:$/i.test(scheme) || !referer.startsWith('//', scheme.length)) return
  const host = hostOf(authority)
  return host === '' || host === hostOf(location?.split('/', 3)[2] ?? '') ? undefined : host
}

/** The host in `user@host:port?query`. */
function hostOf(authority: string): string {
  const match = /^(?:[^?#]*@)?(\[[^\]?#]*\]|[^:?#]*)/.exec(authority.toLowerCase())
  return match?.[1] ?? ''
}
