import { MillraceError } from '../../event/error.ts'
import { dayMs, dayOf } from '../../lib/clock.ts'
import { dayNumberOf, planLayout } from '../bucket.ts'
import type { HistoryTarget } from '../history.ts'
import type { Erasure } from '../store.ts'
import { createWriterDays } from './days.ts'
import { checkTables } from './migrate.ts'
import { int64, openSession, type Session, type SessionOptions } from './session.ts'

/**
 * Opens a keyspace to take over what another store has, before rows come.
 * @throws MillraceError as `openCassandraStore`
 */
export async function openHistoryTarget(options: SessionOptions): Promise<HistoryTarget> {
  const session = await openSession(options)
  try {
    await checkTables(session)
  } catch (thrown) {
    await session.close()
    throw thrown
  }
  return {
    layOut: (expected) => layOut(session, expected),
    adoptErasures: (salt, erasures) => adoptErasures(session, salt, erasures),
    close: () => session.close(),
  }
}

async function layOut(session: Session, expected: ReadonlyMap<string, number>): Promise<void> {
  const days = createWriterDays(session, async (day) =>
    planLayout(expected.get(dayOf(day * dayMs)) ?? 0),
  )
  // One after the other: days of one month would compete for its partition.
  for (const day of expected.keys()) await days.ensure(dayNumberOf(Date.parse(`${day}T00:00:00Z`)))
}

async function adoptErasures(
  session: Session,
  salt: string,
  erasures: readonly Erasure[],
): Promise<void> {
  if (erasures.length === 0) return
  // The embedded store has a line break between salt and party; here nothing is between them.
  const wanted = `${salt}\n`
  await session.compareAndSet(
    `INSERT INTO settings (name, value) VALUES ('salt', ?) IF NOT EXISTS`,
    [wanted],
  )
  const [row] = await session.rows(`SELECT value FROM settings WHERE name = 'salt'`)
  if (row?.['value'] !== wanted) {
    const detail = 'both stores have erased parties, and their hashes are of different salts'
    throw new MillraceError('migrate_refused', detail)
  }
  for (const { party, at, deleted, finalAt } of erasures) {
    if (finalAt === null) throw new MillraceError('migrate_refused', 'an erasure is not final yet')
    const { events, repeats, claims, deadLetters } = deleted
    await session.rows(
      `INSERT INTO erasures (party, erased_at, events, repeats, claims, dead_letters, final_at)
       VALUES (?, ?, ?, ?, ?, ?, ?)`,
      [
        ...[party, int64(at), int64(events), int64(repeats), int64(claims)],
        ...[int64(deadLetters), int64(finalAt)],
      ],
    )
  }
}
