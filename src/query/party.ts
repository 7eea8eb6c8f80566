import { parseIdentifier } from '../event/identity.ts'
import {
  type EventCursor,
  type Extent,
  type Filter,
  sessionGapMs,
  type TimeRange,
} from '../store/store.ts'
import { askEvents, readPlace } from './events.ts'
import {
  type EventRow,
  filterParameters,
  invalid,
  type ParameterNotes,
  parseChoice,
  parseLimit,
  parseRange,
  type QueryContext,
  type QueryStore,
  rangeDaysMax,
  rangeParameters,
  readParameters,
} from './query.ts'
import { questionKey } from './token.ts'

/** One party's way: its events in a range, session by session, newest first. */
export interface PartyQuestion {
  readonly partyId: string
  readonly range: TimeRange
  readonly filter: Filter
  /** Most sessions of one page. */
  readonly limit: number
  /** Most events of one page. */
  readonly rowsMax: number
  readonly after: EventCursor | undefined
  readonly key: string
}

/** A run of events with no gap of more than 30 minutes, as far as it lies in the range. */
export interface Session {
  /** In the order of their time, at least one. */
  readonly events: readonly EventRow[]
}

export interface PartyPage {
  /** Of the whole range, not of the page. */
  readonly extent: Extent
  /** Newest first. */
  readonly sessions: readonly Session[]
  /** The event after which the next page goes on, or undefined when nothing follows. */
  readonly last: EventRow | undefined
}

const limitDefault = 20
const limitMax = 1_000
/** Most characters of one page, about. */
const charactersMax = 16 * 1024 * 1024
const partyCharactersMax = 1_024

export const partyParameters = {
  ...rangeParameters,
  // A way that began before some day is not to be asked for twice: all of it, page by page.
  last: { ...rangeParameters.last, default: `${rangeDaysMax}d` },
  bots: { ...filterParameters.bots, default: 'include' },
  limit: {
    description: `Most sessions in the answer, at most ${limitMax}`,
    type: 'integer',
    default: limitDefault,
  },
  after: { description: 'Go on from here: `next` of the answer before', type: 'string' },
} as const satisfies ParameterNotes

/**
 * @param party as it stands in the path, decoded
 * @throws MillraceError `question_invalid`, `question_too_large`, `token_foreign`
 */
export function parseParty(party: string, queryText: string, context: QueryContext): PartyQuestion {
  if (party === '') throw invalid('the party is empty')
  if (party.length > partyCharactersMax) {
    throw invalid(`the party is longer than ${partyCharactersMax} characters`)
  }
  const parameters = readParameters(queryText, partyParameters)
  const partyId = parseIdentifier(party) ?? party
  const bots = parseChoice(parameters, 'bots', partyParameters.bots.enum) ?? 'include'
  const asked = ['last', 'from', 'to'].map((name) => parameters.get(name) ?? null)
  const key = questionKey('party', [asked, partyId, bots])
  const token = parameters.get('after')
  const place =
    token === undefined
      ? {
          range: parseRange(parameters, context.clock(), partyParameters.last.default),
          after: undefined,
        }
      : readPlace(key, token)
  return {
    partyId,
    filter: { bots, partyId },
    limit: parseLimit(parameters, limitMax, '; go on with after=') ?? limitDefault,
    rowsMax: context.rowsMax,
    key,
    ...place,
  }
}

/**
 * One page. It ends between two sessions, before it has more than `rowsMax` events; a single
 * session of more is given in parts, a page each.
 */
export async function askParty(store: QueryStore, question: PartyQuestion): Promise<PartyPage> {
  const extent = await store.extent(question.range, question.filter)
  const { sessions, isEnd } = await readSessions(store, question)
  // The last one may be cut: it is for the next page, unless this page would be empty without it.
  const whole = isEnd || sessions.length === 1 ? sessions : sessions.slice(0, -1)
  return {
    extent,
    sessions: whole.map((newestFirst) => ({ events: newestFirst.toReversed() })),
    last: isEnd ? undefined : whole.at(-1)?.at(-1),
  }
}

/** Sessions, newest first, of events, newest first; the first event of one more than the limit too. */
async function readSessions(
  store: QueryStore,
  question: PartyQuestion,
): Promise<{ sessions: EventRow[][]; isEnd: boolean }> {
  const { limit, rowsMax } = question
  const sessions: EventRow[][] = []
  let rows = 0
  let characters = 0
  let before = Number.NEGATIVE_INFINITY
  const backwards = { ...question, order: 'desc', limit: undefined } as const
  for await (const chunk of askEvents(store, backwards, rowsMax + 1)) {
    for (const row of chunk) {
      if (rows === rowsMax || characters > charactersMax) return { sessions, isEnd: false }
      if (sessions.length === 0 || before - row.eventTime > sessionGapMs) sessions.push([])
      if (sessions.length > limit) return { sessions, isEnd: false }
      sessions.at(-1)?.push(row)
      rows++
      characters += charactersOf(row)
      before = row.eventTime
    }
  }
  return { sessions, isEnd: true }
}

/** What an event takes in an answer, about; only texts without a limit of their own matter. */
function charactersOf({ parameters, location, referer, userAgent }: EventRow): number {
  const texts = [parameters, location, referer, userAgent]
  return texts.reduce((sum, text) => sum + (text?.length ?? 0), 1_000)
}
