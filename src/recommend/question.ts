import { MillraceError } from '../event/error.ts'
import { nearest } from '../lib/settings.ts'
import { invalid, type ParameterNotes, quote } from '../query/query.ts'
import { limitMax } from './recommend.ts'

/** What may be asked over HTTP, and how it is read. */
export interface RecommendQuestion {
  /** Of the session, in the order of the clicks, the current one last. */
  readonly items: readonly string[]
  /** A session id as the tag sends it: what is known of that session comes before `items`. */
  readonly sessionId?: string
  /** On the private API only. */
  readonly partyId?: string
  readonly limit: number
  readonly exclude: readonly string[]
}

export const recommendParameters = {
  item: {
    description: 'An item of the session; again for each, in the order of the clicks',
    type: 'string',
  },
  session: { description: 'Session id: its clicks come before the given items', type: 'string' },
  limit: {
    description: `Most items in the answer, at most ${limitMax}`,
    type: 'integer',
    default: 10,
  },
  exclude: { description: 'An item not to return; again for each', type: 'string' },
} as const satisfies ParameterNotes

export const partyRecommendParameters = {
  party: { description: 'Party id: the clicks of its last session come first', type: 'string' },
  ...recommendParameters,
} as const satisfies ParameterNotes

const limitDefault: number = recommendParameters.limit.default
/** Longest text of one parameter, in characters, as the collector keeps items and ids. */
const textCharactersMax = 256
const itemsMax = 100
const excludeMax = 1_000

/**
 * Reads a query string (without `?`) strictly, or the body of a POST.
 * @param known `partyRecommendParameters` where a party may be asked about
 * @throws MillraceError `question_invalid`
 */
export function parseRecommend(queryText: string, known: ParameterNotes): RecommendQuestion {
  const values = new Map<string, string[]>()
  for (const pair of queryText.split('&')) {
    if (pair === '') continue
    const equals = pair.indexOf('=')
    const name = decode(equals < 0 ? pair : pair.slice(0, equals))
    if (!Object.hasOwn(known, name)) {
      throw invalid(`unknown parameter ${quote(name)}${nearest(name, Object.keys(known))}`)
    }
    const value = equals < 0 ? '' : decode(pair.slice(equals + 1))
    const before = values.get(name)
    if (before === undefined) values.set(name, [value])
    else before.push(value)
  }
  const [limit] = one(values, 'limit')
  return questionOf({
    items: values.get('item') ?? [],
    exclude: values.get('exclude') ?? [],
    session: one(values, 'session')[0],
    party: one(values, 'party')[0],
    limit: limit === undefined ? undefined : numberOf(limit),
  })
}

/** @throws MillraceError `body_not_json`, `question_invalid` */
export function parseRecommendBody(body: string): RecommendQuestion {
  try {
    return readRecommendBody(JSON.parse(body))
  } catch (thrown) {
    if (!(thrown instanceof SyntaxError)) throw thrown
    throw new MillraceError('body_not_json', thrown.message, { cause: thrown })
  }
}

/**
 * Reads what stands in a body.
 * @param names members beside `items`, `session`, `limit` and `exclude`
 * @throws MillraceError `question_invalid`
 */
export function readRecommendBody(
  value: unknown,
  names: readonly 'party'[] = [],
): RecommendQuestion {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid('the body is an object such as {"items": ["a"], "limit": 10}')
  }
  const known = ['items', 'session', 'limit', 'exclude', ...names]
  const unknown = Object.keys(value).find((name) => !known.includes(name))
  if (unknown !== undefined) {
    throw invalid(`unknown member ${quote(unknown)}${nearest(unknown, known)}`)
  }
  const given = value as Readonly<Record<string, unknown>>
  const { items = [], exclude = [], session, party, limit } = given
  return questionOf({ items, exclude, session, party, limit })
}

interface GivenQuestion {
  readonly items: unknown
  readonly exclude: unknown
  readonly session: unknown
  readonly party: unknown
  readonly limit: unknown
}

function questionOf({ items, exclude, session, party, limit }: GivenQuestion): RecommendQuestion {
  return {
    items: textsOf('items', items, itemsMax),
    exclude: textsOf('exclude', exclude, excludeMax),
    limit: limitOf(limit ?? limitDefault),
    ...(session !== undefined && { sessionId: textOf('session', session) }),
    ...(party !== undefined && { partyId: textOf('party', party) }),
  }
}

function one(values: ReadonlyMap<string, readonly string[]>, name: string): readonly string[] {
  const given = values.get(name) ?? []
  if (given.length > 1) throw invalid(`${name} is given twice`)
  return given
}

function numberOf(text: string): number {
  return /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
}

function limitOf(value: unknown): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1) {
    throw invalid(`limit is a number from 1 to ${limitMax}`)
  }
  if (value > limitMax) throw invalid(`limit is at most ${limitMax}, not ${value}`)
  return value
}

function textsOf(name: string, value: unknown, countMax: number): readonly string[] {
  if (!Array.isArray(value)) throw invalid(`${name} is a list of item ids`)
  if (value.length > countMax) throw invalid(`${name} has more than ${countMax} entries`)
  return value.map((text) => textOf(name, text))
}

function textOf(name: string, value: unknown): string {
  if (typeof value !== 'string' || value === '') throw invalid(`${name} has an empty or no text`)
  if (value.length > textCharactersMax) {
    throw invalid(`${name} has a text of more than ${textCharactersMax} characters`)
  }
  return value
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    throw invalid(`broken percent escape in ${quote(text)}`)
  }
}
