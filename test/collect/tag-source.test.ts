import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { latenessMs } from '../../src/collect/enrich.ts'
import { checksumOf, parsePairs } from '../../src/collect/parse.ts'
import { openScene, tagIds, tagPath } from './scene.ts'

const dayMs = 86_400_000

function withChecksum(path: string): string {
  const query = path.slice(path.indexOf('?') + 1)
  return `${path}&x=${checksumOf(parsePairs(query))}`
}

describe('GET /csc-event', () => {
  test('is answered by the pixel when the event can be read from the log', async (t) => {
    const scene = await openScene(t)
    const answer = await scene.get(withChecksum(tagPath({ u: '(ditem_id!266h!)' })))
    assert.equal(answer.status, 200)
    assert.equal(answer.headers['content-type'], 'image/gif')
    assert.equal(answer.body.length, 37)
    const [event, ...others] = await scene.storedEvents()
    assert.equal(others.length, 0)
    assert.equal(event?.partyId, tagIds.party)
    assert.equal(event?.sessionId, tagIds.session)
    assert.equal(event?.pageViewId, tagIds.pageView)
    assert.equal(event?.sequence, 0)
    assert.equal(event?.clockSource, 'client')
    assert.equal(event?.eventTime, event?.clientTime)
    assert.deepEqual([event?.parameters, event?.itemId], ['{"item_id":101321}', '101321'])
    assert.equal(event?.corrupt, false)
    assert.equal(event?.source, 'tag')
    assert.equal(event?.remoteAddress, '127.0.0.0')
  })

  test('with the known ETag is answered by 304, and the event is stored all the same', async (t) => {
    const scene = await openScene(t)
    const { headers } = await scene.get(tagPath())
    for (const tag of [headers['etag'] ?? '', `W/${headers['etag']}`, `"a", ${headers['etag']}`]) {
      const answer = await scene.get(tagPath(), { 'If-None-Match': tag })
      assert.deepEqual([answer.status, answer.body.length], [304, 0])
      assert.equal(answer.headers['etag'], headers['etag'])
    }
    assert.equal((await scene.storedEvents()).length, 4)
  })

  test('with a wrong or missing checksum is kept and marked', async (t) => {
    const scene = await openScene(t)
    for (const path of [
      tagPath(),
      `${tagPath()}&x=abc`,
      withChecksum(tagPath({ l: 'https://x/😀' })),
    ]) {
      assert.equal((await scene.get(path)).status, 200)
    }
    const events = await scene.storedEvents()
    assert.deepEqual(
      events.map(({ corrupt }) => corrupt),
      [true, true, false],
    )
  })

  test('takes the time of a right clock, and marks a wrong one', async (t) => {
    const now = 1_700_000_000_000
    const scene = await openScene(t, {}, { clock: () => now })
    const times = [
      [now - latenessMs, 'client'],
      [now - latenessMs - 1, 'wrong'],
      [now + 300_000, 'client'],
      [now + 300_001, 'wrong'],
      [now - 3 * 365 * dayMs, 'wrong'],
      [-1, 'wrong'],
    ] as const
    for (const [time] of times) await scene.get(tagPath({ c: time.toString(36) }))
    await scene.get(tagPath({ c: '1y2p0ij32e8e7' }))
    const events = await scene.storedEvents()
    for (const [index, [time, clockSource]] of times.entries()) {
      const event = events[index]
      assert.deepEqual([event?.clientTime, event?.clockSource], [time, clockSource])
      assert.equal(event?.eventTime, clockSource === 'client' ? time : now)
      assert.equal(event?.receivedAt, now)
    }
    assert.deepEqual([events[6]?.clockSource, events[6]?.clientTime], ['wrong', 2 ** 52 - 1])
  })

  test('keeps a fractional pixel ratio, and takes a size that is none for absent', async (t) => {
    const scene = await openScene(t)
    await scene.get(tagPath({ k: '1.i', w: 'zk', h: '1.5', i: 'zzzzzzz' }))
    await scene.get(tagPath({ k: '2.mi', w: '-1' }))
    await scene.get(tagPath({ k: 'x!' }))
    const [first, second, third] = await scene.storedEvents()
    assert.deepEqual(
      [first?.devicePixelRatio, first?.viewportWidth, first?.viewportHeight, first?.screenWidth],
      [1.5, 1280, null, null],
    )
    assert.deepEqual([second?.devicePixelRatio, second?.viewportWidth], [2.625, -1])
    assert.equal(third?.devicePixelRatio, null)
  })

  test('keeps an event whose parameters are malformed, without them', async (t) => {
    const scene = await openScene(t)
    for (const u of ['garbage', '', '(', 'u', 'n']) {
      assert.equal((await scene.get(tagPath({ u }))).status, 200, u)
    }
    const events = await scene.storedEvents()
    assert.deepEqual(
      events.map(({ parameters }) => parameters),
      [null, null, null, null, null],
    )
    const metrics = await scene.get('/metrics')
    assert.match(String(metrics.body), /parameters_unreadable_total 3\n/)
  })

  test('names the item by the parameter of the settings', async (t) => {
    const scene = await openScene(t, { itemIdParameter: 'sku' })
    const cases: [string, string | null][] = [
      ['(ssku!A-1!)', 'A-1'],
      ['(jsku!1.5!)', '1.5'],
      ['(tsku!)', 'true'],
      ['(dsku!zzzzzzzzzzzzzzzzzzzz!)', '13367494538843734067838845976575'],
      ['(ssku!!)', null],
      ['(nsku!)', null],
      ['((sku!))', null],
      ['(ditem_id!1!)', null],
      ['ssku!', null],
    ]
    for (const [u] of cases) await scene.get(tagPath({ u }))
    const events = await scene.storedEvents()
    assert.deepEqual(
      events.map(({ itemId }) => itemId),
      cases.map(([, itemId]) => itemId),
    )
  })

  test('tells device, browser and system, and marks a bot', async (t) => {
    const scene = await openScene(t)
    const chrome =
      'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36'
    const google = 'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)'
    const long = `Mozilla/5.0 ${'x'.repeat(2000)}`
    for (const agent of [chrome, google, long]) await scene.get(tagPath(), { 'User-Agent': agent })
    await scene.get(tagPath())
    const [person, bot, cut, none] = await scene.storedEvents()
    assert.equal(person?.userAgent, chrome)
    assert.equal(person?.bot, null)
    assert.deepEqual(
      [
        person?.agent.name,
        person?.agent.version,
        person?.agent.osFamily,
        person?.agent.deviceCategory,
      ],
      ['Chrome', '120.0.0.0', 'Windows', 'Personal computer'],
    )
    assert.match(bot?.bot ?? '', /google/i)
    assert.equal(cut?.userAgent?.length, 512)
    assert.deepEqual([none?.userAgent, none?.bot, none?.agent.name], [null, null, null])
  })

  test('cuts an address of a page that is too long, never inside a character', async (t) => {
    const scene = await openScene(t, { urlCharactersMax: 32 })
    await scene.get(tagPath({ l: `https://www.example.com/${'x'.repeat(7)}😀`, r: 'https://r/' }))
    const [event] = await scene.storedEvents()
    assert.equal(event?.location, `https://www.example.com/${'x'.repeat(7)}`)
    assert.equal(event?.referer, 'https://r/')
  })

  test('is counted at /metrics', async (t) => {
    const scene = await openScene(t)
    await scene.get(tagPath())
    await scene.get(tagPath({ p: undefined }))
    const text = String((await scene.get('/metrics')).body)
    assert.match(text, /requests_total\{route="event",status="200"\} 1\n/)
    assert.match(text, /requests_total\{route="event",status="400"\} 1\n/)
    assert.match(text, /events_accepted_total\{source="tag"\} 1\n/)
    assert.match(text, /rejections_total\{code="parameter_missing"\} 1\n/)
    assert.match(text, /append_seconds_count 1\n/)
    assert.match(text, /waiting_events 0\n/)
  })
})

describe('the address of a sender', () => {
  test('is kept as the setting says', async (t) => {
    for (const [address, kept] of [
      ['masked', '203.0.113.0'],
      ['full', '203.0.113.9'],
      ['none', ''],
    ] as const) {
      const scene = await openScene(t, { address, trustedProxies: ['127.0.0.1'] })
      await scene.get(tagPath(), { 'X-Forwarded-For': ['198.51.100.1', '203.0.113.9'] })
      assert.equal((await scene.storedEvents())[0]?.remoteAddress, kept)
    }
  })
})
