import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { MillraceError } from '../../src/event/error.ts'
import { openEmbeddedLog } from '../../src/log/embedded/embedded.ts'
import { topicBytes } from '../../src/log/embedded/space.ts'
import { storeGroup } from '../../src/log/log.ts'
import { openSpooledLog } from '../../src/log/spool.ts'
import { embeddedOptions, temporaryFolder } from './embedded-scene.ts'
import { readAll, recordOf, runLogSuite, schema, schemaText, textsOf } from './log.suite.ts'
import { SpoolScene, until } from './spool-scene.ts'

const { folder, remove } = await temporaryFolder()
runLogSuite('embedded behind a spool', {
  open: async (topic) =>
    openSpooledLog({
      openLog: () => openEmbeddedLog(embeddedOptions(join(folder, 'log'), { topic })),
      spool: await openEmbeddedLog(embeddedOptions(join(folder, 'spool'), { topic })),
      afterMs: 10_000,
      drainPerSecondMax: 1_000_000,
      recordBytesMax: 900_000,
      onLine: () => {},
    }),
  dispose: remove,
})

const numbers = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, index) => `${from + index}`)

describe('a spool', () => {
  it('stays empty while the log answers, and the order of a party is that of its appends', async (t) => {
    const scene = await SpoolScene.open(t)
    const spooled = await scene.openSpooled()
    await spooled.addSchema(schemaText)
    await Promise.all(numbers(0, 100).map((text) => spooled.append([recordOf(text)])))
    assert.equal(await spooled.waiting(), 0)
    assert.equal(spooled.trouble, undefined)
    assert.deepEqual(textsOf(await readAll(spooled)), numbers(0, 100))
    assert.deepEqual(scene.lines, [])
  })

  for (const door of ['refused', 'silent'] as const) {
    it(`takes the records while the log is ${door}, and gives them to it in order when it is back`, async (t) => {
      const scene = await SpoolScene.open(t)
      const spooled = await scene.openSpooled({ afterMs: 5_000 })
      await spooled.addSchema(schemaText)
      await spooled.append([recordOf('before')])
      scene.door = door
      await Promise.all(numbers(0, 20).map((text) => spooled.append([recordOf(text)])))
      assert.equal(spooled.trouble?.code, 'log_unavailable')
      for (const text of numbers(20, 50)) await spooled.append([recordOf(text)])
      assert.equal(await spooled.waiting(), 50)
      assert.equal((await spooled.oldest())?.value.toString(), '0')
      await spooled.check()

      scene.door = 'open'
      await until(async () => spooled.trouble === undefined && (await spooled.waiting()) === 0)
      await spooled.append([recordOf('after')])
      const texts = textsOf(await readAll(spooled))
      assert.equal(texts[0], 'before')
      assert.equal(texts.at(-1), 'after')
      // Those that were under way when the log fell silent may be there a second time, unchanged.
      assert.deepEqual(new Set(texts), new Set(['before', ...numbers(0, 50), 'after']))
      // What a silent log takes late comes in between.
      const order = texts.filter((text, at) => texts.lastIndexOf(text) === at)
      if (door === 'refused') assert.deepEqual(order, ['before', ...numbers(0, 50), 'after'])
      assert.match(scene.lines.join('\n'), /go to the spool: [^\n]*\n.*go to the log again/)
      assert.equal(scene.lines.filter((line) => line.includes('to the spool')).length, 1)
    })
  }

  it('waits for a silent log once, not for every append', async (t) => {
    const scene = await SpoolScene.open(t)
    const spooled = await scene.openSpooled({ afterMs: 5_000 })
    scene.door = 'silent'
    await Promise.all([spooled.append([recordOf('a')]), spooled.append([recordOf('b')])])
    const { turnedAway } = scene
    const startedAt = performance.now()
    for (const text of numbers(0, 20)) await spooled.append([recordOf(text)])
    assert.ok(performance.now() - startedAt < 50_000)
    // None of them knocked; only the spool itself tries.
    assert.ok(scene.turnedAway - turnedAway <= 1)
    scene.door = 'refused'
  })

  it('lets a start go on while the log is away, and teaches it the schemas before the records', async (t) => {
    const scene = await SpoolScene.open(t)
    scene.door = 'refused'
    const spooled = await scene.openSpooled()
    await spooled.addSchema(schemaText)
    await spooled.append([recordOf('early')])
    await spooled.check()
    assert.throws(() => spooled.identity, { code: 'log_unavailable' })
    await assert.rejects(spooled.lag(storeGroup), { code: 'log_unavailable' })
    assert.equal(await spooled.schema(schema), schemaText)
    assert.match(scene.lines.join(), /go to the spool: .*the door is shut/)
    scene.door = 'open'
    await until(() => spooled.trouble === undefined)
    const log = await scene.openLog()
    assert.equal(await log.schema(schema), schemaText)
    assert.deepEqual(textsOf(await readAll(log)), ['early'])
    assert.notEqual(spooled.identity, '')
  })

  it('teaches a log that was away the schemas although nothing was spooled', async (t) => {
    const scene = await SpoolScene.open(t)
    scene.door = 'refused'
    const spooled = await scene.openSpooled()
    await spooled.addSchema(schemaText)
    scene.door = 'open'
    await until(() => spooled.trouble === undefined)
    assert.equal(await (await scene.openLog()).schema(schema), schemaText)
  })

  it('refuses a start when the log is not as it has to be, or is away and required', async (t) => {
    const scene = await SpoolScene.open(t)
    const broken = new MillraceError('log_replicas', 'one')
    const openLog = () => Promise.reject(broken)
    await assert.rejects(scene.openSpooled({ openLog }), { code: 'log_replicas' })
    scene.door = 'refused'
    await assert.rejects(scene.openSpooled({ isRequired: true }), { code: 'log_unavailable' })
  })

  it('keeps the records when the log turns out to be wrong later, and says so', async (t) => {
    const scene = await SpoolScene.open(t)
    let fault = new MillraceError('log_unavailable', 'away')
    const openLog = () => Promise.reject(fault)
    const spooled = await scene.openSpooled({ openLog })
    fault = new MillraceError('log_topic', 'retention.ms is 1')
    await until(() => spooled.trouble?.code === 'log_topic')
    await spooled.append([recordOf('kept')])
    await spooled.check()
    assert.equal(await spooled.waiting(), 1)
    assert.match(scene.lines.join('\n'), /retention\.ms is 1/)
  })

  it('moves what another run left, with the schemas of that run', async (t) => {
    const scene = await SpoolScene.open(t)
    scene.door = 'refused'
    const first = await scene.openSpooled()
    await first.addSchema(schemaText)
    for (const text of numbers(0, 30)) await first.append([recordOf(text)])
    await first.close()
    scene.door = 'open'
    const second = await scene.openSpooled()
    await until(async () => (await second.waiting()) === 0)
    assert.deepEqual(textsOf(await readAll(second)), numbers(0, 30))
    const log = await scene.openLog()
    assert.equal(await log.schema(schema), schemaText)
  })

  it('refuses with spool_full when it is full, takes records again when it is drained', async (t) => {
    const scene = await SpoolScene.open(t)
    const spooled = await scene.openSpooled({}, { maxBytes: 400_000, segmentBytes: 100_000 })
    scene.door = 'refused'
    const large = 'x'.repeat(20_000)
    let kept = 0
    await assert.rejects(
      (async () => {
        for (; kept < 100; kept++) await spooled.append([recordOf(`${kept} ${large}`)])
      })(),
      { code: 'spool_full', status: 503 },
    )
    assert.ok(kept > 5)
    await assert.rejects(spooled.check(), { code: 'spool_full' })
    scene.door = 'open'
    await until(async () => spooled.trouble === undefined && (await spooled.waiting()) === 0)
    assert.deepEqual(
      textsOf(await readAll(spooled)).map((text) => text.split(' ')[0]),
      numbers(0, kept),
    )
    scene.door = 'refused'
    // How full the disk is, is looked at a few times a second.
    await until(() =>
      spooled.append([recordOf(large)]).then(
        () => true,
        () => false,
      ),
    )
    assert.equal(await spooled.waiting(), 1)
  })

  it('gives its disk back when it is drained, and is good for another time', async (t) => {
    const scene = await SpoolScene.open(t)
    const segmentBytes = 8 * 1024 * 1024
    const spooled = await scene.openSpooled({}, { segmentBytes })
    await spooled.addSchema(schemaText)
    const bytes = () => topicBytes(join(scene.folder, 'spool', 'events'))
    const text = 'x'.repeat(50_000)
    for (const time of ['first', 'second']) {
      scene.door = 'refused'
      for (const name of numbers(0, 60)) await spooled.append([recordOf(`${time}${name}${text}`)])
      assert.ok(bytes() > 3_000_000, `${bytes()} bytes while the log is away`)
      scene.door = 'open'
      const said = `60 events moved from the spool to the log`
      await until(
        () => scene.lines.filter((line) => line === said).length === Number(time === 'second') + 1,
      )
      await until(() => bytes() < 1_000_000)
    }
    assert.equal(textsOf(await readAll(spooled)).length, 120)
  })

  it('keeps nothing when the disk has less than the reserve, and a log that answers late still counts', async (t) => {
    const scene = await SpoolScene.open(t)
    const spooled = await scene.openSpooled({ afterMs: 5_000 }, { diskReserveBytes: 2 ** 60 })
    await spooled.append([recordOf('direct')])
    scene.door = 'silent'
    const late = spooled.append([recordOf('late')])
    await until(() => spooled.trouble !== undefined)
    scene.door = 'open'
    await late
    // Nothing waits in the spool, so nothing but a question can find out that the log is back.
    await until(() => spooled.trouble === undefined)
    scene.door = 'refused'
    await assert.rejects(spooled.append([recordOf('lost')]), { code: 'spool_full' })
    scene.door = 'open'
    await until(() => spooled.trouble === undefined)
    assert.deepEqual(textsOf(await readAll(spooled)), ['direct', 'late'])
  })

  it('refuses a record that the log would never take, and no other for it', async (t) => {
    const scene = await SpoolScene.open(t)
    const spooled = await scene.openSpooled({ recordBytesMax: 1_000 })
    scene.door = 'refused'
    await spooled.append([recordOf('small')])
    await assert.rejects(spooled.append([recordOf('x'.repeat(1_001))]), {
      code: 'record_too_large',
    })
    assert.equal(await spooled.waiting(), 1)
  })

  it('drains no faster than it is told, and live records do not wait for it', async (t) => {
    const scene = await SpoolScene.open(t)
    const spooled = await scene.openSpooled({ drainPerSecondMax: 1_000 })
    scene.door = 'refused'
    const records = numbers(0, 3_000).map((text) => recordOf(text))
    await spooled.append(records)
    const startedAt = performance.now()
    scene.door = 'open'
    await until(() => spooled.trouble === undefined)
    await spooled.append([recordOf('live')])
    assert.ok((await spooled.waiting()) > 0)
    await until(async () => (await spooled.waiting()) === 0)
    assert.ok(performance.now() - startedAt >= 2_000)
    assert.ok(scene.reached.indexOf('live') < scene.reached.indexOf('2999'))
  })

  it('closes at once while the log is away, and loses nothing that was under way', async (t) => {
    const scene = await SpoolScene.open(t)
    const spooled = await scene.openSpooled({ afterMs: 60_000 })
    await spooled.append([recordOf('direct')])
    scene.door = 'refused'
    const appending = spooled.append([recordOf('under way')])
    const closing = spooled.close()
    await Promise.all([appending, closing])
    await assert.rejects(spooled.append([recordOf('later')]), { code: 'log_unavailable' })
    const spool = await scene.openSpool()
    assert.deepEqual(textsOf(await readAll(spool)), ['under way'])
  })
})
