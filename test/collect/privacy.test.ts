import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parseQuery } from '../../src/collect/parse.ts'
import { stripQuery } from '../../src/collect/privacy.ts'
import { type Headers, openScene, tagIds, tagPath } from './scene.ts'

const noParty = { p: undefined, s: undefined, n: undefined, f: undefined }

describe('a wish for privacy', () => {
  const wishes: readonly [name: string, headers: Headers, privacy: string][] = [
    ['Sec-GPC', { 'Sec-GPC': '1' }, 'gpc'],
    ['DNT', { DNT: '1' }, 'dnt'],
    ['Sec-GPC, which goes before DNT', { DNT: '1', 'Sec-GPC': '1' }, 'gpc'],
    ['Sec-GPC sent twice', { 'Sec-GPC': ['1', '1'] }, 'gpc'],
  ]
  for (const [name, headers, privacy] of wishes) {
    test(`by ${name} takes the party from what an old tag sends, and from JSON`, async (t) => {
      const scene = await openScene(t)
      assert.equal((await scene.get(tagPath(), headers)).status, 200)
      assert.equal((await scene.get(tagPath(noParty), headers)).status, 200)
      assert.equal((await scene.get(tagPath({ p: 'unreadable' }), headers)).status, 200)
      const body = { eventId: 'e1', eventType: 'a', partyId: 'me', sessionId: 's', newParty: true }
      assert.equal((await scene.post(body, headers)).status, 200)
      const events = await scene.storedEvents()
      assert.equal(events.length, 4)
      for (const event of events) {
        assert.deepEqual(
          [event.partyId, event.sessionId, event.newParty, event.firstInSession, event.privacy],
          [null, null, false, false, privacy],
        )
      }
      assert.equal(events[0]?.pageViewId, tagIds.pageView)
    })
  }

  test('by g=1 is enough for the tag to leave the party out', async (t) => {
    const scene = await openScene(t)
    assert.equal((await scene.get(tagPath({ ...noParty, g: '1' }))).status, 200)
    assert.equal((await scene.get(tagPath({ g: '1' }))).status, 200)
    assert.equal((await scene.get(tagPath({ ...noParty, g: '0' }))).status, 400)
    assert.equal((await scene.get(tagPath(noParty))).status, 400)
    for (const event of await scene.storedEvents()) {
      assert.deepEqual([event.partyId, event.sessionId, event.privacy], [null, null, 'gpc'])
    }
  })

  test('of 0 is none', async (t) => {
    const scene = await openScene(t)
    await scene.get(tagPath(), { DNT: '0', 'Sec-GPC': '0' })
    const [event] = await scene.storedEvents()
    assert.deepEqual([event?.partyId, event?.privacy], [tagIds.party, null])
  })

  test('of the site takes the party from everyone', async (t) => {
    const scene = await openScene(t, { cookieless: true })
    await scene.get(tagPath())
    await scene.get(tagPath(noParty))
    await scene.get(tagPath(), { DNT: '1' })
    const events = await scene.storedEvents()
    assert.deepEqual(
      events.map(({ partyId, privacy }) => [partyId, privacy]),
      [
        [null, 'cookieless'],
        [null, 'cookieless'],
        [null, 'dnt'],
      ],
    )
  })

  test('holds for what is refused too: no dead letter names the party', async (t) => {
    const scene = await openScene(t)
    const gpc = { 'Sec-GPC': '1' }
    assert.equal((await scene.get(tagPath({ e: undefined }), gpc)).status, 400)
    assert.equal(
      (await scene.get(`${tagPath({ p: undefined })}&%70=0:1:secret&s=%`, gpc)).status,
      400,
    )
    assert.equal((await scene.get(`${tagPath()}é`, gpc)).status, 400)
    await scene.post([{ partyId: 'secret', sessionId: 'secret', event_type: 'x' }], gpc)
    await scene.post('{"partyId": "secret", ', gpc)
    const rejections = await scene.storedRejections()
    assert.equal(rejections.length, 5)
    for (const { body, privacy } of rejections) {
      assert.equal(privacy, 'gpc')
      assert.doesNotMatch(body, /secret|Party|Sess/)
    }
    assert.equal(rejections[4]?.truncated, true)
  })

  test('leaves nothing of a refused JSON event that may name the party in another way', async (t) => {
    const scene = await openScene(t)
    const events = [
      { partyID: 'secret', eventType: 'x' },
      [{ partyId: 'secret' }],
      'secret',
      { event: { partyId: 'secret' }, eventType: 'y' },
    ]
    assert.equal((await scene.post(events, { 'Sec-GPC': '1' })).status, 200)
    const rejections = await scene.storedRejections()
    assert.deepEqual(
      rejections.map(({ body, truncated }) => [body, truncated]),
      [
        ['{"eventType":"x"}', true],
        ['', true],
        ['', true],
        ['{"eventType":"y"}', true],
      ],
    )
  })

  test('by g=1 holds for what is refused too', async (t) => {
    const scene = await openScene(t)
    const secret = { p: '0:1:secret', s: '0:1:secret', g: '1' }
    assert.equal((await scene.get(tagPath({ ...secret, e: undefined }))).status, 400)
    assert.equal((await scene.get(`${tagPath(secret)}&l=é`)).status, 400)
    const rejections = await scene.storedRejections()
    assert.equal(rejections.length, 2)
    for (const { body, privacy } of rejections) {
      assert.equal(privacy, 'gpc')
      assert.doesNotMatch(body, /secret/)
    }
  })

  test('leaves a checksum that was right right for what is kept', () => {
    const kept = stripQuery('p=0:a:b&s=0:c:d&x=-88kwld')
    assert.deepEqual([parseQuery(kept).p, parseQuery(kept).intact], [undefined, true])
    assert.equal(parseQuery(stripQuery('p=0:a:b&s=0:c:d&x=1')).intact, false)
  })
})
