import { createReadStream, existsSync } from 'node:fs'
import { readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import type { Config } from '../config.ts'
import { MillraceError } from '../event/error.ts'
import { unpackBackup } from '../export/archive.ts'
import { ensureFolder } from '../lib/folder.ts'
import type { Position, StoreHealth } from '../store/store.ts'
import { type Logs, openLogs, openStore } from './backends.ts'
import { type CommonFlags, configOf, createCommand } from './options.ts'
import { createProgressBar, quantity } from './terminal.ts'

/** What a restore has written by now; it is moved to its place when it is whole. */
const unfinished = 'restoring'

/** `millrace restore`: makes a data folder of a backup. */
export function restoreCommand(): Command {
  return createCommand('restore', 'Make a data folder of a backup; it must be empty')
    .argument('<file>', 'what millrace backup wrote')
    .action(async (file: string, flags: CommonFlags) => {
      const config = await configOf(flags)
      if (!existsSync(file)) throw new MillraceError('restore_refused', `there is no file ${file}`)
      const { events, deadLetters, createdAt } = await restore(config, file)
      process.stdout.write(
        `${config.data} holds ${quantity(events, 'event')} and ${quantity(deadLetters, 'dead letter')} as of ${createdAt}; millrace start goes on from there\n`,
      )
    })
}

interface Restored extends Pick<StoreHealth, 'events' | 'deadLetters'> {
  /** ISO 8601. */
  readonly createdAt: string
}

async function restore(config: Config, file: string): Promise<Restored> {
  await refuseUsed(config.data)
  const folder = join(config.data, unfinished)
  // What a restore that was killed has left.
  await rm(folder, { recursive: true, force: true })
  ensureFolder(folder)
  try {
    const bar = createProgressBar('bytes')
    const manifest = await unpackBackup(createReadStream(file), folder, bar.update)
    bar.end()
    const { createdAt } = manifest
    const { events, deadLetters } = await introduceLog(
      { ...config, data: folder },
      join(folder, 'schemas'),
    )
    // The store last: without it the folder is no installation yet.
    for (const part of ['log', 'store']) {
      // The log may be in Kafka.
      if (!existsSync(join(folder, part))) continue
      await rename(join(folder, part), join(config.data, part))
    }
    return { createdAt, events, deadLetters }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function refuseUsed(data: string): Promise<void> {
  const names = existsSync(data) ? await readdir(data) : []
  const used = names.filter((name) => name !== unfinished)
  if (used.length === 0) return
  throw new MillraceError(
    'restore_refused',
    `${data} is not empty, it has ${used.sort().join(', ')}`,
  )
}

/**
 * A restored store goes on with a log of its own: a new one, which it knows from the beginning. The
 * old log may have gone on after the backup, and what it holds can be read into it by a replay. A log
 * in Kafka is the old one: the store reads on where it stood.
 */
async function introduceLog(config: Config, schemaFolder: string): Promise<StoreHealth> {
  const logs = await openLogs(config)
  try {
    await addSchemas(logs, schemaFolder)
    const store = await openStore(config)
    try {
      const positions: Position[] = []
      for (const { identity, topic } of [logs.events, logs.rejected]) {
        if ((await store.logs(topic)).includes(identity)) continue
        positions.push({ log: identity, topic, partition: 0, offset: 0 })
      }
      await store.write({ rows: [], deadLetters: [], positions })
      return await store.health()
    } finally {
      await store.close()
    }
  } finally {
    await logs.close()
  }
}

/** Dead letters of older versions are read by the schemas that wrote them. */
async function addSchemas({ events, rejected }: Logs, folder: string): Promise<void> {
  for (const name of existsSync(folder) ? await readdir(folder) : []) {
    const text = await readFile(join(folder, name), 'utf8')
    for (const log of [events, rejected]) await log.addSchema(text)
  }
}
