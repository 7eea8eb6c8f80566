import type { PartitionProgress } from '../store.ts'
import { type Session, timeOf } from './session.ts'

/** How far each partition of a log is stored. */
export async function readProgress(
  session: Session,
  log: string,
  topic: string,
): Promise<Map<number, PartitionProgress>> {
  const rows = await session.rows(
    'SELECT log_partition, next_offset, received_at FROM progress WHERE log = ? AND topic = ?',
    [log, topic],
  )
  return new Map(
    rows.map((row) => {
      const receivedAt = row['received_at'] === null ? null : timeOf(row['received_at'])
      return [row['log_partition'] as number, { offset: Number(row['next_offset']), receivedAt }]
    }),
  )
}

/** The identities of the logs of a topic, in the order in which they came. */
export async function readLogs(session: Session, topic: string): Promise<string[]> {
  const rows = await session.rows('SELECT log, since FROM logs WHERE topic = ?', [topic])
  const came = rows.map((row) => ({
    log: row['log'] as string,
    since: (row['since'] as { getDate: () => Date }).getDate().getTime(),
  }))
  return came.sort((a, b) => a.since - b.since).map(({ log }) => log)
}
