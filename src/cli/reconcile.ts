import { type Command, InvalidArgumentError } from 'commander'
import type {
  ReconcileLine,
  ReconcileProgressAnswer,
  ReconcileResultAnswer,
} from '../api/reconcile.ts'
import type { Config } from '../config.ts'
import { reconcileLogs } from '../consume/reconcile.ts'
import { MillraceError } from '../event/error.ts'
import { systemClock } from '../lib/clock.ts'
import { openLogs, openStore } from './backends.ts'
import { type ApiClient, connectOwner, errorOfAnswer } from './client.ts'
import { createLifecycle } from './lifecycle.ts'
import { type CommonFlags, configOf, createCommand } from './options.ts'
import { createProgressBar, printable, printOut, quantity } from './terminal.ts'

interface ReconcileFlags extends CommonFlags {
  readonly from?: number
  readonly last?: number
}

type OnProgress = (progress: ReconcileProgressAnswer) => void

/** `millrace reconcile`: names the records of the log that are not in the store. */
export function reconcileCommand(): Command {
  return createCommand('reconcile', 'Compare the log with the store and name what is missing')
    .option('--from <offset>', 'where to begin in each partition', parseOffset)
    .option('--last <records>', 'so many of the last stored ones of each partition', parseOffset)
    .action(async ({ from, last, ...flags }: ReconcileFlags) => {
      const config = await configOf(flags)
      const range = { ...(from !== undefined && { from }), ...(last !== undefined && { last }) }
      const api = await connectOwner(config)
      const run = api === undefined ? here(config, range) : there(api, range)
      const bars = new Map<string, ReturnType<typeof createProgressBar>>()
      const result = await run(async ({ topic, read, total, missing }) => {
        const bar = bars.get(topic) ?? createProgressBar(topic.padEnd(9))
        bars.set(topic, bar)
        bar.update(read, total)
        if (read >= total) bar.end()
        for (const record of missing) await printOut(`${describe(record)}\n`)
      })
      await printOut(summaryOf(result))
      if (result.missing > 0 || !result.complete) process.exitCode = 1
    })
}

function parseOffset(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('It must be a whole number.')
}

type Run = (
  onProgress: (progress: ReconcileProgressAnswer) => Promise<void>,
) => Promise<ReconcileResultAnswer>

interface Range {
  readonly from?: number
  readonly last?: number
}

/** Through the API of the process that owns the store. */
function there(api: ApiClient, range: Range): Run {
  return async (onProgress) => {
    const init = { method: 'POST', body: JSON.stringify(range) }
    for await (const text of api.lines('/api/reconcile', init)) {
      const line = JSON.parse(text) as ReconcileLine
      if ('error' in line) throw errorOfAnswer(line.error)
      if ('result' in line) return line.result
      await onProgress(line.progress)
    }
    throw new MillraceError('api_unreachable', 'the answer ended early')
  }
}

/** Where nobody owns the data folder, in this process. */
function here(config: Config, range: Range): Run {
  return async (onProgress) => {
    const lifecycle = createLifecycle()
    const stopping = new AbortController()
    const stop = (): void => stopping.abort()
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop)
    try {
      const logs = await openLogs(config)
      lifecycle.onStop('log', () => logs.close())
      const store = await openStore(config)
      lifecycle.onStop('store', () => store.close())
      let told = Promise.resolve()
      const tell: OnProgress = (progress) => {
        told = told.then(() => onProgress(progress))
      }
      const options = { ...reconcileOptionsOf(config), ...range, signal: stopping.signal }
      const result = await reconcileLogs({ ...logs, store, clock: systemClock }, options, tell)
      await told
      return result
    } finally {
      await lifecycle.stopAll()
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, stop)
    }
  }
}

/** What a comparison takes from the configuration. */
export function reconcileOptionsOf({ store, consume }: Config): {
  readonly batchRecords: number
  readonly retentionDays: number
} {
  return { batchRecords: consume.batchRecords, retentionDays: store.retentionDays }
}

function describe(record: ReconcileProgressAnswer['missing'][number]): string {
  const { topic, partition, offset, eventId, partyId } = record
  const what =
    eventId === null
      ? 'a record that cannot be read'
      : `event ${eventId} of ${partyId === null ? 'no party' : `party ${partyId}`}`
  return printable(`missing ${topic}/${partition}/${offset}: ${what}`)
}

function summaryOf(result: ReconcileResultAnswer): string {
  const { read, row, repeat, deadLetter, erased, expired, missing, waiting, complete } = result
  const count = (value: number): string => value.toLocaleString('en')
  const parts = [
    quantity(row, 'row'),
    quantity(repeat, 'repeat'),
    quantity(deadLetter, 'dead letter'),
    `${count(erased)} erased`,
    `${count(expired)} expired`,
    `${count(missing)} missing`,
  ]
  const rest = waiting === 0 ? '' : `; ${count(waiting)} wait to be stored`
  const end = complete ? '' : '; stopped before the end'
  return `${quantity(read, 'record')}: ${parts.join(', ')}${rest}${end}\n`
}
