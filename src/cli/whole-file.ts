import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createWriteStream, rmSync } from 'node:fs'
import { rename } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { ensureFolder } from '../lib/folder.ts'
import { syncPath } from '../lib/sync.ts'

/**
 * Writes a file that has its name only when it is whole and on the disk. Ctrl+C, a full disk or an
 * answer that breaks off leave nothing behind.
 */
export async function writeWholeFile(
  path: string,
  chunks: AsyncIterable<Uint8Array | string>,
): Promise<void> {
  const target = resolve(path)
  ensureFolder(dirname(target))
  const temporary = `${target}.${randomBytes(6).toString('hex')}.part`
  const forget = removeAtSignal(temporary)
  try {
    const stream = createWriteStream(temporary, { flags: 'wx', flush: true })
    await once(stream, 'open')
    const failed = once(stream, 'error').then(([error]) => {
      throw error
    })
    failed.catch(() => undefined)
    for await (const chunk of chunks) {
      if (!stream.write(chunk)) await Promise.race([once(stream, 'drain'), failed])
    }
    stream.end()
    await Promise.race([once(stream, 'close'), failed])
    await rename(temporary, target)
    await syncPath(dirname(target))
  } catch (thrown) {
    rmSync(temporary, { force: true })
    throw thrown
  } finally {
    forget()
  }
}

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

function removeAtSignal(path: string): () => void {
  const end = (signal: NodeJS.Signals): void => {
    rmSync(path, { force: true })
    process.exit(signal === 'SIGINT' ? 130 : 143)
  }
  for (const signal of signals) process.once(signal, end)
  return () => {
    for (const signal of signals) process.off(signal, end)
  }
}
