import { MillraceError } from '../../event/error.ts'
import { type Clock, systemClock } from '../../lib/clock.ts'
import { waitMs } from '../../lib/retry.ts'
import { dayNumberOf } from '../bucket.ts'
import { type Claimants, claimantsMax, createClaimants } from '../claims.ts'
import type { Store } from '../store.ts'
import { accountFor } from './accounting.ts'
import { readClaimants } from './claims.ts'
import { joinExposures } from './click-through.ts'
import { closeDay, readDayStates } from './closing.ts'
import { countEvents, countParties, readExtent } from './counting.ts'
import { createWriterDays, type WriterDays } from './days.ts'
import { readDeadLetter, readDeadLetters, setReplayed } from './dead-letters.ts'
import { countParty, eraseParty, settleErasures } from './erase.ts'
import {
  createErasedParties,
  type ErasedParties,
  freshMs,
  hashParty,
  publicErasure,
  readErasures,
} from './erasing.ts'
import { readEvents } from './events.ts'
import { readHealth } from './health.ts'
import { countSessions, countSteps, followCohorts } from './journeys.ts'
import { createMarkWriter, type MarkWriter } from './marks.ts'
import { checkTables } from './migrate.ts'
import { createCassandraModels } from './models.ts'
import { planDay } from './plan.ts'
import { readLogs, readProgress } from './progress.ts'
import { largeEvents } from './recount.ts'
import { createRecounter, type Recounter } from './recounter.ts'
import { deleteBefore } from './retention.ts'
import { openSession, type Session, type SessionOptions } from './session.ts'
import type { QuestionRecounting } from './tallies.ts'
import { findTop } from './top.ts'
import { writeBatch } from './write.ts'

export interface CassandraStoreOptions extends SessionOptions {
  /** After how many days rows expire by themselves. */
  readonly retentionDays: number
  /** Events of a day, for the layout of the next ones; 0: by what came so far. */
  readonly expectedEventsPerDay: number
  /** For `lastWrittenAt` and when a tally was counted: no clock decides where a row goes. */
  readonly clock?: Clock
  /** Events of a five-minute slot from which on questions do not wait for it to be counted anew. */
  readonly largeSlotEvents?: number
}

/**
 * Opens the store in a keyspace that `prepareKeyspace` has made. Any number of processes may have it
 * open, and write to it, at once.
 * @throws MillraceError `store_unavailable` when Cassandra does not answer, `store_unauthorized`,
 *   `store_unprepared`, `store_version`
 */
export async function openCassandraStore(options: CassandraStoreOptions): Promise<Store> {
  const session = await openSession(options)
  try {
    await checkTables(session)
    const claimants = createClaimants(await readClaimants(session), claimantsMax)
    return new CassandraStore(session, claimants, options)
  } catch (thrown) {
    await session.close()
    throw thrown
  }
}

class CassandraStore implements Store {
  readonly #session: Session
  readonly #retentionDays: number
  readonly #clock: Clock
  readonly #days: WriterDays
  readonly #marks: MarkWriter
  readonly #erased: ErasedParties
  readonly #recounter: Recounter
  readonly #largeSlotEvents: number
  readonly #logs = new Set<string>()
  readonly #claimants: Claimants
  #lastWrittenAt: number | null = null
  /** The last change asked for; the next one waits for it. */
  #queue: Promise<unknown> = Promise.resolve()
  /** Questions under way. */
  readonly #asking = new Set<Promise<unknown>>()
  #closing: Promise<void> | undefined

  constructor(session: Session, claimants: Claimants, options: CassandraStoreOptions) {
    this.#session = session
    this.#claimants = claimants
    this.#retentionDays = options.retentionDays
    this.#clock = options.clock ?? systemClock
    this.#days = createWriterDays(session, (day) =>
      planDay(session, day, options.expectedEventsPerDay),
    )
    this.#marks = createMarkWriter(session)
    this.#erased = createErasedParties(session)
    this.#largeSlotEvents = options.largeSlotEvents ?? largeEvents
    this.#recounter = createRecounter(session, this.#recounting())
  }

  /** A consumer asks when it begins with a partition: another one may have made claims meanwhile. */
  positions: Store['positions'] = (log, topic) =>
    this.#ask(async (session) => {
      // Added to those that are known: a write may be making a claim meanwhile.
      this.#claimants.addStored(await readClaimants(session))
      const progress = await readProgress(session, log, topic)
      return new Map([...progress].map(([partition, { offset }]) => [partition, offset]))
    })

  progress: Store['progress'] = (log, topic) =>
    this.#ask((session) => readProgress(session, log, topic))

  logs: Store['logs'] = (topic) => this.#ask((session) => readLogs(session, topic))

  /** Rows are known by their key alone, so what was new among them is not known here. */
  write: Store['write'] = (batch) =>
    this.#change(async (session) => {
      await writeBatch(
        {
          session,
          days: this.#days,
          claimants: this.#claimants,
          marks: this.#marks,
          erased: this.#erased,
          logs: this.#logs,
          retentionDays: this.#retentionDays,
        },
        batch,
      )
      this.#recounter.wrote(new Set(batch.rows.map(({ eventTime }) => dayNumberOf(eventTime))))
      this.#lastWrittenAt = this.#clock()
      return undefined
    })

  events: Store['events'] = (range, filter, page) =>
    this.#ask((session) => readEvents(session, range, filter, page))

  counts: Store['counts'] = (range, filter, onBehind) =>
    this.#ask((session) => countEvents(session, range, filter, this.#recounting(onBehind)))

  extent: Store['extent'] = (range, filter) =>
    this.#ask((session) => readExtent(session, range, filter, this.#recounting()))

  uniques: Store['uniques'] = (range, filter, onBehind) =>
    this.#ask((session) => countParties(session, range, filter, this.#recounting(onBehind)))

  top: Store['top'] = (dimension, range, filter, limit, onBehind) =>
    this.#ask((session) =>
      findTop(session, dimension, range, filter, limit, this.#recounting(onBehind)),
    )

  sessions: Store['sessions'] = (range, filter) =>
    this.#ask((session) => countSessions(session, range, filter))

  funnel: Store['funnel'] = (range, filter, steps) =>
    this.#ask((session) => countSteps(session, range, filter, steps))

  retention: Store['retention'] = (range, filter) =>
    this.#ask((session) => followCohorts(session, range, filter))

  accounting: Store['accounting'] = (range, filter) =>
    this.#ask((session) => accountFor(session, range, filter))

  clickThrough: Store['clickThrough'] = (range, filter) =>
    this.#ask((session) => joinExposures(session, range, filter))

  deadLetters: Store['deadLetters'] = (page) =>
    this.#ask((session) => readDeadLetters(session, page))

  deadLetter: Store['deadLetter'] = (position) =>
    this.#ask((session) => readDeadLetter(session, position))

  markReplayed: Store['markReplayed'] = (position, at) =>
    this.#change((session) => setReplayed(session, position, at))

  partyRows: Store['partyRows'] = (partyId) => this.#ask((session) => countParty(session, partyId))

  /** Resolves when other processes that write know of it too. */
  erase: Store['erase'] = async (partyId, at) => {
    const erasure = await this.#change(async (session) => {
      this.#erased.refresh()
      return eraseParty(session, this.#marks, partyId, at)
    })
    await waitMs(freshMs)
    return erasure
  }

  settleErasures: Store['settleErasures'] = (before, now) =>
    this.#change((session) => settleErasures(session, this.#marks, before, now))

  erasures: Store['erasures'] = (partyId) =>
    this.#ask(async (session) => {
      const party = partyId === undefined ? undefined : await hashParty(session, partyId)
      return (await readErasures(session, party)).map(publicErasure)
    })

  readonly models: Store['models'] = createCassandraModels((question) => this.#ask(question))

  /** Rows are copied by Cassandra's own means, on every node. */
  snapshot: Store['snapshot'] = () =>
    Promise.reject(new MillraceError('store_copy_elsewhere', this.#session.keyspace))

  days: Store['days'] = () => this.#ask((session) => readDayStates(session, this.#recounting()))

  closeDay: Store['closeDay'] = (day) =>
    this.#ask((session) => closeDay(session, day, this.#recounting()))

  /** Rows expire by themselves, which nothing can put off. */
  keepDays: Store['keepDays'] = (_log, days) =>
    days.length === 0
      ? Promise.resolve(false)
      : Promise.reject(new MillraceError('import_outside_retention', days.join(', ')))

  forgetDays: Store['forgetDays'] = () => Promise.resolve()

  retain: Store['retain'] = (days, now) =>
    this.#change((session) => deleteBefore(session, this.#days, days, now, this.#recounting()))

  health: Store['health'] = async () => ({
    ...(await this.#ask((session) => readHealth(session, this.#recounting()))),
    lastWrittenAt: this.#lastWrittenAt,
  })

  close: Store['close'] = () => {
    this.#closing ??= Promise.allSettled([
      this.#queue,
      ...this.#asking,
      this.#recounter.close(),
    ]).then(() => this.#session.close())
    return this.#closing
  }

  /** Large slots that a question finds outdated are counted after it; `onBehind` is told since when. */
  #recounting(onBehind?: (asOf: number) => void): QuestionRecounting {
    return {
      clock: this.#clock,
      largeEvents: this.#largeSlotEvents,
      onBehind: (day, asOf) => {
        this.#recounter.ask(day.number)
        onBehind?.(asOf)
      },
    }
  }

  #ask<Answer>(question: (session: Session) => Promise<Answer>): Promise<Answer> {
    if (this.#closing) return Promise.reject(closed())
    const answer = question(this.#session)
    this.#asking.add(answer)
    const done = (): void => void this.#asking.delete(answer)
    answer.then(done, done)
    return answer
  }

  /** Makes a change after those asked for before it: versions of marks rise with what they mark. */
  #change<Answer>(change: (session: Session) => Promise<Answer>): Promise<Answer> {
    if (this.#closing) return Promise.reject(closed())
    const done = this.#queue.then(() => change(this.#session))
    this.#queue = done.catch(() => undefined)
    return done
  }
}

function closed(): MillraceError {
  return new MillraceError('store_unavailable', 'it is closed')
}
