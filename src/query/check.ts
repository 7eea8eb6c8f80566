import { MillraceError } from '../event/error.ts'
import { dayMs } from '../lib/clock.ts'
import type { DayState, EventCursor, Store, TimeRange } from '../store/store.ts'

/**
 * Whether days are whole: everything that was received until their end is stored, no more is missing
 * than a limit allows, and what is answered about closed days equals a count of their rows.
 */

/** What a check needs of the store: to read it. */
export type CheckedStore = Pick<
  Store,
  'days' | 'accounting' | 'counts' | 'uniques' | 'top' | 'events'
>

export interface CheckQuestion {
  /** UTC, `YYYY-MM-DD`; without it the first day that has rows. */
  readonly from?: string
  /** The last day. */
  readonly until: string
  /** The largest share of what was sent on a day that may be missing or rejected: 0 to 1. */
  readonly lossMax: number
}

/** How far the log is stored. */
export interface FlowState {
  /** ms since 1970: everything that was received until then is stored. */
  readonly storedUntil: number
  /** Records on the log that are not stored yet. */
  readonly lag: number
}

export interface CheckedDay {
  /** UTC, `YYYY-MM-DD`. */
  readonly day: string
  readonly sent: number
  readonly stored: number
  readonly rejected: number
  readonly missing: number
  /** What is missing of what was sent: 0 to 1. */
  readonly loss: number
  readonly isClosed: boolean
  /** Whether what is answered about a closed day equals its rows; null for an open one. */
  readonly isEqual: boolean | null
}

export interface CheckResult {
  readonly ok: boolean
  /** Why not, as a person reads it; empty when all is well. */
  readonly reasons: readonly string[]
  /** ISO 8601: everything that was received until then is stored; null when nobody knows. */
  readonly storedUntil: string | null
  readonly lag: number
  /** Every day that has rows or refused requests, oldest first. */
  readonly days: readonly CheckedDay[]
}

export interface CheckProgress {
  readonly day: string
  /** Closed days that were counted, and those to be counted. */
  readonly done: number
  readonly total: number
}

/** Rows of one page: some megabytes. */
const pageRows = 20_000
/** Items whose counts are compared. */
const itemsCompared = 100
/** More different parties of a day are not kept in memory, and not compared. */
const partiesMax = 2_000_000
/** Late rows may come between an answer and the count of its rows; then both are asked again. */
const triesMax = 3

/** @throws MillraceError what the store throws; the abort reason of `signal` */
export async function checkDays(
  store: CheckedStore,
  flow: FlowState,
  question: CheckQuestion,
  signal: AbortSignal,
  onProgress: (progress: CheckProgress) => void,
): Promise<CheckResult> {
  const { until, lossMax } = question
  const end = Date.parse(until) + dayMs
  const states = (await store.days()).filter(({ day }) => day <= until)
  const from = question.from ?? states[0]?.day ?? until
  if (from > until) throw new MillraceError('question_invalid', 'from is not before until')
  const accounts = await store.accounting({ from: Date.parse(from), to: end }, { bots: 'include' })
  const closed = states.filter(({ day, version }) => day >= from && version > 0)
  const different = new Map<string, string>()
  let done = 0
  const tell = (day: string): void => onProgress({ day, done, total: closed.length })
  for (const { day } of closed) {
    signal.throwIfAborted()
    tell(day)
    const difference = await findDifference(store, day, signal)
    if (difference !== undefined) different.set(day, difference)
    done++
  }
  tell(until)
  const days = accounts.map((account): CheckedDay => {
    const { day, stored, rejected, missing } = account
    const sent = stored + rejected + missing
    const isClosed = closed.some((state) => state.day === day)
    const isEqual = isClosed ? !different.has(day) : null
    const loss = sent === 0 ? 0 : missing / sent
    return { day, sent, stored, rejected, missing, loss, isClosed, isEqual }
  })
  const reasons = [
    ...flowFaults(flow, until, end),
    ...days.filter(({ loss }) => loss > lossMax).map((day) => lossFault(day, lossMax)),
    ...[...different].map(([day, what]) => `${day}: ${what}`),
    ...missingDays(states, days, from),
  ]
  const { storedUntil, lag } = flow
  const at = Number.isFinite(storedUntil) ? new Date(storedUntil).toISOString() : null
  return { ok: reasons.length === 0, reasons, storedUntil: at, lag, days }
}

function flowFaults({ storedUntil, lag }: FlowState, until: string, end: number): string[] {
  if (storedUntil >= end) return []
  const at = Number.isFinite(storedUntil)
    ? new Date(storedUntil).toISOString()
    : 'nobody knows when'
  return [`what was received until the end of ${until} is not all stored: until ${at}, lag ${lag}`]
}

function lossFault({ day, missing, sent, loss }: CheckedDay, lossMax: number): string {
  const percent = (share: number): string => `${(share * 100).toFixed(2)} %`
  return `${day}: ${missing} of ${sent} events are missing, ${percent(loss)}; the limit is ${percent(lossMax)}`
}

/** A day with rows that the accounting does not know would be passed over. */
function missingDays(
  states: readonly DayState[],
  days: readonly CheckedDay[],
  from: string,
): string[] {
  const known = new Set(days.map(({ day }) => day))
  return states
    .filter(({ day }) => day >= from && !known.has(day))
    .map(({ day }) => `${day}: it has rows, and nothing is known of what was sent`)
}

/** What is said about a day, by a text that names it. */
type Facts = Map<string, number>

/** The first thing that is said of a day and is not so by its rows. */
async function findDifference(
  store: CheckedStore,
  day: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  let found: string | undefined
  for (let tries = 0; tries < triesMax; tries++) {
    const said = await askDay(store, day)
    found = differenceOf(said, await countDay(store, day, signal))
    if (found === undefined) return
  }
  return found
}

function differenceOf(said: Facts, counted: CountedDay): string | undefined {
  let found: string | undefined
  const names = [...said.keys(), ...[...counted.facts.keys()].filter((name) => !isItem(name))]
  for (const name of names) {
    if (name.startsWith('parties') && !counted.hasParties) continue
    const [answer, rows] = [said.get(name) ?? 0, counted.facts.get(name) ?? 0]
    if (answer !== rows) found ??= `${name}: ${answer} are answered, its rows are ${rows}`
  }
  return found
}

function isItem(name: string): boolean {
  return name.startsWith('item ')
}

const kinds = ['exclude', 'include'] as const

async function askDay(store: CheckedStore, day: string): Promise<Facts> {
  const facts: Facts = new Map()
  const range = rangeOf(day)
  for (const bots of kinds) {
    for (const { eventType, count } of await store.counts(range, { bots })) {
      facts.set(`events ${eventType}, bots ${bots}d`, count)
    }
    const { parties } = await store.uniques(range, { bots })
    if (parties > 0) facts.set(`parties, bots ${bots}d`, parties)
  }
  const top = await store.top('itemId', range, { bots: 'include' }, itemsCompared)
  for (const { value, count } of top) facts.set(`item ${value}`, count)
  facts.set('items', top.length)
  return facts
}

interface CountedDay {
  readonly facts: Facts
  readonly hasParties: boolean
}

async function countDay(
  store: CheckedStore,
  day: string,
  signal: AbortSignal,
): Promise<CountedDay> {
  const facts: Facts = new Map()
  const add = (name: string): Facts => facts.set(name, (facts.get(name) ?? 0) + 1)
  const parties = new Set<string>()
  const people = new Set<string>()
  const items = new Set<string>()
  const range = rangeOf(day)
  let after: EventCursor | undefined
  for (;;) {
    signal.throwIfAborted()
    const page = { order: 'asc', limit: pageRows, ...(after !== undefined && { after }) } as const
    const rows = await store.events(range, { bots: 'include' }, page)
    for (const event of rows) {
      add(`events ${event.eventType}, bots included`)
      if (event.bot === null) add(`events ${event.eventType}, bots excluded`)
      if (event.itemId !== null) {
        add(`item ${event.itemId}`)
        if (items.size < itemsCompared) items.add(event.itemId)
      }
      if (event.partyId === null || parties.size >= partiesMax) continue
      parties.add(event.partyId)
      if (event.bot === null) people.add(event.partyId)
    }
    const last = rows.at(-1)
    if (last === undefined || rows.length < pageRows) break
    after = { eventTime: last.eventTime, eventId: last.eventId, partyId: last.partyId ?? '' }
  }
  facts.set('items', items.size)
  if (parties.size > 0) facts.set('parties, bots included', parties.size)
  if (people.size > 0) facts.set('parties, bots excluded', people.size)
  return { facts, hasParties: parties.size < partiesMax }
}

function rangeOf(day: string): TimeRange {
  const from = Date.parse(day)
  return { from, to: from + dayMs }
}
