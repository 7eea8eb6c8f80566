import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Cassandra, startCassandra, superuser } from '../../script/services/cassandra.ts'
import { isMillraceError } from '../../src/event/error.ts'
import { minuteMs } from '../../src/lib/clock.ts'
import {
  type CassandraStoreOptions,
  openCassandraStore,
} from '../../src/store/cassandra/cassandra.ts'
import { prepareKeyspace } from '../../src/store/cassandra/migrate.ts'
import { tablesVersion } from '../../src/store/cassandra/tables.ts'
import type { Store, WriteBatch } from '../../src/store/store.ts'
import { makeKeyspace } from './cassandra-scene.ts'
import { always, anybody, readAll } from './place.ts'
import { at, batchOf, log, makeRow, noon, topic } from './rows.ts'

describe('opening', async () => {
  const keyspace = await makeKeyspace()
  after(() => keyspace.drop())

  test('a keyspace that is not there is refused with what to do', () =>
    assert.rejects(openCassandraStore({ ...keyspace.options, keyspace: 'absent' }), {
      code: 'store_unprepared',
      message: /no keyspace absent/,
      hint: /millrace init/,
    }))

  test('a keyspace without tables, or with older ones, names millrace init', async () => {
    const { client, open } = keyspace
    await client.execute('TRUNCATE migrations')
    await assert.rejects(open(), { code: 'store_unprepared', hint: /millrace init/ })
    await client.execute('DROP TABLE migrations')
    await assert.rejects(open(), { code: 'store_unprepared', message: /has no tables/ })
    await prepareKeyspace({ ...keyspace.options, replicas: 1 })
    await (await open()).close()
  })

  test('tables of a newer version are refused, and not touched by millrace init', async () => {
    const { client, open, options } = keyspace
    const newer = tablesVersion + 1
    await client.execute(`INSERT INTO migrations (version) VALUES (${newer})`)
    await assert.rejects(open(), { code: 'store_version', message: new RegExp(`${newer}`) })
    await assert.rejects(prepareKeyspace({ ...options, replicas: 1 }), { code: 'store_version' })
    await client.execute(`DELETE FROM migrations WHERE version = ${newer}`)
    await (await open()).close()
  })

  test('preparing again changes nothing that is stored', async () => {
    const store = await keyspace.open()
    await store.write(batchOf(makeRow()))
    await Promise.all([1, 2].map(() => prepareKeyspace({ ...keyspace.options, replicas: 1 })))
    assert.equal((await readAll(store)).length, 1)
    await store.close()
  })

  test('an address where nobody listens, or nobody who speaks CQL, is named', async () => {
    const server = createServer((socket) => {
      // The driver never ends its half of a connection that it could not use.
      socket.on('error', () => {})
      socket.end('HTTP/1.1 400 Bad Request\r\n\r\n', () => socket.destroy())
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    for (const address of ['127.0.0.1:1', `127.0.0.1:${port}`, 'no-such-host.invalid:9042']) {
      await assert.rejects(
        openCassandraStore({ ...keyspace.options, contactPoints: [address] }),
        (thrown: Error) => isMillraceError(thrown, 'store_unavailable'),
        address,
      )
    }
    server.close()
  })

  test('a datacenter that is not there is named', () =>
    assert.rejects(openCassandraStore({ ...keyspace.options, datacenter: 'elsewhere' }), {
      message: /elsewhere/,
    }))
})

// After an address that does not speak CQL the driver keeps a timer, and with it the process, for most
// of a minute.
after(() => {
  setTimeout(() => process.exit(), 5_000).unref()
})

describe('a server that asks for a login, and comes and goes', () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-cassandra-'))
  let server: Cassandra
  let options: CassandraStoreOptions

  after(async () => {
    await server?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  test('the right password opens, a wrong one or none is refused with what to set', async () => {
    server = await startCassandra({ folder, heapMb: 256, authenticate: true })
    options = {
      contactPoints: [server.address],
      datacenter: server.datacenter,
      keyspace: 'demo',
      retentionDays: 92,
      expectedEventsPerDay: 1_000,
      ...superuser,
    }
    await prepareKeyspace({ ...options, replicas: 0 })
    await (await openCassandraStore(options)).close()
    const refused = { code: 'store_unauthorized', hint: /MILLRACE_CASSANDRA_PASSWORD/ }
    await assert.rejects(openCassandraStore({ ...options, password: 'wrong' }), refused)
    const { username: _, password: __, ...anonymous } = options
    await assert.rejects(openCassandraStore(anonymous), refused)
  })

  test('stopped and started again during writes: they are refused meanwhile, and nothing is lost', async () => {
    const store = await openCassandraStore(options)
    let refusals = 0
    let started: Promise<void> | undefined
    for (let from = 0; from < 600; from += 20) {
      if (from === 200) {
        await server.stop()
        started = sleep(500).then(() => server.start())
      }
      refusals += await writeUntilStored(store, batchFrom(from))
    }
    await started
    assert.ok(refusals > 0)
    assert.equal((await readAll(store)).length, 600)
    assert.equal((await store.counts(always, anybody))[0]?.count, 600)
    assert.deepEqual([...(await store.positions(log, topic))], [[0, 600]])
    await store.close()
  })

  test('stopped at the open, it is said', async () => {
    await server.stop()
    await assert.rejects(openCassandraStore(options), { code: 'store_unavailable' })
  })
})

function batchFrom(from: number): WriteBatch {
  const rows = Array.from({ length: 20 }, (_, index) =>
    makeRow({ eventId: `e${from + index}`, eventTime: noon + from + index, offset: from + index }),
  )
  return { rows, deadLetters: [], positions: [at(from + 20)] }
}

/** As the consumer does: the same batch again until it is stored. Returns how often it was refused. */
async function writeUntilStored(store: Store, batch: WriteBatch): Promise<number> {
  const until = performance.now() + 6 * minuteMs
  for (let refusals = 0; ; refusals++) {
    try {
      await store.write(batch)
      return refusals
    } catch (thrown) {
      assert.ok(isMillraceError(thrown, 'store_unavailable'), String(thrown))
      if (performance.now() > until) throw thrown
      await sleep(200)
    }
  }
}
