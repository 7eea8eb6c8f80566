import type { DuckDBConnection, DuckDBValue } from '@duckdb/node-api'
import type { Repeat } from '../history.ts'
import type { TimeRange } from '../store.ts'
import { literal, rowsOf } from './sql.ts'

/** Repeats of events of a range after `after`, see `HistorySource`. */
export async function readRepeats(
  connection: DuckDBConnection,
  range: TimeRange,
  limit: number,
  after: Repeat | undefined,
): Promise<Repeat[]> {
  const parameters: DuckDBValue[] = []
  let rest = ''
  if (after !== undefined) {
    const { position, eventId, partyId } = after
    parameters.push(eventId, partyId, position.log, position.topic)
    // Its time also stands alone, so that whole row groups before it are left out.
    rest = `AND event_time >= ${literal(after.eventTime)}
      AND (event_time, event_id, party_id, received_at, log, topic, "partition", "offset") >
        (${literal(after.eventTime)}, $1, $2, ${literal(after.receivedAt)}, $3, $4,
         ${literal(position.partition)}, ${literal(position.offset)})`
  }
  const rows = await rowsOf(
    connection,
    `SELECT event_time, event_id, party_id, received_at, log, topic, "partition", "offset"
     FROM repeats JOIN partitions ON id = partition_id
     WHERE ${within(range)} ${rest} ORDER BY ALL LIMIT ${literal(limit)}`,
    parameters,
  )
  return rows.map(([eventTime, eventId, partyId, receivedAt, log, topic, partition, offset]) => ({
    eventTime: eventTime as number,
    eventId: eventId as string,
    partyId: partyId as string,
    receivedAt: receivedAt as number,
    position: {
      log: log as string,
      topic: topic as string,
      partition: partition as number,
      offset: offset as number,
    },
  }))
}

export async function countRepeats(
  connection: DuckDBConnection,
  range: TimeRange,
): Promise<number> {
  const sql = `SELECT count(*) FROM repeats WHERE ${within(range)}`
  return (await rowsOf(connection, sql))[0]?.[0] as number
}

function within({ from, to }: TimeRange): string {
  return `event_time >= ${literal(from)} AND event_time < ${literal(to)}`
}
