import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { MillraceError } from '../../src/event/error.ts'
import { type EmbeddedLogOptions, openEmbeddedLog } from '../../src/log/embedded/embedded.ts'
import type { AppendRecord, Log } from '../../src/log/log.ts'
import { openSpooledLog, type SpooledLog, type SpoolOptions } from '../../src/log/spool.ts'
import { embeddedOptions, temporaryFolder } from './embedded-scene.ts'

/** How the log behaves to who stands before it: as it is, refuses at once, or says nothing. */
export type Door = 'open' | 'refused' | 'silent'

export const awayError = new MillraceError('log_unavailable', 'the door is shut')

/** A log and a spool in one folder, both real; a door before the log can be shut. */
export class SpoolScene {
  door: Door = 'open'
  /** Appends that came to the door while it was shut. */
  turnedAway = 0
  /** Of what was handed to the log, in this order. */
  readonly reached: string[] = []
  readonly lines: string[] = []
  readonly folder: string
  readonly #opened: Pick<Log, 'close'>[] = []

  private constructor(folder: string) {
    this.folder = folder
  }

  static async open(t: TestContext): Promise<SpoolScene> {
    const { folder, remove } = await temporaryFolder()
    const scene = new SpoolScene(folder)
    t.after(async () => {
      // Who is open may still write.
      for (const one of scene.#opened.reverse()) await one.close()
      await remove()
    })
    return scene
  }

  async openSpool(options: Partial<EmbeddedLogOptions> = {}): Promise<Log> {
    const folder = join(this.folder, 'spool')
    const spool = await openEmbeddedLog(
      embeddedOptions(folder, { retentionDays: 0, write: true, ...options }),
    )
    this.#opened.push(spool)
    return spool
  }

  async openLog(): Promise<Log> {
    const log = await openEmbeddedLog(embeddedOptions(join(this.folder, 'log')))
    this.#opened.push(log)
    return log
  }

  async openSpooled(
    options: Partial<SpoolOptions> = {},
    spoolOptions: Partial<EmbeddedLogOptions> = {},
  ): Promise<SpooledLog> {
    const spool = options.spool ?? (await this.openSpool(spoolOptions))
    const spooled = await openSpooledLog({
      openLog: async () => {
        await this.#pass()
        return this.#behindDoor(await this.openLog())
      },
      spool,
      afterMs: 10_000,
      drainPerSecondMax: 1_000_000,
      recordBytesMax: 100_000,
      onLine: (line) => this.lines.push(line),
      ...options,
    })
    this.#opened.push(spooled)
    return spooled
  }

  #behindDoor(log: Log): Log {
    return new Proxy(log, {
      get: (target, name) => {
        const value = Reflect.get(target, name, target)
        if (name === 'append') {
          return async (records: readonly AppendRecord[]) => {
            await this.#pass()
            for (const { value } of records) this.reached.push(Buffer.from(value).toString())
            await target.append(records)
          }
        }
        if (name === 'check' || name === 'addSchema') {
          return async (...args: never[]) => {
            await this.#pass()
            await Reflect.apply(value, target, args)
          }
        }
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
  }

  async #pass(): Promise<void> {
    if (this.door === 'open') return
    this.turnedAway++
    // A silent one may answer after all, later than anybody waits.
    while (this.door === 'silent') await sleep(5)
    if (this.door === 'refused') throw awayError
  }
}

/** Waits until it is so. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 120_000
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`never: ${isSo}`)
    await sleep(5)
  }
}
