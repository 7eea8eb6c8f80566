import { dayMs } from '../../lib/clock.ts'
import { slotsOf } from '../bucket.ts'
import { forgetClosing } from './closing.ts'
import { type Day, dropDay, readAllDays, type WriterDays } from './days.ts'
import { deleteDeadLetters } from './dead-letters.ts'
import { forEachParallel } from './parallel.ts'
import type { Session } from './session.ts'
import { deleteTallies, type QuestionRecounting, readTallies } from './tallies.ts'

const inFlightMax = 16

/**
 * Deletes the days before the `days` that are kept, today being one of them; returns the events that
 * went. Rows expire by themselves at about the same time; this makes it sharp, and a shorter
 * retention true at once. Whole partitions go, one tombstone each.
 */
export async function deleteBefore(
  session: Session,
  writerDays: WriterDays,
  days: number,
  now: number,
  recounting: QuestionRecounting,
): Promise<number> {
  const oldest = Math.floor(now / dayMs) - (days - 1)
  const gone = (await readAllDays(session)).filter(({ number }) => number < oldest)
  const tallies = await readTallies(session, gone, ['events'], recounting)
  for (const day of gone) {
    await deleteRows(session, day)
    await deleteTallies(session, day)
    await forgetClosing(session, day)
    await dropDay(session, day)
    writerDays.forget(day.number)
  }
  await deleteDeadLetters(session, oldest * dayMs)
  return tallies.reduce((sum, row) => sum + Number(row?.['events'] ?? 0), 0)
}

async function deleteRows(session: Session, { number, layout }: Day): Promise<void> {
  const buckets = slotsOf(number, layout).flatMap((slot) => slot.buckets)
  await forEachParallel(buckets, inFlightMax, (pk) =>
    session.batch([
      { query: 'DELETE FROM click_stream WHERE pk = ?', params: [pk] },
      { query: 'DELETE FROM events_by_party WHERE pk = ?', params: [pk] },
    ]),
  )
}
