import type { Log } from '../../src/log/log.ts'

/**
 * The negative control: a log as it must not be. It says "done" at once and appends a second later,
 * as collectors do that answer before they store. A checker that finds nothing wrong with this one
 * finds nothing.
 */
export function hasty(log: Log): Log {
  return appendingBy(log, async (records) => {
    const kept = records.map((record) => ({ ...record, value: Uint8Array.from(record.value) }))
    setTimeout(() => void log.append(kept), 1_000)
  })
}

/** The same log with another way to append. */
export function appendingBy(log: Log, append: Log['append']): Log {
  return new Proxy(log, {
    get(target, name) {
      if (name === 'append') return append
      const member: unknown = Reflect.get(target, name, target)
      return typeof member === 'function' ? member.bind(target) : member
    },
  })
}
