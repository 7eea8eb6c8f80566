import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { test } from 'node:test'
import avro from 'avsc'
import type { EventsAnswer } from '../../src/api/answer.ts'
import { openEmbeddedLog } from '../../src/log/embedded/embedded.ts'
import type { LogRecord } from '../../src/log/log.ts'
import {
  environmentOf,
  optionsBelow,
  type Running,
  runCommand,
  startMillrace,
  temporaryFolder,
  untilDeadLetter,
  untilStored,
} from '../fault/process.ts'
import { type Order, orderSchema, writeMappedConfig } from './mapping-scene.ts'

/** The whole way of mapped events, embedded: collect, log, consume, store, and a dead letter back. */

const party = '0:kf12ot8g:PartyPartyPartyPartyPartyPartyPa'
const clientTime = Date.now() - 60_000
const buy = {
  eventId: 'buy-1',
  partyId: party,
  eventType: 'buy',
  clientTime,
  parameters: { item_id: 'A-1', price: '2.50', note: 'not mapped' },
}
const look = { eventId: 'look-1', partyId: party, eventType: 'look', clientTime: clientTime + 1 }
const itemOrFail = 'event.itemId'

async function post(running: Running, event: object, headers: Record<string, string> = {}) {
  const response = await fetch(`${running.collectorUrl}/events`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify(event),
  })
  return [response.status, await response.json()]
}

async function storedEvents(running: Running): Promise<EventsAnswer['events']> {
  const response = await fetch(`${running.apiUrl}/api/events?last=30d&order=asc`)
  return ((await response.json()) as EventsAnswer).events
}

test('a mapped event is its record on the log and its row in the store, once, and a failed one is mapped later', async () => {
  const folder = temporaryFolder()
  const config = writeMappedConfig(folder.path, itemOrFail)
  const options = await optionsBelow(folder.path, 'data')
  const run = () => startMillrace({ ...options, env: { MILLRACE_CONFIG: config } })
  let running = await run()
  try {
    const accepted = (eventId: string) => [200, { results: [{ eventId, status: 'accepted' }] }]
    assert.deepEqual(await post(running, buy, { 'X-Test': 'one, two' }), accepted('buy-1'))
    assert.deepEqual(await post(running, buy), accepted('buy-1'))
    assert.deepEqual(await post(running, look), accepted('look-1'))
    await untilStored(running)
    await untilDeadLetter(running)
    const [event, ...others] = await storedEvents(running)
    assert.equal(others.length, 0)
    assert.equal(event?.eventId, 'buy-1')
    assert.equal(event?.partyId, party)
    assert.equal(event?.eventTime, new Date(clientTime).toISOString())
    assert.deepEqual([event?.eventType, event?.itemId], ['buy', 'A-1'])
    const letters = await runCommand(['dead-letters', 'list'], environmentOf(options))
    assert.match(letters.stdout, /event_unmapped.*orders: the field item is required/)
    assert.equal(letters.stdout.match(/event_unmapped/g)?.length, 1)
    assert.match(running.output(), /1 events are kept as dead letters: .*orders: the field item/)

    assert.equal(await running.stop(), 0)
    writeMappedConfig(folder.path, `event.itemId ?? 'none'`)
    running = await run()
    for (const code of [0, 0]) {
      const replayed = await runCommand(['dead-letters', 'replay', 'rejected/0/0'], {
        ...environmentOf(options),
        MILLRACE_CONFIG: config,
      })
      assert.equal(replayed.code, code, replayed.stderr)
    }
    await untilStored(running)
    const stored = await storedEvents(running)
    assert.deepEqual(
      stored.map(({ eventId, eventType, itemId }) => [eventId, eventType, itemId]),
      [
        ['buy-1', 'buy', 'A-1'],
        ['look-1', 'look', 'none'],
      ],
    )
    assert.equal(await running.stop(), 0)
    await checkLog(join(options.folder, 'log'))
  } finally {
    await running.stop()
    folder.remove()
  }
})

/** Whoever reads the log finds the user's record and nothing else, and who and when in headers. */
async function checkLog(folder: string): Promise<void> {
  const type = avro.Type.forSchema(orderSchema as never)
  const log = await openEmbeddedLog({
    folder,
    topic: 'events',
    readOnly: true,
    segmentBytes: 1_048_576,
    maxBytes: 10_485_760,
    retentionDays: 7,
    syncIntervalMs: 4,
    diskReserveBytes: 0,
  })
  try {
    const records: LogRecord[] = []
    const from = async () => undefined
    for await (const batch of log.read({ from, recordsMax: 100, untilEnd: true })) {
      records.push(...batch.records.map((one) => ({ ...one, value: Buffer.from(one.value) })))
    }
    const visitor = createHash('sha256').update(party).digest('hex')
    const order: Order = {
      visitor,
      kind: 'buy',
      item: 'A-1',
      price: 2.5,
      eventTime: 'unknown',
      agent: ['one', 'two'],
    }
    const [first, second, third] = records.map(({ value }) => {
      return { ...(type.fromBuffer(value as Buffer) as Order) }
    })
    assert.deepEqual(first, order)
    assert.deepEqual(second, { ...order, agent: null })
    assert.deepEqual(third, { ...order, agent: null, kind: 'look', item: 'none', price: null })
    const headers = records[0]?.headers
    assert.equal(headers?.['millrace-event-id'], 'buy-1')
    assert.equal(headers?.['millrace-event-time'], String(clientTime))
    assert.ok(Number(headers?.['millrace-received-at']) > clientTime)
  } finally {
    await log.close()
  }
}

test('a mapping that cannot fit its schema stops the start and names the field', async () => {
  const folder = temporaryFolder()
  try {
    const options = await optionsBelow(folder.path, 'data')
    const env = (config: string) => ({ ...environmentOf(options), MILLRACE_CONFIG: config })
    const config = writeMappedConfig(folder.path, `'a', itme: 'b'`)
    const { code, stderr } = await runCommand(['start'], env(config))
    assert.equal(code, 1)
    assert.match(stderr, /mappings\.orders: there is no field itme; did you mean item\?/)
    assert.match(stderr, /config_invalid/)
  } finally {
    folder.remove()
  }
})
