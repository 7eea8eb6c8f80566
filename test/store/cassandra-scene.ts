import { randomBytes } from 'node:crypto'
import cassandra from 'cassandra-driver'
import {
  type CassandraStoreOptions,
  openCassandraStore,
} from '../../src/store/cassandra/cassandra.ts'
import { prepareKeyspace } from '../../src/store/cassandra/migrate.ts'
import { tableNames } from '../../src/store/cassandra/tables.ts'
import type { Store } from '../../src/store/store.ts'
import { sharedCassandra } from '../services.ts'
import type { StorePlace } from './place.ts'

/** What the tests of the store in Cassandra share: a keyspace for each test file. */

export interface Keyspace {
  readonly options: CassandraStoreOptions
  readonly client: cassandra.Client
  /** Opens the store; without rows, if `empty` was called before. */
  readonly open: () => Promise<Store>
  readonly empty: () => Promise<void>
  readonly drop: () => Promise<void>
}

/** Makes a keyspace of its own on the server that the tests share. */
export async function makeKeyspace(over: Partial<CassandraStoreOptions> = {}): Promise<Keyspace> {
  const options: CassandraStoreOptions = {
    contactPoints: [await sharedCassandra()],
    datacenter: 'datacenter1',
    keyspace: `test_${randomBytes(6).toString('hex')}`,
    retentionDays: 92,
    expectedEventsPerDay: 0,
    ...over,
  }
  await prepareKeyspace({ ...options, replicas: 1 })
  const client = new cassandra.Client({
    contactPoints: [...options.contactPoints],
    localDataCenter: options.datacenter,
    keyspace: options.keyspace,
    // Dropping a keyspace waits for its files.
    socketOptions: { readTimeout: 120_000 },
  })
  await client.connect()
  return {
    options,
    client,
    open: () => openCassandraStore(options),
    async empty() {
      // Truncating is dear, and most tables are empty already; but a tombstone is not seen in a table.
      await Promise.all(
        tableNames.map(async (name) => {
          const isLater = ['click_stream', 'events_by_party', 'claims'].includes(name)
          const { rows } = await client.execute(`SELECT * FROM ${name} LIMIT 1`)
          if (isLater || rows.length > 0) await client.execute(`TRUNCATE ${name}`)
        }),
      )
    },
    async drop() {
      try {
        await client.execute(`DROP KEYSPACE ${options.keyspace}`)
      } finally {
        await client.shutdown()
      }
    },
  }
}

/** Places for the suite, in one keyspace after the other: no test needs more than these at once. */
export function placesIn(keyspaces: readonly Keyspace[]): () => StorePlace {
  let next = 0
  return () => {
    const keyspace = keyspaces[next++ % keyspaces.length] as Keyspace
    let isFirst = true
    return {
      async open() {
        if (isFirst) await keyspace.empty()
        isFirst = false
        return telling(await keyspace.open(), keyspace.client)
      },
      remove: async () => undefined,
      deletionLasts: true,
      isSizedLater: true,
      isCopiedElsewhere: true,
      idBytesMax: 30_000,
    }
  }
}

/**
 * The suite asks what a write changed. This store writes without looking and can't tell, so the rows
 * are counted before and after.
 */
function telling(store: Store, client: cassandra.Client): Store {
  let last: Promise<unknown> = Promise.resolve()
  const write: Store['write'] = (batch) => {
    const done = last.then(async () => {
      const before = await countReceipts(client)
      await store.write(batch)
      const after = await countReceipts(client)
      const inserted = after.rows - before.rows
      return { inserted, repeated: after.receipts - before.receipts - inserted }
    })
    last = done.catch(() => undefined)
    return done
  }
  return Object.assign(Object.create(store), { write, close: () => last.then(() => store.close()) })
}

async function countReceipts(
  client: cassandra.Client,
): Promise<{ rows: number; receipts: number }> {
  const { rows } = await client.execute('SELECT pk, receipts FROM click_stream', [], {
    prepare: true,
    fetchSize: 50_000,
  })
  const receipts = rows.reduce((sum, row) => sum + (row['receipts'] as Date[]).length, 0)
  return { rows: rows.length, receipts }
}
