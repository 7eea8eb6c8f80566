import { Registry } from 'prom-client'
import { runUntilSignal } from '../../src/cli/lifecycle.ts'
import { configOf } from '../../src/cli/options.ts'
import * as stages from '../../src/cli/stages.ts'
import type { Log } from '../../src/log/log.ts'

/**
 * The negative control: Millrace as it must not be. Its log says "done" at once and appends a little
 * later, as collectors do that answer before they store. A checker that finds nothing wrong with
 * this one finds nothing.
 */
function hasty(log: Log): Log {
  const append: Log['append'] = async (records) => {
    const kept = records.map((record) => ({ ...record, value: Uint8Array.from(record.value) }))
    setTimeout(() => void log.append(kept), 100)
  }
  return new Proxy(log, {
    get(target, name) {
      if (name === 'append') return append
      const member: unknown = Reflect.get(target, name, target)
      return typeof member === 'function' ? member.bind(target) : member
    },
  })
}

const config = await configOf({})
await runUntilSignal(async (lifecycle) => {
  const logs = await stages.openLogStage(config, lifecycle)
  const store = await stages.openStoreStage(config, lifecycle)
  const consumer = await stages.openConsumeStage(config, logs, store, {}, lifecycle)
  await stages.openApiStage(config, { logs, store, consumer }, lifecycle)
  const promising = { ...logs, events: hasty(logs.events) }
  await stages.openCollectStage(config, promising, new Registry(), lifecycle, null)
})
