import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { isMillraceError } from '../../src/event/error.ts'
import { openEmbeddedLog } from '../../src/log/embedded/embedded.ts'
import { PartitionWriter } from '../../src/log/embedded/writer.ts'
import type { LogRecord } from '../../src/log/log.ts'
import { embeddedOptions, sceneOf, seeded, startWriter } from './embedded-scene.ts'
import { checkBatch, readAll, recordOf } from './log.suite.ts'

const seed = Number(process.env['TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
const kills = 10
const smallSegment = String(256 * 1024)

/** What is wrong between what was acknowledged and what can be read: each entry is a broken promise. */
function faultsOf(acknowledged: readonly string[], records: readonly LogRecord[]): string[] {
  const faults: string[] = []
  const counts = new Map<string, number>()
  for (const { value } of records) {
    const text = Buffer.from(value).toString().replace(/\.+$/, '')
    counts.set(text, (counts.get(text) ?? 0) + 1)
  }
  for (const text of acknowledged) {
    if (!counts.has(text)) faults.push(`${text} was acknowledged and is missing`)
  }
  for (const [text, count] of counts) if (count > 1) faults.push(`${text} is there ${count} times`)
  return faults
}

describe('writers of the embedded log that are killed', () => {
  it(`lose nothing acknowledged and use no offset twice (seed ${seed})`, async (t) => {
    const scene = await sceneOf(t)
    const random = seeded(seed)
    const acknowledged: string[] = []
    const isShort = async () => (await scene.segments()).length < 2
    for (let kill = 0; kill < kills || (kill < 10 * kills && (await isShort())); kill++) {
      const inFlight = String(1 + Math.floor(random() * 100))
      const writer = startWriter(t, [
        scene.folder,
        'steady',
        `w${kill}`,
        '0',
        inFlight,
        smallSegment,
      ])
      await writer.printed(1)
      await sleep(random() * 150)
      await writer.kill()
      acknowledged.push(...writer.lines)
    }
    assert.ok(acknowledged.length > kills)
    // Every writer took over the partition of the one before it.
    const log = await scene.open({ readOnly: true })
    assert.deepEqual(
      (await log.partitions()).map(({ partition }) => partition),
      [0],
    )
    assert.ok((await scene.segments()).length > 1)
    assert.deepEqual(faultsOf(acknowledged, await readAll(log)), [])
  })

  it('are found out by this test when they acknowledge too early', async (t) => {
    const scene = await sceneOf(t)
    const writer = startWriter(t, [scene.folder, 'early', 'w', '50'])
    await writer.ended()
    assert.equal(writer.lines.length, 50)
    const log = await scene.open({ readOnly: true })
    assert.notDeepEqual(faultsOf(writer.lines, await readAll(log)), [])
  })
})

describe('processes that share an embedded log', () => {
  it('each write a partition of their own, and one reads them all as they come', async (t) => {
    const scene = await sceneOf(t)
    const count = 400
    const log = await scene.open()
    const reading = (async () => {
      const records: LogRecord[] = []
      const next = new Map<number, number>()
      for await (const batch of log.read({ from: async () => undefined, recordsMax: 50 })) {
        checkBatch(batch, next.get(batch.partition) ?? 0)
        next.set(batch.partition, batch.nextOffset)
        records.push(...batch.records)
        if (records.length >= 2 * count) break
      }
      assert.equal(next.size, 2)
      return records
    })()
    const writers = ['a', 'b'].map((name) =>
      startWriter(t, [scene.folder, 'together', name, String(count), '20', String(64 * 1024)]),
    )
    // Or one could have ended before the other began, which then takes over.
    for (const writer of writers) await writer.printed(1)
    await writeFile(`${scene.folder}.begin`, '')
    t.after(() => rm(`${scene.folder}.begin`))
    await Promise.all(writers.map((writer) => writer.ended()))
    const acknowledged = writers.flatMap(({ lines }) => lines.slice(1))
    assert.equal(acknowledged.length, 2 * count)
    assert.deepEqual(faultsOf(acknowledged, await reading), [])
    assert.deepEqual(
      (await log.partitions()).map(({ first, next }) => next - first),
      [count, count],
    )
  })

  it('do not take the partition of a living owner, and do take that of a dead one', async (t) => {
    const scene = await sceneOf(t)
    const holder = startWriter(t, [scene.folder, 'hold'])
    await holder.printed(1)
    const lock = JSON.parse(await readFile(join(scene.partition(0), 'lock'), 'utf8'))
    assert.equal(lock.pid, holder.pid)
    assert.ok(lock.host.length > 0 && lock.since.length > 0)
    const beside = await scene.open({ write: true })
    assert.ok(existsSync(join(scene.partition(1), 'lock')))
    await beside.close()
    assert.ok(!existsSync(join(scene.partition(1), 'lock')))
    await holder.kill()
    const after = await scene.open({ write: true })
    await after.append([recordOf('a')])
    const taken = JSON.parse(await readFile(join(scene.partition(0), 'lock'), 'utf8'))
    assert.equal(taken.pid, process.pid)
    assert.deepEqual(
      (await after.partitions()).map(({ next }) => next),
      [1, 0],
    )
  })

  it('know a process number that is used again from the owner that had it', async (t) => {
    const scene = await sceneOf(t)
    await (await scene.open({ write: true })).close()
    const path = join(scene.partition(0), 'lock')
    const log = await scene.open({ write: true })
    const own = JSON.parse(await readFile(path, 'utf8'))
    await log.close()
    // Process 1 lives, but did not start when this owner did.
    if (own.startedAt === null) return t.skip('this system does not tell when a process started')
    await writeFile(path, JSON.stringify({ ...own, token: 'another', pid: 1 }))
    await (await scene.open({ write: true })).append([recordOf('a')])
    assert.equal(JSON.parse(await readFile(path, 'utf8')).pid, process.pid)
  })

  it('believe an owner in another place as long as it renews its lock', async (t) => {
    const scene = await sceneOf(t)
    await (await scene.open({ write: true })).close()
    const path = join(scene.partition(0), 'lock')
    const owner = { token: 'x', pid: 1, startedAt: '1', host: 'far', place: 'far', since: '' }
    await writeFile(path, JSON.stringify(owner))
    await (await scene.open({ write: true })).close()
    assert.equal(JSON.parse(await readFile(path, 'utf8')).host, 'far')
    const old = new Date(Date.now() - 60_000)
    await utimes(path, old, old)
    await scene.open({ write: true })
    assert.notEqual(JSON.parse(await readFile(path, 'utf8')).host, 'far')
  })

  it('that open at the same moment agree on the identity and share no partition', async (t) => {
    const scene = await sceneOf(t)
    const logs = await Promise.all(Array.from({ length: 5 }, () => scene.open({ write: true })))
    assert.equal(new Set(logs.map(({ identity }) => identity)).size, 1)
    await Promise.all(logs.map((log, index) => log.append([recordOf(`${index}`)])))
    const [log = assert.fail()] = logs
    assert.deepEqual(
      (await log.partitions()).map(({ next }) => next),
      [1, 1, 1, 1, 1],
    )
  })

  it('notice when their partition was taken, refuse, and go on in another', async (t) => {
    const scene = await sceneOf(t)
    const log = await scene.open()
    await log.append([recordOf('a')])
    const path = join(scene.partition(0), 'lock')
    const text = await readFile(path, 'utf8')
    // Another writer, as if this process had been stopped for long: it writes the next offset.
    await writeFile(path, text.replace(/"token": "[^"]*"/, '"token": "thief"'))
    const ownership = {
      partition: 0,
      isHeld: () => true,
      renew: async () => {},
      release: async () => {},
    }
    const thief = await PartitionWriter.open(join(scene.partition(0), '..'), ownership, {
      ...embeddedOptions(scene.folder),
      sync: true,
      syncIntervalMs: 0,
      clock: () => 0,
      admit: async () => {},
      appended: () => {},
    })
    await thief.append([recordOf('stolen')])
    await thief.close()
    const locked = (thrown: unknown) => isMillraceError(thrown, 'log_locked')
    await assert.rejects(log.append([recordOf('b')]), locked)
    await assert.rejects(log.append([recordOf('c')]), locked)
    await log.append([recordOf('d')])
    assert.deepEqual(
      (await log.partitions()).map(({ next }) => next),
      [2, 1],
    )
  })
})

/** What a trace of system calls says: for each acknowledgement, whether its bytes were synced before it. */
function unsyncedIn(trace: string): { acknowledged: number; unsynced: number } {
  let acknowledged = 0
  let unsynced = 0
  let dataSynced = false
  let metaSynced = false
  for (const line of joinResumed(trace.split('\n'))) {
    if (/pwrite64\(\d+<[^>]*\.mdb>/.test(line)) {
      const isMeta = /, (\d+)\) += \d+$/.exec(line)
      if (isMeta !== null && Number(isMeta[1]) < 8_192) metaSynced = dataSynced
      else dataSynced = false
    } else if (/fdatasync\(\d+<[^>]*\.mdb>\) += 0/.test(line)) dataSynced = true
    else if (/write\(1<.*"w-\d+\\n"/.test(line)) {
      acknowledged++
      if (!metaSynced) unsynced++
      metaSynced = false
      dataSynced = false
    }
  }
  return { acknowledged, unsynced }
}

/** Lines of calls that another thread interrupted are put together where they ended. */
function joinResumed(lines: readonly string[]): string[] {
  const begun = new Map<string, string>()
  const whole: string[] = []
  for (const line of lines) {
    const process = /^(\d+)/.exec(line)?.[1] ?? ''
    const unfinished = line.indexOf(' <unfinished ...>')
    const resumed = /<\.\.\. \w+ resumed>(.*)$/.exec(line)
    if (unfinished >= 0) begun.set(process, line.slice(0, unfinished))
    else if (resumed !== null) whole.push((begun.get(process) ?? '') + resumed[1])
    else whole.push(line)
  }
  return whole
}

function straceWorks(t: TestContext): boolean {
  try {
    execFileSync('strace', ['-o', '/dev/null', 'true'], { stdio: 'ignore' })
    return true
  } catch {
    t.skip('strace is not installed or may not trace here')
    return false
  }
}

describe('a trace of the system calls of a writer', () => {
  for (const [mode, isSynced] of [
    ['steady', true],
    ['unsynced', false],
  ] as const) {
    const what = isSynced
      ? 'shows the sync of the data and of the meta page before each acknowledgement'
      : 'shows that syncs are missing when they are switched off'
    it(what, async (t) => {
      if (!straceWorks(t)) return
      const scene = await sceneOf(t)
      const file = join(scene.folder, 'trace')
      const calls = 'trace=pwrite64,pwritev,fdatasync,fsync,write,openat'
      const strace = ['strace', '-f', '-y', '-e', calls, '-s', '64', '-o', file]
      const writer = startWriter(t, [scene.folder, mode, 'w', '20'], strace)
      await writer.ended()
      assert.equal(writer.lines.length, 20)
      const trace = await readFile(file, 'utf8')
      const { acknowledged, unsynced } = unsyncedIn(trace)
      assert.equal(acknowledged, 20)
      if (isSynced) {
        assert.equal(unsynced, 0)
        // The meta page goes through a descriptor whose every write is synced.
        assert.match(trace, /openat\([^\n]*\.mdb", [^\n]*O_D?SYNC/)
      } else assert.ok(unsynced > 0)
    })
  }
})

describe('an embedded log on a disk without room', () => {
  it('refuses, lives on, loses nothing acknowledged, and writes again once there is room', async (t) => {
    const scene = await sceneOf(t)
    const disk = join(scene.folder, 'disk')
    execFileSync('mkdir', [disk])
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', disk], { stdio: 'ignore' })
    } catch {
      return t.skip('a small disk cannot be mounted here: this needs root')
    }
    try {
      await fillAndFree(disk)
    } finally {
      execFileSync('umount', ['-l', disk])
    }
  })
})

async function fillAndFree(disk: string): Promise<void> {
  const ballast = join(disk, 'ballast')
  await writeFile(ballast, Buffer.alloc(1024 * 1024))
  const log = await openEmbeddedLog(embeddedOptions(disk, { segmentBytes: 1024 * 1024 }))
  const acknowledged: string[] = []
  let refused = 0
  for (let index = 0; index < 2_000 && refused < 20; index++) {
    const text = `${index}`.padEnd(4_000, '.')
    await log.append([recordOf(text)]).then(
      () => acknowledged.push(`${index}`),
      (thrown) => {
        assert.ok(isMillraceError(thrown, 'log_unwritable'), String(thrown))
        refused++
      },
    )
  }
  assert.equal(refused, 20)
  await assert.rejects(log.check(), (thrown) => isMillraceError(thrown, 'log_unwritable'))
  assert.deepEqual(faultsOf(acknowledged, await readAll(log)), [])
  await writeFile(ballast, '')
  await log.check()
  await log.append([recordOf('after')])
  const records = await readAll(log)
  assert.deepEqual(faultsOf([...acknowledged, 'after'], records), [])
  await log.close()
  const again = await openEmbeddedLog(embeddedOptions(disk))
  assert.equal((await readAll(again)).length, records.length)
  await again.close()
  assert.ok((await stat(disk)).isDirectory())
}
