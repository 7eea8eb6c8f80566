import { runUntilSignal } from '../../../src/cli/lifecycle.ts'
import { configOf } from '../../../src/cli/options.ts'
import * as stages from '../../../src/cli/stages.ts'
import { createRecordReader, rowOf } from '../../../src/consume/row.ts'
import { waitMs } from '../../../src/lib/retry.ts'
import { type Log, type Offset, storeGroup } from '../../../src/log/log.ts'
import type { Store } from '../../../src/store/store.ts'

/**
 * The negative controls of the consumer: `millrace consume` as it must not be, in the way that
 * `TEST_WRONG_CONSUMER` names.
 *
 * - `early`: the position is stored before the rows, as a consumer does that commits on its own timer.
 * - `uncaught`: nothing catches a record that cannot be read; whoever restarts it meets it again.
 * - `restamping`: rows are placed and stamped by its own clock, as consumers do that ignore what the
 *   record says.
 */

/** How long the rows stay behind the position. */
const behindMs = 300

function storingEarly(store: Store): Store {
  const write: Store['write'] = async ({ rows, deadLetters, positions }) => {
    await store.write({ rows: [], deadLetters: [], positions })
    await waitMs(behindMs)
    return store.write({ rows, deadLetters, positions: [] })
  }
  return withMember(store, 'write', write)
}

function restamping(store: Store): Store {
  const write: Store['write'] = (batch) => {
    const now = Date.now()
    const rows = batch.rows.map((row) => ({ ...row, eventTime: now, receivedAt: now }))
    return store.write({ ...batch, rows })
  }
  return withMember(store, 'write', write)
}

function withMember<Name extends keyof Store>(store: Store, name: Name, own: Store[Name]): Store {
  return new Proxy(store, {
    get(target, asked) {
      if (asked === name) return own
      const member: unknown = Reflect.get(target, asked, target)
      return typeof member === 'function' ? member.bind(target) : member
    },
  })
}

async function consumeUncaught(log: Log, store: Store, signal: AbortSignal): Promise<void> {
  const reader = createRecordReader(log)
  const from = async (partition: number): Promise<Offset | undefined> =>
    (await store.positions(log.identity, log.topic)).get(partition) as Offset | undefined
  while (!signal.aborted) {
    try {
      for await (const batch of log.read({ group: storeGroup, recordsMax: 500, from, signal })) {
        const { partition, records, nextOffset: offset } = batch
        await reader.prepare(records)
        const rows = records.map((record) => rowOf(reader, partition, record))
        const position = { log: log.identity, topic: log.topic, partition, offset }
        await store.write({ rows, deadLetters: [], positions: [position] })
        await log.commit(storeGroup, partition, offset)
      }
    } catch {
      await waitMs(200, signal)
    }
  }
}

const wrong = process.env['TEST_WRONG_CONSUMER']
const config = await configOf({})
await runUntilSignal(async (lifecycle) => {
  const logs = await stages.openLogStage(config, lifecycle)
  const store = await stages.openStoreStage(config, lifecycle)
  if (wrong === 'uncaught') {
    const stopping = new AbortController()
    const running = consumeUncaught(logs.events, store, stopping.signal)
    lifecycle.onStop('consumer', async () => {
      stopping.abort()
      await running
    })
    await stages.openApiStage(config, { logs, store }, lifecycle)
    return
  }
  const own = wrong === 'early' ? storingEarly(store) : restamping(store)
  const consumer = await stages.openConsumeStage(config, logs, own, {}, lifecycle)
  // The API's replay writes as the consumer does.
  await stages.openApiStage(config, { logs, store: own, consumer }, lifecycle)
})
