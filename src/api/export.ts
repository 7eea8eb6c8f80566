import { randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { MillraceError } from '../event/error.ts'
import { parseIdentifier } from '../event/identity.ts'
import { csvHeader, csvLines } from '../export/csv.ts'
import { exportPages, exportParameters, parseExport } from '../export/export.ts'
import { writeParquet } from '../export/parquet.ts'
import { partyLetters, partyPages, type TakeAlong } from '../export/take-along.ts'
import { createBodyReader } from '../query/dead-letters.ts'
import { type EventRow, readParameters } from '../query/query.ts'
import { renderDeadLetter, renderEvent } from './render.ts'
import { questionSchema } from './schema.ts'

/** Events to take along: all of a span of time, or all about one party. Nothing is held in memory. */

/** What the routes of taking along share. */
export interface TakeAlongContext {
  readonly takeAlong: TakeAlong
  /** One file at a time: it needs memory and disk of its own. */
  readonly files: FileSlot
  readonly onError: (thrown: unknown) => void
  /** Aborts when the API stops. */
  readonly signal: AbortSignal
}

/** Lets one piece of work at a time make files; another is refused. */
export interface FileSlot {
  /** Takes the slot; whoever has it gives it back. @throws MillraceError `export_running` */
  readonly take: () => () => void
}

export function createFileSlot(): FileSlot {
  let isTaken = false
  return {
    take() {
      if (isTaken) throw new MillraceError('export_running', 'one at a time')
      isTaken = true
      return () => {
        isTaken = false
      }
    },
  }
}

const types = {
  parquet: 'application/vnd.apache.parquet',
  csv: 'text/csv; charset=utf-8',
  ndjson: 'application/x-ndjson; charset=utf-8',
} as const

export function addExportRoutes(app: FastifyInstance, context: TakeAlongContext): void {
  const { store, clock } = context.takeAlong
  const schema = questionSchema(
    'Events to take along as Parquet, CSV (RFC 4180) or lines of JSON',
    exportParameters,
    'event',
  )
  app.get('/api/export', { schema }, async (request, reply) => {
    const question = parseExport(queryTextOf(request), clock())
    const pages = exportPages(store, question)
    const { format } = question
    if (format === 'parquet') return sendParquet(reply, pages, context)
    const texts = format === 'csv' ? csvTexts(pages) : lineTexts(pages)
    return sendTexts(reply, types[format], texts, context.onError)
  })

  const party = questionSchema('All that is stored about a party, as lines of JSON', {}, 'event')
  app.get('/api/parties/:partyId/export', { schema: party }, async (request, reply) => {
    readParameters(queryTextOf(request), {})
    const texts = partyTexts(context.takeAlong, partyOf(request))
    return sendTexts(reply, types.ndjson, texts, context.onError)
  })
}

/** The party of the path, as it is stored. */
export function partyOf(request: FastifyRequest): string {
  const { partyId } = request.params as { partyId: string }
  return (parseIdentifier(partyId) ?? partyId).toWellFormed()
}

export function queryTextOf(request: FastifyRequest): string {
  const start = request.url.indexOf('?')
  return start < 0 ? '' : request.url.slice(start + 1)
}

type Pages = AsyncGenerator<readonly EventRow[], void, undefined>
type Texts = AsyncGenerator<string, void, undefined>

async function* csvTexts(pages: Pages): Texts {
  let isFirst = true
  for await (const rows of pages) {
    yield isFirst ? csvHeader + csvLines(rows) : csvLines(rows)
    isFirst = false
  }
  if (isFirst) yield csvHeader
}

async function* lineTexts(pages: Pages): Texts {
  for await (const rows of pages) yield rows.map((row) => `${renderEvent(row)}\n`).join('')
}

/** Events, then the dead letters that name the party, then how many rows there are of each kind. */
async function* partyTexts(takeAlong: TakeAlong, partyId: string): Texts {
  const rows = await takeAlong.store.partyRows(partyId)
  for await (const page of partyPages(takeAlong, partyId)) {
    yield page.map((row) => `{"event":${renderEvent(row)}}\n`).join('')
  }
  const readBody = createBodyReader(takeAlong.schemaText)
  for await (const letter of partyLetters(takeAlong, partyId)) {
    const deadLetter = renderDeadLetter(letter, await readBody(letter))
    yield `${JSON.stringify({ deadLetter })}\n`
  }
  yield `${JSON.stringify({ stored: rows })}\n`
}

/**
 * The first text is made before the status is sent, so that an error still has its status; a later
 * one cuts the connection, which a client sees as an answer without its end.
 */
async function sendTexts(
  reply: FastifyReply,
  type: string,
  texts: Texts,
  onError: (thrown: unknown) => void,
): Promise<FastifyReply> {
  const first = await texts.next()
  const all = async function* (): Texts {
    try {
      if (first.done !== true) yield first.value
      yield* texts
    } catch (thrown) {
      onError(thrown)
      throw thrown
    }
  }
  return reply
    .header('cache-control', 'no-store')
    .type(type)
    .send(Readable.from(all(), { highWaterMark: 1 }))
}

async function sendParquet(
  reply: FastifyReply,
  pages: Pages,
  { takeAlong, files, signal }: TakeAlongContext,
): Promise<FastifyReply> {
  const giveBack = files.take()
  const file = join(takeAlong.temp, `${randomUUID()}.parquet`)
  const end = async (): Promise<void> => {
    await rm(file, { force: true })
    giveBack()
  }
  try {
    await writeParquet(file, whileWanted(pages, reply, signal))
    const { size } = await stat(file)
    const stream = createReadStream(file).once('close', () => void end())
    return await reply
      .header('cache-control', 'no-store')
      .header('content-length', size)
      .type(types.parquet)
      .send(stream)
  } catch (thrown) {
    await end()
    throw thrown
  }
}

/** The pages, until the client goes or the API stops. */
async function* whileWanted(pages: Pages, reply: FastifyReply, signal: AbortSignal): Pages {
  for await (const rows of pages) {
    if (reply.raw.destroyed || signal.aborted) {
      throw new MillraceError('store_unavailable', 'the export was ended')
    }
    yield rows
  }
}
