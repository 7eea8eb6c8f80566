import { inspect, isDeepStrictEqual } from 'node:util'
import { dayMs, dayOf } from '../../src/lib/clock.ts'
import { askAccounting, parseAccounting } from '../../src/query/accounting.ts'
import { askClickThrough, parseClickThrough } from '../../src/query/click-through.ts'
import { askCounts, parseCounts } from '../../src/query/counts.ts'
import { askDeadLetters } from '../../src/query/dead-letters.ts'
import { askEvents, parseEventStream } from '../../src/query/events.ts'
import { askFunnel, parseFunnel } from '../../src/query/funnel.ts'
import { askParty, parseParty } from '../../src/query/party.ts'
import type { EventRow, QueryContext } from '../../src/query/query.ts'
import { askRetention, parseRetention } from '../../src/query/retention.ts'
import { askSessions, parseSessions } from '../../src/query/sessions.ts'
import { askTop, parseDevices, parseTop, parseTopOfPageViews } from '../../src/query/top.ts'
import { askUniques, parseUniques } from '../../src/query/uniques.ts'
import type { Store, Uniques } from '../../src/store/store.ts'
import type { History } from './cassandra-history.ts'
import { topic } from './rows.ts'

/**
 * Asks two stores that were given the same history the same questions, as the API does, and names the
 * answers that differ. Left out are the columns that depend on the receipt, of events that have
 * several: one store keeps the first, the other the last. Unique parties may differ by 2 % where they
 * are estimated: in a range, and on a day that is not closed.
 */

export interface Pair {
  readonly embedded: Store
  readonly cassandra: Store
}

export interface Comparison {
  readonly answers: number
  readonly events: number
  /** Each with what the embedded store says, and what Cassandra says. */
  readonly differences: readonly string[]
}

/** The days that can be closed when all is stored: they ended more than the lateness ago. */
const latenessDays = 7

/**
 * Writes a history into both, closes what can be closed on the way and at the end, and replays some
 * dead letters. Returns the days that are closed then.
 */
export async function fill(pair: Pair, history: History): Promise<ReadonlySet<string>> {
  const { batches, replayable, from } = history
  const closed = new Set<string>()
  const closeUntil = async (time: number): Promise<void> => {
    for (let day = from; day + (1 + latenessDays) * dayMs <= time; day += dayMs) {
      const name = dayOf(day)
      for (const store of storesOf(pair)) await store.closeDay(name)
      closed.add(name)
    }
  }
  let newest = 0
  for (const [index, batch] of batches.entries()) {
    await Promise.all(storesOf(pair).map((store) => store.write(batch)))
    for (const { receivedAt } of batch.rows) newest = Math.max(newest, receivedAt)
    // Half way some are closed; replays bring their rows again.
    if (index === batches.length >> 1) await closeUntil(newest)
  }
  await closeUntil(newest)
  for (const position of replayable.slice(0, 5)) {
    await Promise.all(storesOf(pair).map((store) => store.markReplayed(position, newest)))
  }
  return closed
}

/** Asks everything. */
export async function compareStores(
  pair: Pair,
  history: History,
  closed: ReadonlySet<string>,
): Promise<Comparison> {
  const differences: string[] = []
  let answers = 0
  let events = 0
  for (const { name, compare } of comparisonsOf(history, closed)) {
    const compared = await compare(pair)
    answers++
    events += compared.events
    if (compared.difference !== undefined) differences.push(`${name}: ${compared.difference}`)
  }
  return { answers, events, differences }
}

/** One question to both. */
export interface OneComparison {
  readonly name: string
  readonly compare: (pair: Pair) => Promise<Compared>
}

interface Compared {
  /** Events that were compared one by one. */
  readonly events: number
  readonly difference: string | undefined
}

/** All comparisons, one after the other. */
export function* comparisonsOf(
  history: History,
  closed: ReadonlySet<string>,
): Generator<OneComparison> {
  for (const [name, ask] of questionsOf(history)) {
    const compare = async (pair: Pair): Promise<Compared> => {
      const [expected, got] = await Promise.all(storesOf(pair).map(ask))
      const isSame = isDeepStrictEqual(expected, got)
      return { events: 0, difference: isSame ? undefined : differenceOf(expected, got) }
    }
    yield { name, compare }
  }
  for (const [name, ask] of uniquesOf(history)) {
    const compare = async (pair: Pair): Promise<Compared> => {
      const [expected, got] = (await Promise.all(storesOf(pair).map(ask))) as [Uniques, Uniques]
      return { events: 0, difference: wrongUniques(expected, got, closed) }
    }
    yield { name, compare }
  }
  for (const text of eventTexts(history)) {
    yield { name: `events?${text}`, compare: (pair) => compareEvents(pair, history, text) }
  }
}

function storesOf({ embedded, cassandra }: Pair): [Store, Store] {
  return [embedded, cassandra]
}

type Question<Answer> = readonly [name: string, ask: (store: Store) => Promise<Answer>]

/** A clock that stands at the last day of the history. */
function contextOf({ to }: History): QueryContext {
  return { clock: () => to - 1, rowsMax: 1_000 }
}

/** All of it, parts of it, a day, and a span that begins and ends within days. */
function rangesOf({ from, to }: History): readonly string[] {
  const middle = from + Math.floor((to - from) / dayMs / 2) * dayMs
  const instant = (time: number): string => encodeURIComponent(new Date(time).toISOString())
  return [
    `last=${(to - from) / dayMs}d`,
    'last=30d',
    'last=1d',
    `from=${dayOf(middle)}&to=${dayOf(middle)}`,
    `from=${instant(middle + dayMs / 3)}&to=${instant(middle + 3.6 * dayMs)}`,
  ]
}

const filterTexts = [
  '',
  '&bots=include',
  '&eventType=purchase',
  '&eventType=g%C3%B6r%C3%BCnt%C3%BC&bots=include',
  '&country=TR',
  '&country=unknown',
  '&device=Smartphone&bots=include',
  '&device=unknown',
  '&item=100000',
]

function filtersOf({ parties, sessionId }: History): readonly string[] {
  const party = `&party=${encodeURIComponent(parties[0] ?? '')}`
  return [...filterTexts, party, `&session=${encodeURIComponent(sessionId)}`]
}

function* questionsOf(history: History): Generator<Question<unknown>> {
  const context = contextOf(history)
  for (const range of rangesOf(history)) {
    for (const filter of filtersOf(history)) {
      const text = range + filter
      yield [`counts?${text}`, (store) => askCounts(store, parseCounts(text, context))]
      const top = parseTop(text, context, 'itemId')
      yield [`top-items?${text}`, (store) => askTop(store, top)]
      yield [`extent?${text}`, ({ extent }) => extent(top.range, top.filter)]
      if (/event|item|session/.test(filter)) continue
      yield [`sessions?${text}`, (store) => askSessions(store, parseSessions(text, context))]
    }
    for (const filter of ['', '&bots=include']) {
      yield* listsOf(range + filter, context)
      yield* journeysOf(range + filter, context)
    }
  }
  yield* partiesOf(history, context)
  yield* othersOf(history)
}

function* listsOf(text: string, context: QueryContext): Generator<Question<unknown>> {
  const limited = `${text}&limit=1000`
  for (const dimension of ['page', 'referrer'] as const) {
    const question = parseTopOfPageViews(limited, context, dimension)
    yield [`${dimension}s?${limited}`, (store) => askTop(store, question)]
  }
  const countries = parseTop(limited, context, 'country')
  yield [`countries?${limited}`, (store) => askTop(store, countries)]
  for (const by of ['device', 'browser', 'system']) {
    const question = parseDevices(`${limited}&by=${by}`, context)
    yield [`devices?${limited}&by=${by}`, (store) => askTop(store, question)]
  }
}

function* journeysOf(text: string, context: QueryContext): Generator<Question<unknown>> {
  for (const steps of [
    'pageView,addToBasket,purchase',
    'pageView,pageView,search',
    'pageView,absent',
  ]) {
    const question = parseFunnel(`${text}&steps=${steps}`, context)
    yield [`funnel?${text}&steps=${steps}`, (store) => askFunnel(store, question)]
  }
  yield [`retention?${text}`, (store) => askRetention(store, parseRetention(text, context))]
  yield [`accounting?${text}`, (store) => askAccounting(store, parseAccounting(text, context))]
  const clicks = parseClickThrough(text, context)
  yield [`click-through?${text}`, (store) => askClickThrough(store, clicks)]
}

function* partiesOf(history: History, context: QueryContext): Generator<Question<unknown>> {
  const isRepeated = repeatedOf(history)
  for (const party of history.parties) {
    const question = parseParty(party, 'last=90d&limit=50', context)
    const ask = async (store: Store): Promise<unknown> => {
      const { extent, sessions, last } = await askParty(store, question)
      const shown = sessions.map(({ events }) => events.map((row) => blanked(row, isRepeated)))
      return { extent, sessions: shown, last: last?.eventId }
    }
    yield [`parties/${party}`, ask]
    yield [`rows of ${party}`, (store) => store.partyRows(party)]
  }
}

function* othersOf({ replayable }: History): Generator<Question<unknown>> {
  for (const code of [undefined, 'parameter_missing']) {
    const ask = async (store: Store): Promise<unknown> => {
      const letters = []
      const pages = askDeadLetters(store, { code, after: undefined }, 100_000)
      for await (const page of pages) letters.push(...page)
      return letters
    }
    yield [`dead-letters, code ${code}`, ask]
  }
  for (const position of replayable.slice(0, 1)) {
    yield ['a dead letter', (store) => store.deadLetter(position)]
  }
  yield ['logs', (store) => store.logs(topic)]
  yield ['progress', (store) => store.progress('history', topic)]
  yield ['health', (store) => store.health().then(countersOf)]
  const days = async (store: Store): Promise<unknown> =>
    (await store.days()).map(({ day, openRows, closedRows }) => [day, openRows + closedRows])
  yield ['days', days]
}

/** What of a store's health is not about its place. */
function countersOf(health: Awaited<ReturnType<Store['health']>>): object {
  const { events, duplicates, deadLetters, lastReceivedAt, damagedDays } = health
  return { events, duplicates, deadLetters, lastReceivedAt, damagedDays }
}

function* uniquesOf(history: History): Generator<Question<Uniques>> {
  const context = contextOf(history)
  for (const range of rangesOf(history)) {
    for (const filter of filtersOf(history)) {
      const text = range + filter
      yield [`uniques?${text}`, (store) => askUniques(store, parseUniques(text, context))]
    }
  }
}

const uniquesError = 0.02

/** What is wrong with estimated uniques; undefined if nothing is. */
function wrongUniques(
  expected: Uniques,
  got: Uniques,
  closed: ReadonlySet<string>,
): string | undefined {
  const days = got.rows.map(({ day }) => day)
  const wanted = expected.rows.map(({ day }) => day)
  if (!isDeepStrictEqual(days, wanted)) return `days: ${differenceOf(wanted, days)}`
  for (const [index, { day, parties }] of expected.rows.entries()) {
    const found = got.rows[index]?.parties ?? 0
    const errorMax = closed.has(day) ? 0 : uniquesError
    if (Math.abs(found - parties) > parties * errorMax) {
      return `${day} has ${parties}, not ${found}${errorMax === 0 ? ', and is closed' : ''}`
    }
  }
  const isNear = Math.abs(got.parties - expected.parties) <= expected.parties * uniquesError
  return isNear ? undefined : `the range has ${expected.parties}, not ${got.parties}`
}

function eventTexts(history: History): readonly string[] {
  const [all = '', month = '', , , within = ''] = rangesOf(history)
  const party = `&party=${encodeURIComponent(history.parties[1] ?? '')}`
  return [
    `${all}&bots=include`,
    `${all}&bots=include&order=desc`,
    `${month}&eventType=purchase&order=desc`,
    `${within}&item=100000`,
    `${all}&device=Tablet&country=DE`,
    `${all}&bots=include${party}&order=desc`,
  ]
}

/** Pages of uneven sizes, one after the other in both. */
async function compareEvents(pair: Pair, history: History, text: string): Promise<Compared> {
  const question = parseEventStream(text, contextOf(history))
  const isRepeated = repeatedOf(history)
  const chunkRows = Math.max(97, Math.ceil(history.receipts / 41))
  const [left, right] = storesOf(pair).map((store) =>
    askEvents(store, question, undefined, chunkRows),
  ) as [Pages, Pages]
  let events = 0
  for (;;) {
    const [expected, got] = await Promise.all([left.next(), right.next()])
    const wanted: readonly EventRow[] = expected.done === true ? [] : expected.value
    const found: readonly EventRow[] = got.done === true ? [] : got.value
    for (let index = 0; index < Math.max(wanted.length, found.length); index++) {
      const [row, other] = [wanted[index], found[index]]
      const [one, two] = [row && blanked(row, isRepeated), other && blanked(other, isRepeated)]
      if (!isDeepStrictEqual(one, two)) {
        return { events, difference: `number ${events + index}: ${differenceOf(one, two)}` }
      }
    }
    events += wanted.length
    if (wanted.length === 0) return { events, difference: undefined }
  }
}

type Pages = AsyncGenerator<readonly EventRow[], void, undefined>

/** Events of which more than one receipt is stored. */
function repeatedOf({ batches }: History): (row: EventRow) => boolean {
  const positions = new Map<string, string>()
  const repeated = new Set<string>()
  for (const { rows } of batches) {
    for (const row of rows) {
      const [identity, position] = [identityOf(row), JSON.stringify(row.position)]
      const known = positions.get(identity)
      if (known === undefined) positions.set(identity, position)
      else if (known !== position) repeated.add(identity)
    }
  }
  return (row) => repeated.has(identityOf(row))
}

function identityOf({ partyId, eventId }: EventRow): string {
  return `${partyId}\n${eventId}`
}

/** Without what depends on the receipt, where there are several. */
function blanked(row: EventRow, isRepeated: (row: EventRow) => boolean): object {
  if (!isRepeated(row)) return row
  const { receivedAt, remoteAddress, userAgent, position, clockSource, clientTime, ...rest } = row
  return rest
}

/** The first of two lists' members that differ, or the whole. */
function differenceOf(expected: unknown, got: unknown): string {
  if (Array.isArray(expected) && Array.isArray(got)) {
    const at = expected.findIndex((each, index) => !isDeepStrictEqual(each, got[index]))
    const index = at < 0 ? expected.length : at
    return `row ${index}: ${shown(expected[index])} or ${shown(got[index])}`
  }
  return `${shown(expected)} or ${shown(got)}`
}

function shown(value: unknown): string {
  return inspect(value, { depth: 4, breakLength: Number.POSITIVE_INFINITY }).slice(0, 1_500)
}
