import { createRandom } from '../store/rows.ts'
import { judge, type Ledger, type Verdict } from './ledger.ts'
import {
  freePort,
  type RunOptions,
  startMillrace,
  temporaryFolder,
  untilStored,
} from './process.ts'
import { createFaultLedger } from './scaled/checker.ts'
import { startDriver } from './scaled/driver.ts'

export interface KillOptions {
  readonly seed: number
  readonly kills: number
  /** Events per second, half of them single requests of the tag, half in batches. */
  readonly rate: number
  /** Another program than `millrace start`. */
  readonly script?: string
  readonly onKill?: (kill: number, ledger: Ledger) => void
}

/** Acknowledged before each kill. */
const eventsMin = 200

/**
 * Sends events all the time and kills the process again and again, at moments that the seed decides,
 * starting it on the same folder each time; then counts every event of the ledger in the store.
 */
export async function killRun(options: KillOptions): Promise<Verdict> {
  const random = createRandom(options.seed)
  const folder = temporaryFolder()
  const ledger = createFaultLedger('preview')
  const run: RunOptions = {
    folder: folder.path,
    collectPort: await freePort(),
    apiPort: await freePort(),
    env: { MILLRACE_COLLECT_REQUESTS_PER_SECOND_MAX: '0' },
    ...(options.script === undefined ? {} : { script: options.script }),
  }
  try {
    for (let kill = 1; kill <= options.kills; kill++) {
      const running = await startMillrace(run)
      const driver = startDriver({ port: run.collectPort, rate: options.rate }, ledger)
      // However slow the machine is, there is something to lose.
      await driver.untilAcknowledged(eventsMin)
      await new Promise((resolve) => setTimeout(resolve, random() * 1_300))
      await running.kill()
      await driver.stop()
      options.onKill?.(kill, ledger)
    }
    const { script: _, ...proper } = run
    const last = await startMillrace(proper)
    try {
      await untilStored(last)
      return await judge(ledger, last)
    } finally {
      await last.stop()
    }
  } finally {
    folder.remove()
  }
}
