import { toError } from '../../../src/lib/assert.ts'
import { createRandom } from '../../store/rows.ts'
import { createFaultLedger, type FaultLedger, isClean, judge, type Verdict } from './checker.ts'
import { type Driver, type DriverOptions, startDriver } from './driver.ts'
import { gatherEvidence } from './evidence.ts'
import { openScene, type Scene, type SceneOptions } from './scene.ts'
import { type ServerNeeds, type Servers, type SharedAddresses, withServers } from './servers.ts'

/** Runs rows of the fault matrix: load, fault, healing, and a judgement for each seed. */

/** One row of the fault matrix. */
export interface FaultRow {
  /** Its number in the matrix. */
  readonly number: number
  readonly title: string
  readonly needs?: ServerNeeds
  readonly scene?: Omit<SceneOptions, 'servers'>
  /** Asked first: why this row cannot be run on this machine; undefined where it can. */
  readonly whyNot?: () => Promise<string | undefined>
  /** Called once, before the first seed; what it returns is called after the last. */
  readonly prepare?: (scene: Scene) => Promise<() => Promise<void>>
  /**
   * One seed: load, fault, healing. Collector and consumer run when it is called, and have to run
   * when it ends. Afterwards everything is stored and judged.
   */
  readonly run: (scene: Scene, attempt: Attempt) => Promise<void>
  /** What else has to hold once all is stored; tells `attempt.broken`. */
  readonly check?: (scene: Scene, attempt: Attempt) => Promise<void>
  /** The same with a part that breaks the promise: the checker has to notice. */
  readonly control?: Control
}

/** What differs from the row. */
export type Control = { readonly title: string } & Partial<
  Pick<FaultRow, 'needs' | 'scene' | 'prepare' | 'run' | 'check'>
>

/** One seed of a row. */
export interface Attempt {
  readonly seed: number
  /** The nemesis' dice: the same numbers for the same seed. */
  readonly random: () => number
  readonly ledger: FaultLedger
  /** Days to ask the API for, as a query string; `last=3d` unless it is set. */
  range?: string
  /** What was broken beside what the checker finds, in words. */
  readonly broken: string[]
  /** What was done, for the line of this seed. */
  readonly notes: string[]
  /** Starts to send; stopped by the row, or when it ends. */
  drive(options: DriverOptions): Driver
}

/** How one seed went. */
export interface SeedResult {
  readonly seed: number
  readonly isControl: boolean
  readonly verdict: Verdict
  readonly broken: readonly string[]
  readonly notes: readonly string[]
  /** From the start of the seed to its judgement. */
  readonly seconds: number
}

export interface RowRun {
  readonly seeds: number
  readonly firstSeed: number
  /** Of the negative control; it ends early once it was caught. Default 3. */
  readonly controlSeeds?: number
  readonly shared: SharedAddresses
  readonly onSeed?: (result: SeedResult) => void
}

export interface RowResult {
  readonly row: FaultRow
  readonly seeds: readonly SeedResult[]
  /** Empty for a row without a control. */
  readonly control: readonly SeedResult[]
  /** Why nothing was run. */
  readonly skipped?: string
}

const controlSeedsUsual = 3
/** What a send that was given up still brings may come between two readings. */
const readingsMax = 4
const againMs = 1_000

export async function runRow(row: FaultRow, run: RowRun): Promise<RowResult> {
  const skipped = await row.whyNot?.()
  if (skipped !== undefined) return { row, seeds: [], control: [], skipped }
  const seeds = Array.from({ length: run.seeds }, (_, index) => run.firstSeed + index)
  const controlSeeds = seeds.slice(0, run.controlSeeds ?? controlSeedsUsual)
  const { control } = row
  return withServers(row.needs ?? {}, run.shared, async (servers) => {
    const results = await runSeeds(row, servers, run, seeds, false)
    if (control === undefined || controlSeeds.length === 0) {
      return { row, seeds: results, control: [] }
    }
    const broken = { ...row, ...control }
    const runControl = (where: Servers): Promise<SeedResult[]> =>
      runSeeds(broken, where, run, controlSeeds, true)
    const found = await (control.needs === undefined
      ? runControl(servers)
      : withServers(control.needs, run.shared, runControl))
    return { row, seeds: results, control: found }
  })
}

/** True when every promise was kept. */
export function isKept({ seeds, skipped }: RowResult): boolean {
  if (skipped === undefined && seeds.length === 0) return false
  return seeds.every(({ verdict, broken }) => isClean(verdict) && broken.length === 0)
}

/** True when the checker has noticed the negative control, or when there is none. */
export function isCaught({ row, control, skipped }: RowResult): boolean {
  return row.control === undefined || skipped !== undefined || control.some(isBroken)
}

function isBroken({ verdict, broken }: SeedResult): boolean {
  const { acknowledged } = verdict
  return acknowledged > 0 && (!isClean(verdict) || broken.length > 0)
}

async function runSeeds(
  row: FaultRow,
  servers: Servers,
  { onSeed }: RowRun,
  seeds: readonly number[],
  isControl: boolean,
): Promise<SeedResult[]> {
  const scene = await openScene({ ...row.scene, servers })
  const results: SeedResult[] = []
  const names = new Set<string>()
  let unprepare: (() => Promise<void>) | undefined
  try {
    unprepare = await row.prepare?.(scene)
    for (const seed of seeds) {
      const result = await runSeed(row, scene, seed, names, isControl)
      results.push(result)
      onSeed?.(result)
      if (isControl && isBroken(result)) break
    }
    return results
  } finally {
    await scene.close()
    await unprepare?.()
  }
}

async function runSeed(
  row: FaultRow,
  scene: Scene,
  seed: number,
  names: Set<string>,
  isControl: boolean,
): Promise<SeedResult> {
  const startedAt = performance.now()
  const ledger = createFaultLedger(`${isControl ? 'control' : 'row'}-${row.number}-seed-${seed}`)
  names.add(ledger.name)
  const drivers: Driver[] = []
  const attempt: Attempt = {
    seed,
    random: createRandom(seed),
    ledger,
    broken: [],
    notes: [],
    drive(options) {
      const driver = startDriver(options, ledger)
      drivers.push(driver)
      return driver
    },
  }
  const { broken, notes } = attempt
  const orBroken = (thrown: unknown): void => void broken.push(toError(thrown).message)
  await Promise.all([scene.collector(), scene.consumer()])
  await row.run(scene, attempt).catch(orBroken)
  for (const driver of drivers) await driver.stop()
  await scene.untilStored().catch(orBroken)
  const verdict = await settle(scene, attempt, names)
  await row.check?.(scene, attempt).catch(orBroken)
  const seconds = (performance.now() - startedAt) / 1_000
  return { seed, isControl, verdict, broken, notes, seconds }
}

/** Judges what is stored; again, if something was still on its way. */
async function settle(
  scene: Scene,
  { ledger, range, broken }: Attempt,
  names: ReadonlySet<string>,
): Promise<Verdict> {
  for (let reading = 1; ; reading++) {
    const isStored = await scene.untilStored().then(
      () => true,
      (thrown: Error) => {
        broken.push(thrown.message)
        return false
      },
    )
    const options = { name: ledger.name, names, ...(range === undefined ? {} : { range }) }
    const verdict = judge(ledger, await gatherEvidence(scene, options))
    if (isClean(verdict) || !isStored || reading === readingsMax) return verdict
    await new Promise((resolve) => setTimeout(resolve, againMs))
  }
}
