import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { ensureFolder } from '../../lib/folder.ts'
import { Groups } from './groups.ts'
import { describeOwner, readOwner, renewMs, takeNumbered, takePartition } from './ownership.ts'
import { listPartitions } from './topic.ts'

/** A folder that one process has for itself, beside those of others: `FOLDER/NUMBER`. */
export interface Slot {
  readonly number: number
  readonly folder: string
  /** Lets another process take it. */
  release(): Promise<void>
}

/**
 * Takes the slot with this number, or the lowest that no living process has. Undefined when it is a
 * living process's.
 * @throws MillraceError `log_locked`, `log_unwritable`
 */
export async function takeSlot(folder: string, number?: number): Promise<Slot | undefined> {
  ensureFolder(folder)
  const groups = await Groups.open(folder, true, true)
  try {
    const owner = describeOwner()
    const exclusively = <T>(action: () => T) => groups.exclusively(action)
    const ownership =
      number === undefined
        ? await takePartition(folder, owner, exclusively)
        : await takeNumbered(folder, number, owner, exclusively)
    if (ownership === undefined) {
      await groups.close()
      return
    }
    const renewing = setInterval(() => void ownership.renew().catch(() => undefined), renewMs)
    renewing.unref()
    return {
      number: ownership.partition,
      folder: join(folder, String(ownership.partition)),
      async release() {
        clearInterval(renewing)
        await ownership.release()
        await groups.close()
      },
    }
  } catch (thrown) {
    await groups.close()
    throw thrown
  }
}

/** The numbers of the slots that were ever taken, rising. */
export async function listSlots(folder: string): Promise<number[]> {
  return existsSync(folder) ? listPartitions(folder) : []
}

/** For messages: the process that has or had a slot. */
export function slotOwner(folder: string, number: number): number | undefined {
  return readOwner(join(folder, String(number), 'lock'))?.pid
}
