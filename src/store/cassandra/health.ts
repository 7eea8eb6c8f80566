import type { StoreHealth } from '../store.ts'
import { readAllDays } from './days.ts'
import { scanDeadLetters } from './dead-letters.ts'
import { type Session, timeOf } from './session.ts'
import { type QuestionRecounting, readTallies } from './tallies.ts'

/** How the store is, but for what only this process knows. */
export async function readHealth(
  session: Session,
  recounting: QuestionRecounting,
): Promise<Omit<StoreHealth, 'lastWrittenAt'>> {
  const tallies = await readTallies(
    session,
    await readAllDays(session),
    ['events', 'repeats', 'bucket', 'bucket_rows'],
    recounting,
  )
  let events = 0
  let duplicates = 0
  let fullestBucket: StoreHealth['fullestBucket']
  for (const row of tallies) {
    events += Number(row?.['events'] ?? 0)
    duplicates += Number(row?.['repeats'] ?? 0)
    const rows = Number(row?.['bucket_rows'] ?? 0)
    if (rows > (fullestBucket?.rows ?? 0)) fullestBucket = { name: row?.['bucket'], rows }
  }
  const [newest] = await session.rows(`SELECT received_at FROM newest WHERE name = 'event'`)
  return {
    events,
    duplicates,
    deadLetters: await countWaiting(session),
    lastReceivedAt: events === 0 || newest === undefined ? null : timeOf(newest['received_at']),
    bytes: await readBytes(session),
    // Cassandra repairs its files from its other copies.
    damagedDays: [],
    ...(fullestBucket !== undefined && { fullestBucket }),
  }
}

async function countWaiting(session: Session): Promise<number> {
  let waiting = 0
  const ever = { from: Number.NEGATIVE_INFINITY, to: Number.POSITIVE_INFINITY }
  for await (const letters of scanDeadLetters(session, ever)) {
    waiting += letters.filter(({ isWaiting }) => isWaiting).length
  }
  return waiting
}

/** On the disk of the node that answers, in whole MiB; what is in memory only is not in it. */
async function readBytes(session: Session): Promise<number> {
  const rows = await session.rows(
    'SELECT mebibytes FROM system_views.disk_usage WHERE keyspace_name = ?',
    [session.keyspace],
  )
  return rows.reduce((sum, row) => sum + Number(row['mebibytes']) * 1024 * 1024, 0)
}
