import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import { MillraceError } from '../event/error.ts'
import { connectApi } from './client.ts'
import { type CommonFlags, configOf, createCommand } from './options.ts'
import { createProgressBar } from './terminal.ts'
import { writeWholeFile } from './whole-file.ts'

interface BackupFlags extends CommonFlags {
  readonly force?: boolean
}

/** `millrace backup`: the store of the running system as one tar file. */
export function backupCommand(): Command {
  return createCommand('backup', 'Write a backup of the running system into a tar file')
    .argument('<path>', 'the file to write, or a folder that gets one named by the time')
    .option('--force', 'write over a file that is there')
    .action(async (path: string, flags: BackupFlags) => {
      const api = await connectApi(await configOf(flags))
      const file = fileOf(path, new Date())
      if (flags.force !== true && existsSync(file)) throw new MillraceError('file_exists', file)
      const { chunks, total } = await api.bytes('/api/backup')
      const bar = createProgressBar('bytes')
      let done = 0
      const counted = async function* (): AsyncIterable<Uint8Array> {
        for await (const chunk of chunks) {
          done += chunk.byteLength
          bar.update(done, total ?? done)
          yield chunk
        }
        if (total !== null && done !== total) {
          throw new MillraceError(
            'api_unreachable',
            `the answer ended after ${done} of ${total} bytes`,
          )
        }
      }
      await writeWholeFile(file, counted())
      bar.end()
      process.stdout.write(
        `${file}: ${done.toLocaleString('en')} bytes; millrace restore takes it\n`,
      )
    })
}

function fileOf(path: string, now: Date): string {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return path
  const stamp = now.toISOString().slice(0, 19).replaceAll(':', '')
  return join(path, `millrace-${stamp}Z.tar`)
}
