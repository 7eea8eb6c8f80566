import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Millrace on a machine whose clock is off: whatever reads a clock, the libraries included, reads
 * this one. By how many ms says a file beside the data folder, named after the command; it is looked
 * at again and again, and what it said last is in a file `…-taken`. The arguments are those of the
 * command line.
 */

const lookMs = 50
const file = join(process.env['MILLRACE_DATA'] ?? '', '..', `${process.argv[2]}-clock`)
const machineNow = Date.now.bind(Date)
const MachineDate = Date
let offsetMs = 0

Date.now = () => machineNow() + offsetMs
globalThis.Date = new Proxy(MachineDate, {
  construct: (target, args, newTarget) =>
    Reflect.construct(target, args.length === 0 ? [Date.now()] : args, newTarget),
  apply: () => new MachineDate(Date.now()).toString(),
})
look()
setInterval(look, lookMs).unref()

// After the change: what is imported may keep `Date.now` for itself.
await import('../../../src/cli/millrace.ts')

function look(): void {
  const text = read()
  if (text === '' || Number(text) === offsetMs) return
  offsetMs = Number(text)
  writeFileSync(`${file}-taken`, text)
}

function read(): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
