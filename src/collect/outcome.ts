import { isMillraceError, MillraceError } from '../event/error.ts'
import type { Event } from '../event/event.ts'
import type { MappingRequest } from '../event/mapping.ts'
import { encodeRejection, rejectionRecordSchema } from '../event/record.ts'
import { toError } from '../lib/assert.ts'
import type { AppendRecord, Log } from '../log/log.ts'
import type { Settle } from './append-queue.ts'
import type { Intake } from './intake.ts'

/** What becomes of events on their way to the log. */
export interface Outcome {
  readonly records: readonly AppendRecord[]
  /** Those that a mapping could make no record of. */
  readonly unmapped: readonly UnmappedEvent[]
}

export interface UnmappedEvent {
  readonly event: Event
  /** The name of its source. */
  readonly source: string
  readonly error: MillraceError
}

const none: readonly UnmappedEvent[] = []

/** The records of events; see `RecordsOf`. */
export function outcomeOf(
  { recordsOf, metrics }: Intake,
  events: readonly Event[],
  request: MappingRequest,
): Outcome {
  const records: AppendRecord[] = []
  let unmapped: UnmappedEvent[] | undefined
  for (const event of events) {
    try {
      const added = recordsOf(event, seenWith(event, request))
      if (added.length === 0) metrics.totals.leftOut++
      for (const record of added) records.push(record)
    } catch (thrown) {
      unmapped ??= []
      unmapped.push({ event, source: request.source, error: faultOf(thrown) })
    }
  }
  return { records, unmapped: unmapped ?? none }
}

/** What a mapping sees of the request: who does not want to be known is not known by a cookie either. */
export function seenWith({ privacy }: Event, request: MappingRequest): MappingRequest {
  return privacy === null ? request : withoutCookie(request)
}

function withoutCookie(request: MappingRequest): MappingRequest {
  const { cookie: _, ...headers } = request.headers
  return { ...request, headers }
}

/**
 * Stores the records, and keeps what could not be mapped, whole, as dead letters. Unlike a refused
 * request that is an event which the sender has done right and need not send again: it counts
 * against no budget and has to be durable before the answer.
 */
export function storeOutcome(intake: Intake, outcome: Outcome, settle: Settle): void {
  const { records, unmapped } = outcome
  const store = (): void => {
    if (records.length === 0) settle()
    else intake.queue.push(records, settle)
  }
  if (unmapped.length === 0) store()
  else intake.keepUnmapped(unmapped).then(store, (thrown) => settle(failureOf(thrown)))
}

/** The body of the dead letter of an event that could not be mapped. */
export interface KeptEvent {
  readonly event: Event
  readonly source: string
}

/** @throws MillraceError what `log.append` throws */
export async function keepUnmapped(rejected: Log, events: readonly UnmappedEvent[]): Promise<void> {
  const { fingerprint } = rejectionRecordSchema
  const records = events.map(({ event, source, error }) => {
    const rejection = {
      receivedAt: event.receivedAt,
      code: error.code,
      message: error.message,
      source: event.source,
      body: JSON.stringify({ event, source } satisfies KeptEvent),
      truncated: false,
      remoteAddress: event.remoteAddress,
      userAgent: event.userAgent,
      privacy: event.privacy,
      country: event.country,
    }
    return { key: '', value: encodeRejection(rejection), schema: fingerprint }
  })
  await rejected.append(records)
}

function faultOf(thrown: unknown): MillraceError {
  if (isMillraceError(thrown)) return thrown
  return new MillraceError('event_unmapped', toError(thrown).message, { cause: thrown })
}

function failureOf(thrown: unknown): MillraceError {
  if (isMillraceError(thrown)) return thrown
  return new MillraceError('log_unwritable', toError(thrown).message, { cause: thrown })
}
