import { dayMs, dayOf } from '../../lib/clock.ts'
import type { AccountingRow, Filter, TimeRange } from '../store.ts'
import { scanDeadLetters } from './dead-letters.ts'
import { scanAll } from './scan.ts'
import { checkKept } from './seen.ts'
import { type CqlRow, type Session, timeOf } from './session.ts'

/** How long before and after the range the events of a page view are looked for. */
const pageViewMsMax = 7 * dayMs

/** The highest number that says how many events came before it. */
const sequenceMax = 10_000

/** A page view that the tag has numbered within its load; see tag/pageviews.ts. */
const numbered = /^(.+)\.(0|[1-9a-f][0-9a-f]{0,3})\.$/s

interface PageView {
  began: number
  /** Sequences, some perhaps twice. */
  numbers: number[]
}

/** What became of what was sent, by day. */
export async function accountFor(
  session: Session,
  range: TimeRange,
  { bots }: Pick<Filter, 'bots'>,
): Promise<AccountingRow[]> {
  const days = new Map<string, { -readonly [Key in keyof AccountingRow]: AccountingRow[Key] }>()
  const dayAt = (time: number): NonNullable<ReturnType<typeof days.get>> => {
    const day = dayOf(time)
    const row = days.get(day) ?? { day, stored: 0, missing: 0, repeated: 0, rejected: 0 }
    days.set(day, row)
    return row
  }
  const isWithin = (time: number): boolean => time >= range.from && time < range.to
  const pageViews = new Map<string, PageView>()
  const wider = { from: range.from - pageViewMsMax, to: range.to + pageViewMsMax }
  const columns = 'page_view_id, sequence, receipts'
  await scanAll(session, { range: wider, filter: { bots }, columns }, (rows) => {
    for (const row of rows) {
      const eventTime = timeOf(row['event_date'])
      addToPageView(pageViews, row, eventTime)
      if (!isWithin(eventTime)) continue
      const day = dayAt(eventTime)
      day.stored++
      day.repeated += (row['receipts'] as unknown[]).length - 1
    }
    checkKept(pageViews.size, 'page views')
  })
  for (const { began, numbers } of [...pageViews.values(), ...loadsOf(pageViews).values()]) {
    const missing = Math.max(...numbers) + 1 - new Set(numbers).size
    if (missing > 0 && isWithin(began)) dayAt(began).missing += missing
  }
  for await (const letters of scanDeadLetters(session, range)) {
    for (const { receivedAt, isWaiting } of letters) if (isWaiting) dayAt(receivedAt).rejected++
  }
  return [...days.values()].sort((a, b) => (a.day < b.day ? -1 : 1))
}

/** Of each load of a page the numbers of its page views: one that is missing whole is one event. */
function loadsOf(pageViews: ReadonlyMap<string, PageView>): Map<string, PageView> {
  const loads = new Map<string, PageView>()
  for (const [key, { began }] of pageViews) {
    const [, load = '', hex = ''] = numbered.exec(key) ?? []
    const number = Number.parseInt(hex, 16)
    if (!(number <= sequenceMax)) continue
    const known = loads.get(load)
    if (known === undefined) loads.set(load, { began, numbers: [number] })
    else {
      known.began = Math.min(known.began, began)
      known.numbers.push(number)
    }
  }
  return loads
}

function addToPageView(pageViews: Map<string, PageView>, row: CqlRow, eventTime: number): void {
  const sequence = row['sequence'] as number | null
  if (sequence === null || sequence < 0 || sequence > sequenceMax) return
  const name = pageViewOf(row['event_id'], row['page_view_id'], sequence)
  if (name === null) return
  const key = `${row['click_stream_cookie_id']}\n${name}`
  const pageView = pageViews.get(key)
  if (pageView === undefined) {
    pageViews.set(key, { began: eventTime, numbers: [sequence] })
    return
  }
  pageView.began = Math.min(pageView.began, eventTime)
  pageView.numbers.push(sequence)
  if (pageView.numbers.length > 3 * sequenceMax) pageView.numbers = [...new Set(pageView.numbers)]
}

/** As the event id names it: without the counter at its end, which is `sequence` in hex. */
function pageViewOf(eventId: string, pageViewId: string | null, sequence: number): string | null {
  if (pageViewId === null || !eventId.startsWith(pageViewId)) return pageViewId
  return eventId.slice(0, eventId.length - sequence.toString(16).length)
}
