import type { Config } from '../src/config.ts'
import { dayOf } from '../src/lib/clock.ts'
import { forEachParallel } from '../src/store/cassandra/parallel.ts'
import { int64, openSession, type Session, type Statement } from '../src/store/cassandra/session.ts'
import type { Row, Store } from '../src/store/store.ts'

/**
 * A writer that exists for the comparison only: it fills the one table that the peer fills, with the
 * same columns and the same key, over the session and in the batches that the real store uses. No
 * second table, no marks, no position: what they cost is the difference to the real store.
 */

/** The table of both; `event_date` alone as the key would lose events of one millisecond. */
export const tableOfPeer = `CREATE TABLE IF NOT EXISTS click_stream (
  pk text, event_date timestamp, event_id text, click_stream_cookie_id text,
  event_name text, item_id text, url text, client_ip text,
  PRIMARY KEY ((pk), event_date, event_id, click_stream_cookie_id)
)`

const insert = `INSERT INTO click_stream (pk, event_date, event_id, click_stream_cookie_id,
  event_name, item_id, url, client_ip) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`

/** As the real store, see src/store/cassandra/write.ts. */
const batchRowsMax = 50
const inFlightMax = 16

/** What of a store a consumer asks. */
type ConsumerStore = Pick<Store, 'logs' | 'positions' | 'write' | 'close'>

/** Opens the writer into a keyspace that has the table. @throws MillraceError `store_unavailable` */
export async function openOneTable({ cassandra }: Config): Promise<ConsumerStore> {
  const { contactPoints, datacenter, keyspace } = cassandra
  const session = await openSession({ contactPoints, datacenter, keyspace })
  return {
    logs: async () => [],
    positions: async () => new Map(),
    async write({ rows }) {
      await writeRows(session, rows)
      return undefined
    },
    close: () => session.close(),
  }
}

async function writeRows(session: Session, rows: readonly Row[]): Promise<void> {
  const days = Map.groupBy(rows, ({ eventTime }) => dayOf(eventTime))
  const batches = [...days].flatMap(([day, ofDay]) =>
    Array.from({ length: Math.ceil(ofDay.length / batchRowsMax) }, (_, at) =>
      ofDay.slice(at * batchRowsMax, (at + 1) * batchRowsMax).map((row) => statementOf(day, row)),
    ),
  )
  await forEachParallel(batches, inFlightMax, (statements) => session.batch(statements))
}

function statementOf(day: string, row: Row): Statement {
  const key = [day, int64(row.eventTime), row.eventId, row.partyId ?? '']
  const { eventType, itemId, location, remoteAddress } = row
  const values = [eventType, itemId ?? undefined, location ?? undefined, remoteAddress]
  return { query: insert, params: [...key, ...values] }
}
