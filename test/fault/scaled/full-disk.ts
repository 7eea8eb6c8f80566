import { execFile, execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, statfsSync } from 'node:fs'
import { appendFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Driver } from './driver.ts'
import type { Attempt, FaultRow } from './run.ts'
import type { Scene } from './scene.ts'

/**
 * Row 16: Kafka is away and the disk of the spool is full. The collector says 503, keeps what it has
 * promised, and goes on when there is room or Kafka is back.
 */
export const fullDisk: FaultRow = {
  number: 16,
  title: 'spool on a full disk, Kafka away',
  needs: { kafka: {} },
  get scene() {
    return {
      collectFolder: join(disk, 'collector'),
      env: {
        MILLRACE_SPOOL_MAX_BYTES: `${3 * diskBytes}`,
        MILLRACE_LOG_DISK_RESERVE_BYTES: `${reserveBytes}`,
        MILLRACE_SPOOL_AFTER_MS: '500',
      },
    }
  },
  whyNot: () => mountProblem(),
  prepare: () => mountDisk(),
  run: runSeed,
}

const MiB = 1024 * 1024
const diskBytes = 32 * MiB
/** What the collector leaves free. */
const reserveBytes = 4 * MiB
/** So that seconds fill megabytes. */
const padding = 'x'.repeat(8_000)
const disk = join(tmpdir(), `millrace-faults-disk-${process.pid}`)
const ballast = join(disk, 'ballast')
const fullMs = 60_000
const run = promisify(execFile)

async function runSeed(scene: Scene, attempt: Attempt): Promise<void> {
  const { random, notes } = attempt
  const isFilledToTheEnd = random() < 0.5
  const isPaused = random() < 0.5
  const isSpaceFirst = random() < 0.5
  const said = (await scene.collector()).output().length
  const driver = attempt.drive({
    port: scene.collectPort(),
    rate: 200,
    eventOf: (index) => ({ parameters: { item_id: 100_000 + (index % 40), padding } }),
  })
  await driver.untilAcknowledged(50)
  await waitFor(random() * 1_000)
  const [broker] = scene.servers.kafka().brokers
  if (isPaused) broker?.pause()
  else await broker?.kill()
  try {
    await waitFor(random() * 1_500)
    // The reserve keeps the collector off the last bytes; somebody else may take them all the same.
    await fillDisk(isFilledToTheEnd ? 0 : reserveBytes + Math.round(random() * 1.5 * MiB))
    await untilRefused(attempt)
    await expectRefusal(scene, attempt)
    const { output, child } = await scene.collector()
    if (child.exitCode !== null) attempt.broken.push('the collector ended')
    // Earlier seeds may have filled the disk to its end.
    if (!isFilledToTheEnd && /ENOSPC|no space/i.test(output().slice(said))) {
      attempt.broken.push('ENOSPC before the reserve')
    }
    if (isSpaceFirst) await freeAndGoOn(driver)
  } finally {
    if (isPaused) broker?.resume()
    else await broker?.start()
  }
  await driver.untilAcknowledged(50)
  await driver.stop()
  await scene.untilStored()
  await rm(ballast, { force: true })
  notes.push(isPaused ? 'Kafka stood still' : 'Kafka killed')
  notes.push(isFilledToTheEnd ? 'others took the last byte' : 'the spool met its reserve')
  notes.push(isSpaceFirst ? 'space first' : 'Kafka first')
}

/** While Kafka is still away. */
async function freeAndGoOn(driver: Driver): Promise<void> {
  await rm(ballast)
  await driver.untilAcknowledged(50)
}

async function fillDisk(freeBytes: number): Promise<void> {
  await writeFile(ballast, '')
  const piece = Buffer.alloc(MiB / 8)
  for (;;) {
    const { bavail, bsize } = statfsSync(disk)
    const bytes = Math.min(piece.length, bavail * bsize - freeBytes)
    if (bytes <= 0) return
    try {
      await appendFile(ballast, piece.subarray(0, bytes))
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code === 'ENOSPC') return
      throw thrown
    }
  }
}

async function untilRefused({ ledger }: Attempt): Promise<void> {
  const before = ledger.statuses.get(503) ?? 0
  const deadline = performance.now() + fullMs
  while ((ledger.statuses.get(503) ?? 0) < before + 20) {
    if (performance.now() > deadline) throw new Error('a full disk was not answered by 503')
    await waitFor(20)
  }
}

/** What a client is told. */
async function expectRefusal(scene: Scene, { broken, ledger }: Attempt): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${scene.collectPort()}/events`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ events: [{ eventType: ledger.name, parameters: { padding } }] }),
  })
  const text = await response.text()
  if (response.status !== 503) broken.push(`a full disk is answered by ${response.status}`)
  if (response.headers.get('retry-after') === null) broken.push('a 503 without Retry-After')
  if (!/spool_full|log_unwritable/.test(text)) broken.push(`refused by ${text}`)
}

/** Undefined where this process may mount; otherwise why not. */
async function mountProblem(): Promise<string | undefined> {
  try {
    await (await mountDisk())()
    return
  } catch (thrown) {
    return `a small disk cannot be mounted here: ${(thrown as Error).message.trim()}`
  }
}

async function mountDisk(): Promise<() => Promise<void>> {
  mkdirSync(disk, { recursive: true })
  const unmount = (): void => {
    process.off('exit', unmount)
    execFileSync('umount', ['--lazy', disk])
    rmSync(disk, { recursive: true, force: true })
  }
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${diskBytes}`, 'tmpfs', disk])
    // A run that is interrupted leaves no disk behind.
    process.once('exit', unmount)
    return async () => unmount()
  } catch (thrown) {
    rmSync(disk, { recursive: true, force: true })
    throw thrown
  }
}

function waitFor(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
