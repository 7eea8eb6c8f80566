import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openSources } from '../../src/cli/mappings.ts'
import { checksumOf, parsePairs } from '../../src/collect/parse.ts'
import { type ConfigInput, parseConfig } from '../../src/config.ts'
import { openScene, type Scene, tagIds, tagPath } from './scene.ts'

/** A tag with the module `httponly` names no party: the collector does, in a cookie of its own. */

const known = '0:kf12ot8g:KnownKnownKnownKnownKnownKnownKn'

function open(t: TestContext, options = {}): Promise<Scene> {
  return openScene(t, options, {}, undefined, { modules: ['httponly'] })
}

/** As the tag sends it: without `p`, with a checksum that is right. */
function nameless(changes: Readonly<Record<string, string | undefined>> = {}): string {
  const path = tagPath({ p: undefined, n: 'f', ...changes })
  return `${path}&x=${checksumOf(parsePairs(path.slice(path.indexOf('?') + 1)))}`
}

function cookieOf({ headers }: Awaited<ReturnType<Scene['get']>>): string {
  return headers['set-cookie'] ?? ''
}

test('the first event makes the party and the cookie, the next ones bring it', async (t) => {
  const scene = await open(t)
  const first = await scene.get(nameless())
  assert.equal(first.status, 200)
  const [pair = '', ...attributes] = cookieOf(first).split('; ')
  assert.deepEqual(attributes, [
    'Path=/',
    `Max-Age=${730 * 86_400}`,
    'HttpOnly',
    'SameSite=Lax',
    'Secure',
  ])
  const second = await scene.get(nameless({ e: `${tagIds.pageView}1`, f: 'f' }), { Cookie: pair })
  assert.equal(cookieOf(second).split('; ')[0], pair)
  const events = await scene.storedEvents()
  const partyId = pair.replace('_dvp=', '')
  assert.deepEqual(
    events.map((event) => [event.partyId, event.newParty, event.corrupt]),
    [
      [partyId, true, false],
      [partyId, false, false],
    ],
  )
})

test('a retry whose first answer was lost is the same event of the same party', async (t) => {
  const scene = await open(t)
  const path = nameless()
  const first = await scene.get(path)
  // The cookie did not arrive; or it did, and the retry brings it.
  await scene.get(path)
  await scene.get(path, { Cookie: cookieOf(first).split(';')[0] ?? '' })
  const events = await scene.storedEvents()
  assert.equal(events.length, 3)
  const [one, ...others] = events.map(({ receivedAt: _, ...event }) => event)
  for (const other of others) assert.deepEqual(other, one)
})

test('a batch has one party, that of the cookie where there is one', async (t) => {
  const scene = await open(t)
  const lines = [0, 1, 2].map((at) => nameless({ e: `${tagIds.pageView}${at}` }).split('?')[1])
  const post = (headers: Readonly<Record<string, string>>) =>
    scene.send({
      method: 'POST',
      path: '/csc-event',
      headers: { 'Content-Type': 'text/plain', ...headers },
      body: lines.join('\n'),
    })
  const origin = 'https://shop.example'
  const answer = await post({ Cookie: `x=1; _dvp=broken; _dvp=${known}`, Origin: origin })
  assert.equal(answer.status, 200)
  assert.equal(answer.headers['access-control-allow-credentials'], 'true')
  assert.equal(answer.headers['access-control-allow-origin'], origin)
  const events = await scene.storedEvents()
  assert.deepEqual(
    events.map(({ partyId, newParty }) => [partyId, newParty]),
    lines.map(() => [known, false]),
  )
})

test('who refuses to be known gets no cookie and loses the one that is there', async (t) => {
  const scene = await open(t)
  const plain = await scene.get(nameless({ g: '1', s: undefined, n: undefined, f: undefined }))
  assert.equal(cookieOf(plain), '')
  const signalled = await scene.get(nameless(), { Cookie: `_dvp=${known}`, 'Sec-GPC': '1' })
  assert.match(cookieOf(signalled), /^_dvp=; Path=\/; Max-Age=0; HttpOnly/)
  const denied = await scene.send({
    method: 'POST',
    path: '/csc-event',
    headers: { 'Content-Type': 'text/plain', Cookie: `_dvp=${known}` },
    body: 'g=1',
  })
  assert.deepEqual(denied.json(), { results: [] })
  assert.match(cookieOf(denied), /^_dvp=; Path=\/; Max-Age=0/)
  assert.deepEqual(
    (await scene.storedEvents()).map(({ partyId }) => partyId),
    [null, null],
  )
  assert.deepEqual(await scene.storedRejections(), [])
})

test('a tag that names its party keeps it; a damaged event stays damaged', async (t) => {
  const scene = await open(t)
  const named = await scene.get(tagPath(), { Cookie: `_dvp=${known}` })
  assert.equal(cookieOf(named), '')
  await scene.get(`${nameless()}1`, { Cookie: `_dvp=${known}` })
  const events = await scene.storedEvents()
  assert.deepEqual(
    events.map(({ partyId, corrupt }) => [partyId, corrupt]),
    [
      [tagIds.party, true],
      [known, true],
    ],
  )
})

test('without the module an event without a party is refused, cookie or not', async (t) => {
  const scene = await openScene(t)
  const answer = await scene.get(nameless(), { Cookie: `_dvp=${known}` })
  assert.equal(answer.status, 400)
  assert.equal(cookieOf(answer), '')
})

/** The collector that a configuration gives, as far as its sources go. */
async function openConfigured(t: TestContext, input: ConfigInput): Promise<Scene> {
  const config = parseConfig(input)
  return openScene(t, {}, { sources: await openSources(config) }, undefined, config.tag)
}

const outlet: NonNullable<ConfigInput['sources']>[string] = {
  type: 'browser',
  prefix: '/outlet/',
  modules: ['httponly'],
  partyCookie: '_o',
  partyTimeoutDays: 10,
  cookieDomain: 'shop.example',
}

const origin = 'https://shop.example'

function batchTo(scene: Scene, path: string) {
  const body = nameless().split('?')[1] ?? ''
  const headers = { 'Content-Type': 'text/plain', Origin: origin, Cookie: `_o=${known}` }
  return scene.send({ method: 'POST', path, headers, body })
}

test('a source with the module has a cookie of its own, whatever the tag at the root has', async (t) => {
  for (const modules of [[], ['httponly']] as const) {
    const scene = await openConfigured(t, { tag: { modules: [...modules] }, sources: { outlet } })
    const first = await scene.get(`/outlet${nameless()}`)
    assert.equal(first.status, 200)
    assert.match(cookieOf(first), /^_o=0:.*; Max-Age=864000; .*; Domain=shop\.example/)
    const batch = await batchTo(scene, '/outlet/csc-event')
    assert.equal(batch.headers['access-control-allow-credentials'], 'true')
    assert.match(cookieOf(batch), new RegExp(`^_o=${known};`))
    const signalled = await scene.get(`/outlet${nameless()}`, {
      Cookie: `_o=${known}`,
      'Sec-GPC': '1',
    })
    assert.match(cookieOf(signalled), /^_o=; Path=\/; Max-Age=0/)
    assert.deepEqual(
      (await scene.storedEvents()).map(({ partyId }) => partyId),
      [cookieOf(first).split(/[=;]/)[1], known, null],
    )
    const root = await scene.get(nameless())
    assert.equal(root.status, modules.length === 0 ? 400 : 200)
    assert.match(cookieOf(root), modules.length === 0 ? /^$/ : /^_dvp=/)
  }
})

test('a source without the module takes no party from a cookie, though the tag at the root does', async (t) => {
  const scene = await openConfigured(t, {
    tag: { modules: ['httponly'] },
    sources: { outlet: { ...outlet, modules: [] } },
  })
  const answer = await scene.get(`/outlet${nameless()}`, { Cookie: `_o=${known}; _dvp=${known}` })
  assert.deepEqual([answer.status, cookieOf(answer)], [400, ''])
  const batch = await batchTo(scene, '/outlet/csc-event')
  assert.equal(batch.json().results[0]?.status, 'rejected')
  assert.equal(batch.headers['access-control-allow-credentials'], undefined)
})
