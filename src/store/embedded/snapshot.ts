import { copyFile, link } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { MillraceError } from '../../event/error.ts'
import { ensureFolder } from '../../lib/folder.ts'
import { syncPath } from '../../lib/sync.ts'
import { copyDatabase } from './compact.ts'

/**
 * Copies a closed store into an empty folder: what `openEmbeddedStore` opens there is the same. Files
 * of closed days are never changed, only replaced, so a second name for each is enough.
 * @throws MillraceError `store_corrupt` with the name of a file of a closed day that is missing
 */
export async function copyStore(
  file: string,
  dayFiles: readonly string[],
  folder: string,
  memoryBytes: number,
): Promise<void> {
  await copyDatabase(file, join(folder, 'store.duckdb'), memoryBytes)
  const days = join(folder, 'days')
  ensureFolder(days)
  for (const path of dayFiles) await linkOrCopy(path, join(days, basename(path)))
  for (const path of [days, folder]) await syncPath(path)
}

async function linkOrCopy(path: string, copy: string): Promise<void> {
  try {
    await link(path, copy)
  } catch (thrown) {
    // Another disk, or one that knows no second names.
    const { code = '' } = thrown as NodeJS.ErrnoException
    if (code === 'ENOENT') {
      throw new MillraceError('store_corrupt', `${path} is missing`, { cause: thrown })
    }
    if (!['EXDEV', 'EPERM', 'ENOTSUP', 'EMLINK'].includes(code)) throw thrown
    await copyFile(path, copy)
  }
}
