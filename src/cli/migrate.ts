import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Command, Option } from 'commander'
import type { Config } from '../config.ts'
import { type Comparison, compareStores } from '../consume/compare.ts'
import { openConsumer } from '../consume/consume.ts'
import { isCaughtUp } from '../consume/erase.ts'
import {
  eraseCopied,
  type Migrated,
  type MigrateOptions,
  type MigrateParts,
  migrateDays,
  migrateDeadLetters,
  migratePositions,
  prepareTarget,
} from '../consume/migrate.ts'
import { MillraceError } from '../event/error.ts'
import { importTopic } from '../import/identity.ts'
import { systemClock } from '../lib/clock.ts'
import type { Row, Store } from '../store/store.ts'
import {
  historyTargets,
  type Logs,
  openEmbeddedHistory,
  openHistoryTarget,
  openLogs,
  openStore,
  prepareStore,
} from './backends.ts'
import { createLifecycle, type Lifecycle } from './lifecycle.ts'
import { type CommonFlags, configOf, createCommand } from './options.ts'
import { printRows } from './table.ts'
import { createProgressBar, logLine, printable, quantity } from './terminal.ts'

interface MigrateFlags extends CommonFlags {
  readonly to: (typeof historyTargets)[number]
}

/** `millrace migrate --to cassandra`: takes the history of an embedded installation along. */
export function migrateCommand(): Command {
  return createCommand('migrate', 'Take the history of this data folder along to servers')
    .addOption(
      new Option('--to <store>', 'where to, as the configuration has it')
        .choices(historyTargets)
        .makeOptionMandatory(),
    )
    .action(async (flags: MigrateFlags) => {
      const config = await configOf(flags)
      const lifecycle = createLifecycle()
      const stopping = new AbortController()
      const stop = (): void => stopping.abort()
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop)
      try {
        await migrate({ ...config, store: { ...config.store, backend: flags.to } }, lifecycle, {
          ...config.consume,
          signal: stopping.signal,
          onRetry: (error, attempt) => logLine(`try ${attempt} failed: ${error.message}`),
        })
      } finally {
        await lifecycle.stopAll()
        for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, stop)
      }
    })
}

async function migrate(
  config: Config,
  lifecycle: Lifecycle,
  options: MigrateOptions,
): Promise<void> {
  const embedded = embeddedOf(config)
  if (!existsSync(join(config.data, 'store'))) {
    throw new MillraceError('migrate_refused', `there is no embedded store in ${config.data}`)
  }
  const source = await openEmbeddedHistory(embedded)
  lifecycle.onStop('embedded store', () => source.close())
  // Then there is no other log to take leave of: the new store reads on where the old one stood.
  const isSameLog = await isKnownLog(config, source)
  const oldLogs = await openLogs(isSameLog ? config : embedded)
  lifecycle.onStop('log', () => oldLogs.close())
  if (!isSameLog) await storeRest(embedded, oldLogs, source, options.signal)

  await prepareStore(config)
  const heir = await openHistoryTarget(config)
  await prepareTarget({ source }, heir, config.store.retentionDays, systemClock).finally(() =>
    heir.close(),
  )
  const target = await openStore(config)
  lifecycle.onStop('store', () => target.close())
  const bar = createProgressBar('events  ')
  const parts = { source, target, name: oldLogs.events.identity }
  const migrated = await migrateDays(parts, { ...options, onProgress: bar.update })
  bar.end()
  const { letters, schemas } = await migrateDeadLetters(parts, options)
  const comparison = await compareAndMend(parts, options)
  await printComparison(comparison)
  checkComparison(comparison)
  if (!isSameLog) await refuseLate(oldLogs, source)
  await migratePositions(parts, ['events', 'rejected', importTopic])
  if (!isSameLog) await introduceLogs(config, oldLogs, target, schemas)
  printSummary(migrated, letters, comparison)
}

/** The installation that the data folder was until now. */
function embeddedOf({ ...config }: Config): Config {
  return {
    ...config,
    log: { ...config.log, backend: 'embedded' },
    store: { ...config.store, backend: 'embedded' },
    consume: { ...config.consume, recordSchema: 'event', rowOf: undefined },
  }
}

/** Whether the store is filled from the configured log already, which then is in Kafka. */
async function isKnownLog(config: Config, store: Store): Promise<boolean> {
  if (config.log.backend === 'embedded') return false
  const logs = await openLogs(config)
  try {
    return (await store.logs(logs.events.topic)).includes(logs.events.identity)
  } finally {
    await logs.close()
  }
}

/** Stores what waits on the embedded log. */
async function storeRest(
  config: Config,
  logs: Logs,
  store: Store,
  signal: AbortSignal,
): Promise<void> {
  const parts = { ...logs, store, clock: systemClock }
  const onRetry = (error: Error, attempt: number): void =>
    logLine(`try ${attempt} failed: ${error.message}`)
  const consumer = await openConsumer({ ...config.consume }, { ...parts, onRetry })
  try {
    const isDone = isCaughtUp(parts, Number.POSITIVE_INFINITY, signal)
    const outcome = await Promise.race([isDone, consumer.done.then(() => false)])
    if (!outcome) throw new MillraceError('migrate_stopped', 'it was stopped')
  } finally {
    await consumer.stop()
  }
}

/** A collector that still writes to the old log would leave events behind. */
async function refuseLate(logs: Logs, store: Store): Promise<void> {
  for (const log of [logs.events, logs.rejected]) {
    const positions = await store.positions(log.identity, log.topic)
    const isPast = (await log.partitions()).every(
      ({ partition, first, next }) => next === first || (positions.get(partition) ?? 0) >= next,
    )
    if (isPast) continue
    throw new MillraceError(
      'migrate_stopped',
      'events were collected meanwhile: stop the old collector first',
    )
  }
}

/**
 * Makes the configured logs known to the store, which was filled from others: they are read from
 * their beginning, with the schemas that dead letters need.
 */
async function introduceLogs(
  config: Config,
  old: Logs,
  store: Store,
  schemas: ReadonlySet<string>,
): Promise<void> {
  if (config.log.backend === 'embedded') return
  const logs = await openLogs(config)
  try {
    for (const log of [logs.events, logs.rejected]) {
      for (const name of schemas) {
        const text = (await old.events.schema(name)) ?? (await old.rejected.schema(name))
        if (text !== undefined && logs.foreign?.schemaText === undefined) await log.addSchema(text)
      }
      const { identity, topic } = log
      if ((await store.logs(topic)).includes(identity)) continue
      const positions = (await log.partitions()).map(({ partition, first: offset }) => ({
        log: identity,
        topic,
        partition,
        offset,
      }))
      await store.write({ rows: [], deadLetters: [], positions })
    }
  } finally {
    await logs.close()
  }
}

/** Compares; after an earlier run the old installation may have erased parties and stored events. */
async function compareAndMend(parts: MigrateParts, options: MigrateOptions): Promise<Comparison> {
  const parties = new Set<string>()
  const hasErased = (await parts.source.erasures()).length > 0
  const comparison = await compare(parts, ({ partyId }) => {
    if (hasErased && partyId !== null) parties.add(partyId)
  })
  const again = comparison.incomplete
  if ((await eraseCopied(parts, parties, systemClock)) === 0 && again.length === 0) {
    return comparison
  }
  await migrateDays(parts, { ...options, again })
  return compare(parts)
}

async function compare(
  { source, target }: MigrateParts,
  onMore?: (row: Row) => void,
): Promise<Comparison> {
  const bar = createProgressBar('compared')
  const days = (await source.days()).map(({ day }) => day)
  const comparison = await compareStores(source, target, days, bar.update, onMore)
  bar.end()
  return comparison
}

async function printComparison({ counts }: Comparison): Promise<void> {
  await printRows(
    counts,
    [
      { title: 'day', value: ({ day }) => day },
      { title: 'event type', value: ({ eventType }) => eventType },
      { title: 'here', value: ({ source }) => source },
      { title: 'there', value: ({ target }) => target },
    ],
    {},
  )
}

function checkComparison({ missing, samples }: Comparison): void {
  if (missing === 0) return
  const named = samples.map(({ eventId, partyId }) => printable(`${eventId} of ${partyId}`))
  const more = missing > named.length ? `, and ${missing - named.length} more` : ''
  throw new MillraceError(
    'migrate_differs',
    `${quantity(missing, 'event')} missing: ${named}${more}`,
  )
}

function printSummary(
  { events, repeats, days, daysBefore }: Migrated,
  letters: number,
  { more }: Comparison,
): void {
  const before =
    daysBefore === 0 ? '' : ` (${daysBefore.toLocaleString('en')} of them by an earlier run)`
  const others = more === 0 ? '' : `; ${quantity(more, 'event')} there from elsewhere`
  process.stdout.write(
    `there now: ${quantity(events, 'event')} of ${quantity(days, 'day')}${before}, ${quantity(repeats, 'repeat')} and ${quantity(letters, 'dead letter')}${others}\n`,
  )
}
