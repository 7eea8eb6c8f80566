import assert from 'node:assert/strict'
import { closeSync, openSync, readFileSync, truncateSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { it, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { drain, spooledRecords } from '../../src/log/drain.ts'
import { seeded, startWriter } from './embedded-scene.ts'
import { readAll, recordOf, schemaText, textsOf } from './log.suite.ts'
import { SpoolScene } from './spool-scene.ts'

const script = new URL('spool-writer.ts', import.meta.url).pathname
const seed = Number(process.env['TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31))

/** Spools with a process that is killed at a random moment, several times; what it acknowledged. */
async function spoolAndKill(
  t: TestContext,
  scene: SpoolScene,
  random: () => number,
  kills: number,
): Promise<string[]> {
  const acknowledged: string[] = []
  for (let kill = 0; kill < kills; kill++) {
    const writer = startWriter(t, [scene.folder, `k${kill}`, 'away'], [], script)
    // In all four times what a drain moves in a second: each of four may be killed within it.
    await writer.printed(1_000)
    await sleep(random() * 100)
    await writer.kill()
    acknowledged.push(...writer.lines)
  }
  return acknowledged
}

it(`loses nothing acknowledged when it is killed while it spools and while it drains (seed ${seed})`, async (t) => {
  const scene = await SpoolScene.open(t)
  const random = seeded(seed)
  const acknowledged = await spoolAndKill(t, scene, random, 4)
  let isDraining = 0
  for (let kill = 0; kill < 4; kill++) {
    const writer = startWriter(t, [scene.folder, '', 'back'], [], script)
    await writer.printed(1 + Math.floor(random() * 8))
    await writer.kill()
    if (writer.lines.at(-1) !== '0') isDraining++
  }
  t.diagnostic(`${acknowledged.length} acknowledged, ${isDraining} of 4 killed while draining`)
  assert.ok(isDraining > 0)
  const log = await scene.openLog()
  const spool = await scene.openSpool()
  await drain({ spool, log })
  assert.equal(await spooledRecords(spool), 0)
  const texts = textsOf(await readAll(log))
  const there = new Set(texts)
  assert.deepEqual(
    acknowledged.filter((text) => !there.has(text)),
    [],
  )
  // A second copy is of a batch that was under way at a kill, no more.
  assert.ok(texts.length - there.size <= 4 * 1_000)
})

async function filledSpool(scene: SpoolScene): Promise<void> {
  const spool = await scene.openSpool()
  await spool.addSchema(schemaText)
  // One block for each append, as nothing else comes with it.
  for (let block = 0; block < 12; block++) {
    await spool.append(
      Array.from({ length: 5 }, (_, at) => recordOf(`b${block}-${at} ${'x'.repeat(3_000)}`)),
    )
  }
  await spool.close()
}

const namesIn = (texts: readonly string[]) => texts.map((text) => text.split(' ')[0] ?? '')
const blockNames = (block: number) => Array.from({ length: 5 }, (_, at) => `b${block}-${at}`)

it('leaves out a block whose bytes have changed, says how many records it had, and moves all others', async (t) => {
  const scene = await SpoolScene.open(t)
  await filledSpool(scene)
  const segment = join(scene.folder, 'spool', 'events', '0', '0000000000000000.mdb')
  for (const block of [0, 4, 5, 11]) flipByteAfter(segment, `b${block}-2 x`)
  const spool = await scene.openSpool()
  const log = await scene.openLog()
  const lost: number[] = []
  const moved = await drain({ spool, log, onLost: (records) => lost.push(records) })
  const good = [1, 2, 3, 6, 7, 8, 9, 10].flatMap(blockNames)
  assert.deepEqual(namesIn(textsOf(await readAll(log))), good)
  assert.equal(moved, good.length)
  // Two damaged blocks in a row are one loss.
  assert.deepEqual(lost, [5, 10, 5])
  assert.equal(await spooledRecords(spool), 0)
  assert.equal(await drain({ spool, log }), 0)
})

it('takes and moves records although the end of its file was torn off', async (t) => {
  const scene = await SpoolScene.open(t)
  await filledSpool(scene)
  const segment = join(scene.folder, 'spool', 'events', '0', '0000000000000000.mdb')
  // Room that was made ahead of the next commit: the file is longer than what it holds.
  const bytes = readFileSync(segment)
  truncateSync(segment, bytes.lastIndexOf(120) + 4_096 - ((bytes.lastIndexOf(120) + 1) % 4_096) + 1)
  const spooled = await scene.openSpooled()
  await spooled.append([recordOf('more')])
  while ((await spooled.waiting()) > 0) await sleep(5)
  const names = namesIn(textsOf(await readAll(spooled)))
  assert.deepEqual(
    new Set(names),
    new Set([...Array.from({ length: 12 }, (_, b) => blockNames(b)).flat(), 'more']),
  )
})

function flipByteAfter(path: string, text: string): void {
  const bytes = readFileSync(path)
  let at = bytes.indexOf(text)
  assert.ok(at > 0)
  const file = openSync(path, 'r+')
  // LMDB may have left an older copy of the page.
  for (; at > 0; at = bytes.indexOf(text, at + 1)) writeSync(file, 'y', at + text.length)
  closeSync(file)
}
