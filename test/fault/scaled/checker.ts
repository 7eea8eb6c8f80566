import type { Ledger } from '../ledger.ts'

/** The checker of the fault runs: what was sent and promised, held against every place where it shows. */

/** What a sender knows of the events of one seed. */
export interface FaultLedger extends Ledger {
  /** The event type of all of its events, by which they are told from those of other seeds. */
  readonly name: string
  /** Identities that were sent more than once. */
  readonly resent: Set<string>
  /** Identities that must not be stored any more: erased ones. */
  readonly withdrawn: Set<string>
  /** Answers without 2xx, by their status. */
  readonly statuses: Map<number, number>
  /** Requests whose connection was closed without an answer. */
  closed: number
  /** Requests that were neither answered nor closed. */
  silent: number
}

/** One row of `click_stream`, read past Millrace. */
export interface RawRow {
  readonly identity: string
  /** `YYYY-MM-DD` */
  readonly day: string
  readonly itemId: string
  readonly receipts: number
}

/** All that is stored of one seed, from every place. */
export interface Evidence {
  /** Identities as `/api/events` gives them, once for each line. */
  readonly answered: readonly string[]
  readonly rows: readonly RawRow[]
  /** Identities in the table `events_by_party`. */
  readonly byParty: readonly string[]
  /** `/api/counts`: day → events. */
  readonly counts: ReadonlyMap<string, number>
  /** `/api/top-items`: item → events. */
  readonly topItems: ReadonlyMap<string, number>
  /** Identities of events of no seed: nobody has sent them. */
  readonly strangers: readonly string[]
}

/** Numbers of events; all but the first three must be 0. */
export interface Verdict {
  readonly sent: number
  readonly acknowledged: number
  readonly stored: number
  /** Acknowledged, and missing in the API or in a table. */
  readonly lost: number
  /** More than once in an answer, or in a table or by its receipts though it was sent once. */
  readonly twice: number
  /** Stored and never sent, or stored though it was withdrawn. */
  readonly ghosts: number
  /** Differences between the counts of the API and a recount of the rows. */
  readonly miscounted: number
  /** Not in all of the places, or not in the same way. */
  readonly torn: number
  /** Requests that got neither an answer nor a closed connection. */
  readonly silent: number
}

export function createFaultLedger(name: string): FaultLedger {
  return {
    name,
    sent: new Set(),
    acknowledged: new Set(),
    resent: new Set(),
    withdrawn: new Set(),
    statuses: new Map(),
    closed: 0,
    silent: 0,
  }
}

/** How ledger and evidence name an event. */
export function identityOf(partyId: string | null, eventId: string): string {
  return `${partyId ?? ''} ${eventId}`
}

export function judge(ledger: FaultLedger, evidence: Evidence): Verdict {
  const { sent, acknowledged, resent, withdrawn } = ledger
  const { answered, rows, byParty, strangers } = evidence
  const inAnswer = new Set(answered)
  const inRows = new Set(rows.map(({ identity }) => identity))
  const inParty = new Set(byParty)
  const everywhere = new Set([...inAnswer, ...inRows, ...inParty])
  const isWhole = (identity: string): boolean =>
    inAnswer.has(identity) && inRows.has(identity) && inParty.has(identity)
  const rawTwice = [
    ...repeatsIn(rows.map(({ identity }) => identity)),
    ...repeatsIn(byParty),
    ...rows.filter(({ receipts }) => receipts > 1).map(({ identity }) => identity),
  ].filter((identity) => !resent.has(identity))
  const lost = [...acknowledged].filter((one) => !withdrawn.has(one) && !isWhole(one))
  const ghosts = [...everywhere].filter((one) => !sent.has(one) || withdrawn.has(one))
  return {
    sent: sent.size,
    acknowledged: acknowledged.size,
    stored: inAnswer.size,
    lost: lost.length,
    twice: new Set([...repeatsIn(answered), ...rawTwice]).size,
    ghosts: ghosts.length + strangers.length,
    miscounted:
      differences(
        evidence.counts,
        recount(rows, ({ day }) => day),
      ) +
      differences(
        evidence.topItems,
        recount(rows, ({ itemId }) => itemId),
      ),
    torn: [...everywhere].filter((identity) => !isWhole(identity)).length,
    silent: ledger.silent,
  }
}

/** True when no promise is broken, by a run that says something. */
export function isClean(verdict: Verdict): boolean {
  const { lost, twice, ghosts, miscounted, torn, silent, acknowledged } = verdict
  return lost + twice + ghosts + miscounted + torn + silent === 0 && acknowledged > 0
}

function repeatsIn(identities: readonly string[]): string[] {
  const seen = new Set<string>()
  return identities.filter((identity) => {
    const isRepeat = seen.has(identity)
    seen.add(identity)
    return isRepeat
  })
}

function recount(rows: readonly RawRow[], nameOf: (row: RawRow) => string): Map<string, number> {
  const counts = new Map<string, number>()
  for (const row of rows) counts.set(nameOf(row), (counts.get(nameOf(row)) ?? 0) + 1)
  return counts
}

function differences(one: ReadonlyMap<string, number>, other: ReadonlyMap<string, number>): number {
  const names = new Set([...one.keys(), ...other.keys()])
  return [...names].reduce(
    (sum, name) => sum + Math.abs((one.get(name) ?? 0) - (other.get(name) ?? 0)),
    0,
  )
}
