import type { DuckDBConnection } from '@duckdb/node-api'
import type { Erasure } from '../store.ts'
import { compactDatabase } from './compact.ts'
import {
  deleteErased,
  findOpenErasures,
  isCompactionDue,
  makeFinal,
  noteErasure,
  readErasures,
} from './erase.ts'
import { countErased, daysOfErased, findUnchecked, type OpenErasure } from './erased-days.ts'
import { type RewriteContext, rewriteDay } from './rewrite.ts'

/** The steps of an erasure, each durable before the next; see erase.ts for how it stands in between. */

export interface ErasingContext extends RewriteContext {
  readonly memoryBytes: number
  readonly ask: <Answer>(question: (reader: DuckDBConnection) => Promise<Answer>) => Promise<Answer>
  /** Does what needs the database file for itself. */
  readonly whileClosed: (work: (file: string) => Promise<void>) => Promise<void>
}

/**
 * Notes an erasure and deletes what is stored by then; a closed day that cannot be read is left to
 * `settleErasures`.
 */
export async function beginErasure(
  context: ErasingContext,
  partyId: string,
  at: number,
): Promise<Erasure> {
  // Durable before anything is deleted: from here on, nothing that it is about is stored any more.
  await context.change((writer) => noteErasure(writer, partyId, at))
  await deleteAll(context, at, false)
  return (await context.ask((reader) => readErasures(reader, partyId)))[0] as Erasure
}

/**
 * Deletes what came since, and writes the file anew, as deleted rows leave their bytes in it.
 * One at a time: what another one has deleted meanwhile would be called final before its file is.
 * While a closed day cannot be read, the erasures that it may be about stay as they are.
 */
export async function settleErasures(
  context: ErasingContext,
  before: number,
  now: number,
): Promise<void> {
  await deleteAll(context, before, true)
  if (!(await context.ask((reader) => isCompactionDue(reader, before)))) return
  await context.whileClosed((file) => compactDatabase(file, context.memoryBytes))
  await context.change((writer) => makeFinal(writer, before, now))
}

async function deleteAll(context: ErasingContext, before: number, isLast: boolean): Promise<void> {
  const erasures = await context.ask((reader) => findOpenErasures(reader, before))
  if (erasures.length === 0) return
  for (const day of await context.ask(findUnchecked)) await rewriteDay(context, day)
  for (const erasure of erasures) {
    // Nothing is added to these any more, so what is there now is what will be deleted.
    await context.change((writer) => countErased(writer, erasure))
    do await rewriteDays(context, erasure)
    while (!(await context.change((writer) => deleteErased(writer, erasure, isLast))))
  }
}

/** Takes what is to be erased out of the closed days that have it now. */
async function rewriteDays(context: ErasingContext, erasure: OpenErasure): Promise<void> {
  const { found } = await context.ask((reader) => daysOfErased(reader, erasure))
  for (const day of found) {
    await rewriteDay(context, day, {
      without: 'party_id = $1 AND received_at <= $2',
      parameters: [erasure.partyId, BigInt(erasure.at)],
    })
  }
}
