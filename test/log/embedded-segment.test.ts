import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { open, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { type ErrorCode, isMillraceError } from '../../src/event/error.ts'
import { dayMs } from '../../src/lib/clock.ts'
import type { Log, Offset } from '../../src/log/log.ts'
import { embeddedOptions, sceneOf, topic } from './embedded-scene.ts'
import { readAll, recordOf, textsOf } from './log.suite.ts'

const segmentBytes = 64 * 1024

function rejection(code: ErrorCode, pattern = /./) {
  return (thrown: unknown) => isMillraceError(thrown, code) && pattern.test(thrown.message)
}

/** Appends until the partition has so many segments. */
async function fill(log: Log, segments: () => Promise<string[]>, count: number): Promise<void> {
  while ((await segments()).length < count) {
    await log.append([recordOf(randomBytes(4_000).toString('hex'))])
  }
}

async function commitAll(log: Log, group: string): Promise<void> {
  for (const { partition, next } of await log.partitions()) await log.commit(group, partition, next)
}

describe('segments of the embedded log', () => {
  it('follow each other at their size, each named by its first offset', async (t) => {
    const scene = await sceneOf(t)
    const log = await scene.open({ segmentBytes })
    await fill(log, scene.segments, 4)
    const records = await readAll(log)
    const [first, second] = await scene.segments()
    assert.equal(first, '0000000000000000.mdb')
    const start = Number(second?.slice(0, 16))
    assert.ok(start > 0 && start < records.length)
    for (const name of (await scene.segments()).slice(0, -1)) {
      const { size } = await stat(join(scene.partition(), name))
      assert.ok(size >= segmentBytes / 2 && size <= segmentBytes * 1.5, `${name}: ${size}`)
    }
  })

  it('are unlinked when all groups have read them and they are older than the retention', async (t) => {
    const scene = await sceneOf(t)
    let now = 1_000 * dayMs
    const log = await scene.open({ segmentBytes, clock: () => now })
    await fill(log, scene.segments, 3)
    assert.equal(await log.retain(now + 8 * dayMs), 0)
    await commitAll(log, 'another')
    assert.equal(await log.retain(now + 8 * dayMs), 0)
    await commitAll(log, 'store')
    assert.equal(await log.retain(now + 6 * dayMs), 0)
    const [range] = await log.partitions()
    now += 8 * dayMs
    assert.ok((await log.retain(now)) > segmentBytes)
    const kept = await scene.segments()
    assert.equal(kept.length, 1)
    assert.deepEqual(await log.partitions(), [{ ...range, first: range?.next }])
    // No offset is used a second time, not even after another start.
    await log.close()
    const again = await scene.open({ segmentBytes })
    await again.append([recordOf('next')])
    const [record] = await readAll(again)
    assert.equal(record?.offset, range?.next)
  })

  it('are held back by every group that has ever committed', async (t) => {
    const scene = await sceneOf(t)
    const log = await scene.open({ segmentBytes, retentionDays: 1 })
    await fill(log, scene.segments, 3)
    await log.commit('slow', 0, 1 as Offset)
    await commitAll(log, 'store')
    assert.equal(await log.retain(Date.now() + 30 * dayMs), 0)
    await commitAll(log, 'slow')
    assert.ok((await log.retain(Date.now() + 30 * dayMs)) > 0)
  })

  it('go oldest first while the log is larger than it may be', async (t) => {
    const scene = await sceneOf(t)
    const log = await scene.open({ segmentBytes, maxBytes: 5 * segmentBytes })
    await fill(log, scene.segments, 4)
    await commitAll(log, 'store')
    await log.close()
    const before = await scene.segments()
    const smaller = await scene.open({ segmentBytes, maxBytes: 3 * segmentBytes })
    assert.ok((await smaller.retain(Date.now())) > 0)
    const after = await scene.segments()
    assert.ok(after.length < before.length && after.length > 1)
    assert.deepEqual(after, before.slice(-after.length))
  })

  it('of a writer that is gone are freed by another', async (t) => {
    const scene = await sceneOf(t)
    const one = await scene.open({ segmentBytes })
    const other = await scene.open({ segmentBytes })
    await one.append([recordOf('one')])
    await fill(other, () => scene.segments(1), 3)
    await commitAll(one, 'store')
    assert.equal(await one.retain(Date.now()), 0)
    await other.close()
    assert.ok((await one.retain(Date.now() + 8 * dayMs)) > 0)
    assert.equal((await scene.segments(1)).length, 1)
  })

  it('that are small are sealed by age, so that retention reaches their records', async (t) => {
    const scene = await sceneOf(t)
    const log = await scene.open()
    await log.append([recordOf('old')])
    await commitAll(log, 'store')
    await log.retain(Date.now() + 2 * dayMs)
    assert.equal((await scene.segments()).length, 2)
    assert.deepEqual(textsOf(await readAll(log)), ['old'])
    await log.retain(Date.now() + 9 * dayMs)
    assert.equal((await scene.segments()).length, 1)
    await log.append([recordOf('new')])
    const [record] = await readAll(log)
    assert.equal(record?.offset, 1)
  })

  it('are read on by who has them open when they are unlinked', async (t) => {
    const scene = await sceneOf(t)
    const log = await scene.open({ segmentBytes })
    await fill(log, scene.segments, 3)
    const [{ next } = assert.fail()] = await log.partitions()
    let read = 0
    for await (const batch of log.read({ from: async () => undefined, recordsMax: 1 })) {
      read = batch.nextOffset
      if (read === 1) {
        await commitAll(log, 'store')
        const second = Number((await scene.segments())[1]?.slice(0, 16))
        await assert.doesNotReject(log.retain(Date.now()))
        assert.ok(second > 1)
      }
      if (read === next) break
    }
    assert.equal(read, next)
  })

  it('below the first kept are a gap that names the partition and what is lost', async (t) => {
    const scene = await sceneOf(t)
    const log = await scene.open({ segmentBytes })
    await fill(log, scene.segments, 3)
    await commitAll(log, 'store')
    await log.retain(Date.now() + 8 * dayMs)
    const [{ first } = assert.fail()] = await log.partitions()
    const from = async () => 2 as Offset
    const pattern = new RegExp(`partition 0 .*${first}; 2 to ${first - 1} `)
    await assert.rejects(readAll(log, { from }), rejection('log_gap', pattern))
    const beyond = async () => (first + 1_000) as Offset
    await assert.rejects(readAll(log, { from: beyond }), rejection('log_corrupt'))
  })
})

describe('an embedded log that is full', () => {
  it('refuses, keeps what is unread, and takes appends again once it is read', async (t) => {
    const scene = await sceneOf(t)
    const log = await scene.open({ segmentBytes, maxBytes: 4 * segmentBytes })
    await assert.rejects(fill(log, scene.segments, 10), rejection('log_full', /bytes of at most/))
    await assert.rejects(log.check(), rejection('log_full'))
    const kept = await readAll(log)
    assert.equal(kept[0]?.offset, 0)
    await commitAll(log, 'store')
    await new Promise((resolve) => setTimeout(resolve, 300))
    await log.check()
    await log.append([recordOf('again')])
    const after = await readAll(log)
    assert.equal(textsOf(after).at(-1), 'again')
    assert.equal(after.at(-1)?.offset, (kept.at(-1)?.offset ?? 0) + 1)
  })

  it('refuses while the disk has less than the reserve', async (t) => {
    const scene = await sceneOf(t)
    const log = await scene.open({ diskReserveBytes: Number.MAX_SAFE_INTEGER })
    await assert.rejects(log.append([recordOf('a')]), rejection('log_full', /reserve/))
    await assert.rejects(log.check(), rejection('log_full', /reserve/))
    assert.deepEqual(await readAll(log), [])
  })

  it('frees what is read for the reserve of the disk, and only that', async (t) => {
    const scene = await sceneOf(t)
    const log = await scene.open({ segmentBytes })
    for (let index = 0; index < 60; index++) {
      await log.append([recordOf(randomBytes(4_000).toString('hex'))])
    }
    await log.commit('store', 0, 30 as Offset)
    await log.close()
    const tight = await scene.open({ segmentBytes, diskReserveBytes: Number.MAX_SAFE_INTEGER })
    await assert.rejects(tight.append([recordOf('a')]), rejection('log_full', /reserve/))
    const [range] = await tight.partitions()
    assert.ok((range?.first ?? 0) > 0)
    assert.ok((range?.first ?? 0) <= 30)
    assert.equal(range?.next, 60)
  })

  it('frees read segments by itself, so a consumer that keeps up never sees a refusal', async (t) => {
    const scene = await sceneOf(t)
    const log = await scene.open({ segmentBytes, maxBytes: 3 * segmentBytes })
    for (let index = 0; index < 200; index++) {
      await log.append([recordOf(randomBytes(4_000).toString('hex'))])
      await commitAll(log, 'store')
    }
    const [range] = await log.partitions()
    assert.equal(range?.next, 200)
    assert.ok((range?.first ?? 0) > 0)
  })
})

describe('opening an embedded log', () => {
  it('mends a newest segment that a crash left empty or torn', async (t) => {
    for (const bytes of [0, 1, 4_096, 8_192]) {
      const scene = await sceneOf(t)
      const log = await scene.open()
      await log.append([recordOf('a'), recordOf('b')])
      await log.retain(Date.now() + 2 * dayMs)
      const [{ next } = assert.fail()] = await log.partitions()
      await log.close()
      const [, newest = ''] = await scene.segments()
      await writeFile(join(scene.partition(), newest), Buffer.alloc(bytes, bytes === 1 ? 1 : 0))
      const again = await scene.open()
      assert.equal((await readAll(again)).length, next)
      await again.append([recordOf('after')])
      const records = await readAll(again)
      assert.equal(records.at(-1)?.offset, next)
      assert.equal(records.length, next + 1)
    }
  })

  it('goes on after a crash between the seal and the next segment', async (t) => {
    const scene = await sceneOf(t)
    const log = await scene.open()
    await log.append([recordOf('a'), recordOf('b')])
    await log.retain(Date.now() + 2 * dayMs)
    await log.close()
    const [, newest = ''] = await scene.segments()
    await rm(join(scene.partition(), newest))
    const again = await scene.open()
    const count = (await readAll(again)).length
    await again.append([recordOf('after')])
    assert.equal((await readAll(again)).at(-1)?.offset, count)
    assert.equal((await scene.segments())[1], newest)
  })

  it('refuses damaged files, naming them', async (t) => {
    const scene = await sceneOf(t)
    const log = await scene.open({ segmentBytes })
    await fill(log, scene.segments, 3)
    await log.close()
    const [first = '', , newest = ''] = await scene.segments()
    const path = join(scene.partition(), first)
    const whole = await readFile(path)

    await truncate(path, whole.byteLength - 4_096)
    const cut = await scene.open({ segmentBytes })
    await assert.rejects(readAll(cut), rejection('log_corrupt', new RegExp(first)))
    await cut.close()

    await writeFile(path, Buffer.alloc(whole.byteLength, 3))
    const scrambled = await scene.open({ segmentBytes })
    await assert.rejects(readAll(scrambled), rejection('log_corrupt', new RegExp(first)))
    await scrambled.close()

    await writeFile(path, whole)
    const flipped = await open(path, 'r+')
    // In the middle of the first block's text, which lies in pages of its own.
    await flipped.write(Buffer.from('?'), 0, 1, whole.indexOf(Buffer.from('party')) + 1_000)
    await flipped.close()
    const damaged = await scene.open({ segmentBytes })
    const pattern = new RegExp(`${first}.*offset`)
    await assert.rejects(readAll(damaged), rejection('log_corrupt', pattern))
    await damaged.close()

    await writeFile(path, whole)
    const newestPath = join(scene.partition(), newest)
    await writeFile(newestPath, Buffer.alloc(20_000, 3))
    const options = { segmentBytes, write: true }
    await assert.rejects(scene.open(options), rejection('log_corrupt', new RegExp(newest)))
  })

  it('refuses another version, another topic, and what is not its own', async (t) => {
    const scene = await sceneOf(t)
    const log = await scene.open()
    await log.append([recordOf('a')])
    await log.close()
    const path = join(scene.folder, topic, 'log.json')
    const text = await readFile(path, 'utf8')
    await writeFile(path, text.replace('"format": 1', '"format": 2'))
    await assert.rejects(scene.open(), rejection('log_version', /log\.json.*format 2/))
    await writeFile(path, text.slice(0, 20))
    await assert.rejects(scene.open(), rejection('log_corrupt', /log\.json/))
    await writeFile(path, text.replace(topic, 'others'))
    await assert.rejects(scene.open(), rejection('log_corrupt', /others/))
    await rm(path)
    await assert.rejects(scene.open(), rejection('log_corrupt', /log\.json is missing/))
    await writeFile(path, text)
    assert.deepEqual(textsOf(await readAll(await scene.open())), ['a'])
  })

  it('says that the folder cannot be written', async (t) => {
    const scene = await sceneOf(t)
    const file = join(scene.folder, 'file')
    await writeFile(file, '')
    const options = embeddedOptions(join(file, 'data'))
    await assert.rejects(scene.open(options), rejection('log_unwritable', /file/))
  })

  it('to read only changes nothing and needs a log', async (t) => {
    const scene = await sceneOf(t)
    await assert.rejects(scene.open({ readOnly: true }), rejection('log_unwritable'))
    const log = await scene.open()
    await log.append([recordOf('a')])
    const reader = await scene.open({ readOnly: true })
    assert.deepEqual(textsOf(await readAll(reader)), ['a'])
    await assert.rejects(reader.append([recordOf('b')]), rejection('log_unwritable', /read only/))
    await assert.rejects(reader.commit('store', 0, 1 as Offset), rejection('log_unwritable'))
    await assert.rejects(reader.retain(0), rejection('log_unwritable'))
    assert.equal(reader.identity, log.identity)
  })
})
