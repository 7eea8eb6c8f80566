import type { IncomingMessage, ServerResponse } from 'node:http'
import type { MillraceError } from '../event/error.ts'
import type { Event, Source } from '../event/event.ts'
import { type HeaderList, sendJson } from './answer.ts'
import { type PartialBody, readBody } from './body.ts'
import { throughDoor } from './door.ts'
import { conformed } from './event-schema.ts'
import { type Intake, refusalAtDoor } from './intake.ts'
import { refusalOf } from './json-source.ts'
import type { Route } from './metrics.ts'
import type { Origins } from './origin.ts'
import { type Outcome, outcomeOf, storeOutcome } from './outcome.ts'
import type { Receipt } from './receipt.ts'
import type { Refused } from './rejection.ts'

/** How the events of one kind of source stand in a body. */
export interface BatchFormat<Item> {
  readonly source: Source
  /** In the configuration. */
  readonly sourceName: string
  readonly route: Route
  /** @throws MillraceError `content_type_unsupported` */
  readonly checkType: (request: IncomingMessage) => void
  /** @throws MillraceError for a body that cannot be split */
  readonly split: (body: string, batchEventsMax: number) => readonly Item[]
  /** @throws MillraceError for an event that is refused */
  readonly eventOf: (item: Item, receipt: Receipt, intake: Intake) => Event
  /** The id by which the sender knows the event, as far as it is one. */
  readonly givenIdOf: (item: Item) => string | null
  /** What is kept of a refused event. */
  readonly refused: (item: Item, error: MillraceError, receipt: Receipt, body: string) => Refused
}

/** Takes the events of a body, each by itself, and answers when they are durable. */
export function takePost<Item>(
  intake: Intake,
  origins: Origins,
  request: IncomingMessage,
  response: ServerResponse,
  format: BatchFormat<Item>,
): Promise<void> {
  const door = { route: format.route, methods: ['POST'] } as const
  return throughDoor(intake, origins, request, response, door, async ({ sender, headers }) => {
    const closed = refusalAtDoor(intake)
    if (closed !== undefined) throw closed
    format.checkType(request)
    const body = await readBody(request, intake.options.bodyBytesMax)
    if (body === undefined) return
    const receipt = intake.receiptOf(request.headers, sender)
    await takeBody(intake, request, response, headers, body, receipt, format)
  })
}

/** What became of one event of the body. */
interface Result {
  readonly eventId: string | null
  readonly status: 'accepted' | 'rejected'
  readonly error?: MillraceError
}

interface Sorted {
  readonly results: Result[]
  readonly accepted: Event[]
  readonly refused: Refused[]
}

async function takeBody<Item>(
  intake: Intake,
  request: IncomingMessage,
  response: ServerResponse,
  headers: HeaderList,
  body: string | PartialBody,
  receipt: Receipt,
  format: BatchFormat<Item>,
): Promise<void> {
  const { metrics, rejections } = intake
  const { source } = format
  let values: readonly Item[]
  const text = typeof body === 'string' ? body : body.start
  metrics.totals.bytes += text.length
  try {
    if (typeof body !== 'string') throw body.error
    values = format.split(body, intake.options.batchEventsMax)
  } catch (thrown) {
    const error = refusalOf(thrown)
    // Nobody can tell where in such a body the party is named.
    const kept = receipt.privacy === null ? text : ''
    const truncated = typeof body !== 'string' || kept !== text
    await rejections.keep([{ source, error, body: kept, truncated }], receipt)
    throw error
  }
  const sorted = sortEvents(intake, values, receipt, text, format)
  const full = intake.queue.refusal(sorted.accepted.length)
  if (full !== undefined) throw full
  const origin = { source: format.sourceName, headers: request.headers }
  // First the events: when they can't be stored, the sender comes again with all, refused ones too.
  if (sorted.accepted.length > 0) await store(intake, outcomeOf(intake, sorted.accepted, origin))
  if (sorted.refused.length > 0) await rejections.keep(sorted.refused, receipt)
  for (const { error } of sorted.refused) metrics.countRejection(error.code)
  for (const { bot } of sorted.accepted) if (bot !== null) metrics.totals.bot++
  metrics.countEvents(source, sorted.accepted.length)
  for (const event of sorted.accepted) intake.inspector?.accept(event)
  metrics.countRequest(format.route, 200)
  sendJson(response, 200, { results: sorted.results }, headers)
}

function store(intake: Intake, outcome: Outcome): Promise<void> {
  return new Promise((resolve, reject) => {
    storeOutcome(intake, outcome, (failure) =>
      failure === undefined ? resolve() : reject(failure),
    )
  })
}

/** Accepts or refuses each event by itself. */
function sortEvents<Item>(
  intake: Intake,
  values: readonly Item[],
  receipt: Receipt,
  body: string,
  format: BatchFormat<Item>,
): Sorted {
  const sorted: Sorted = { results: [], accepted: [], refused: [] }
  for (const value of values) {
    try {
      const event = conformed(intake.making, format.eventOf(value, receipt, intake))
      sorted.accepted.push(event)
      sorted.results.push({ eventId: event.eventId, status: 'accepted' })
    } catch (thrown) {
      const error = refusalOf(thrown)
      sorted.refused.push(format.refused(value, error, receipt, body))
      sorted.results.push({ eventId: format.givenIdOf(value), status: 'rejected', error })
    }
  }
  return sorted
}
