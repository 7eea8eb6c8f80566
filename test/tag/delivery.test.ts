import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createFakeNetwork, type FakeNetwork, microtasks } from './fake-network.ts'
import { createFakePage, type FakePage, startMs } from './fake-page.ts'
import { eventsOf, loadTag, parseRequest, runTag } from './load-tag.ts'

/** The module `delivery` in a fake page: answers, pauses and clocks that a real browser hides. */

const modules = ['delivery'] as const

interface Scene extends FakeNetwork {
  readonly view: FakePage
}

/** @param random what the page draws for its pauses */
async function open(network = createFakeNetwork(), random = 1): Promise<Scene> {
  const view = createFakePage(network.page)
  view.run(`Math.random = () => ${random}`)
  await runTag(view, { modules: [...modules] })
  await microtasks()
  return { ...network, view }
}

function accepted(events: readonly string[]): object {
  return { results: events.map(() => ({ status: 'accepted' })) }
}

async function acceptLast({ requests }: FakeNetwork): Promise<void> {
  const last = requests.at(-1)
  await last?.answer(200, accepted(last.events))
}

function typesOf(events: readonly string[]): (string | undefined)[] {
  return events.map((event) => {
    return Object.fromEntries(parseRequest(`?${event}`).parameters)['t']
  })
}

function storedTypes({ storage }: FakeNetwork): (string | undefined)[] {
  return Object.values(storage).flatMap((entry) => typesOf(entry.split('\n').slice(1)))
}

describe('answers', () => {
  const own = (code: string) => ({ error: { code, message: 'No.' } })
  const foreign: readonly (readonly [status: number, body: unknown])[] = [
    [400, '<html>Bad Request'],
    [400, { error: { code: 400, message: 'Bad Request' } }],
    [401, 'Unauthorized'],
    [403, '<html>Blocked by the firewall'],
    [403, { error: { code: 403, status: 'PERMISSION_DENIED' } }],
    [404, { error: { code: 'not_found' } }],
    [407, ''],
    [425, ''],
    [408, own('request_timeout')],
    [429, own('overloaded_now')],
    [503, own('log_unavailable')],
  ]
  for (const [status, body] of foreign) {
    test(`${status} ${JSON.stringify(body)} settles nothing: the event is stored and tried again`, async () => {
      const scene = await open()
      await scene.requests[0]?.answer(status, body)
      assert.deepEqual(storedTypes(scene), ['pageView'])
      scene.view.pass(1_000)
      assert.deepEqual(scene.requests[1]?.events, scene.requests[0]?.events)
      await acceptLast(scene)
      assert.deepEqual(Object.keys(scene.storage), [])
    })
  }

  const settled: readonly (readonly [status: number, body: unknown])[] = [
    [400, own('body_invalid')],
    [413, own('body_too_large')],
    // By whomever: it would hold up all behind it for six days.
    [413, '<html>Request Entity Too Large'],
    [200, { results: [{ status: 'rejected' }] }],
  ]
  for (const [status, body] of settled) {
    test(`${status} ${JSON.stringify(body)} settles an event`, async () => {
      const scene = await open()
      await scene.requests[0]?.answer(status, body)
      assert.deepEqual(Object.keys(scene.storage), [])
      scene.view.pass(600_000)
      assert.equal(scene.requests.length, 1)
    })
  }

  test('413 halves the next requests until they fit', async () => {
    const scene = await open()
    await acceptLast(scene)
    for (let count = 0; count < 8; count++) scene.view.tag.signal('x')
    await microtasks()
    await scene.requests[1]?.answer(413, own('batch_too_large'))
    scene.view.pass(1_000)
    await scene.requests[2]?.answer(413, '')
    scene.view.pass(2_000)
    for (let count = 0; count < 4; count++) await acceptLast(scene)
    assert.deepEqual(
      scene.requests.map(({ events }) => events.length),
      [1, 8, 4, 2, 2, 2, 2],
    )
    assert.deepEqual(Object.keys(scene.storage), [])
  })
})

describe('pauses', () => {
  for (const [random, share] of [
    [0, 0.5],
    [1, 1],
  ] as const) {
    test(`double from 1 s to 5 minutes, ${share} of them by chance`, async () => {
      const scene = await open(createFakeNetwork(), random)
      for (let failures = 1; failures <= 12; failures++) {
        await scene.requests.at(-1)?.fail()
        const pauseMs = share * Math.min(300_000, 500 * 2 ** failures)
        scene.view.pass(pauseMs - 1)
        assert.equal(scene.requests.length, failures, `after ${failures} failures`)
        scene.view.pass(1)
        assert.equal(scene.requests.length, failures + 1, `after ${failures} failures`)
      }
      await acceptLast(scene)
      scene.view.tag.signal('x')
      await microtasks()
      await scene.requests.at(-1)?.fail()
      scene.view.pass(share * 1_000)
      assert.equal(scene.requests.length, 15)
    })
  }

  const retryAfter = {
    seconds: ['20', 20_000],
    'an HTTP date': [new Date(startMs + 20_000).toUTCString(), 20_000],
    'a time beyond 5 minutes': ['4000', 300_000],
    'a date that has passed': [new Date(startMs - 9_000).toUTCString(), 1_000],
    'no time at all': ['soon', 1_000],
  } as const
  for (const [name, [header, pauseMs]] of Object.entries(retryAfter)) {
    test(`Retry-After with ${name} is a pause of ${pauseMs} ms`, async () => {
      const scene = await open()
      await scene.requests[0]?.answer(503, '', { 'Retry-After': header })
      scene.view.pass(pauseMs - 1)
      assert.equal(scene.requests.length, 1)
      scene.view.pass(1)
      assert.equal(scene.requests.length, 2)
    })
  }

  test('a request without an answer is ended after 30 s, and tried again', async () => {
    const scene = await open()
    scene.view.pass(29_999)
    assert.equal(scene.requests[0]?.signal.aborted, false)
    scene.view.pass(1)
    assert.equal(scene.requests[0]?.signal.aborted, true)
    await microtasks()
    scene.view.pass(1_000)
    assert.deepEqual(scene.requests[1]?.events, scene.requests[0]?.events)
  })
})

describe('a page that is left', () => {
  test('sends in a beacon what is not under way', async () => {
    const scene = await open()
    scene.view.tag.signal('behind')
    scene.view.fire('pagehide')
    assert.deepEqual(scene.beacons.map(typesOf), [['behind']])
    assert.deepEqual(storedTypes(scene), ['pageView'])
  })

  test('where a fetch ends with its page, sends what is under way as well', async () => {
    const scene = await open(createFakeNetwork(false))
    scene.view.tag.signal('behind')
    scene.view.fire('pagehide')
    assert.deepEqual(scene.beacons.map(typesOf), [['pageView', 'behind']])
  })
})

describe('without Web Locks', () => {
  async function entryOf(dueMs: number): Promise<Scene> {
    const network = createFakeNetwork()
    const c = (startMs - 1_000).toString(36)
    network.storage['_dvq https://t.example.com/csc-event 0:gone'] = `${dueMs}\nt=left&c=${c}&x=0`
    return await open(network)
  }

  test('a queue untouched for 10 minutes is taken over and sent', async () => {
    const scene = await entryOf(startMs - 600_001)
    await acceptLast(scene)
    await acceptLast(scene)
    const sent = scene.requests.flatMap(({ events }) => typesOf(events))
    assert.deepEqual(sent.sort(), ['left', 'pageView'])
    assert.deepEqual(Object.keys(scene.storage), [])
  })

  test('a younger one is left to the page that may still have it', async () => {
    const scene = await entryOf(startMs - 600_000)
    await acceptLast(scene)
    assert.deepEqual(
      scene.requests.flatMap(({ events }) => typesOf(events)),
      ['pageView'],
    )
    assert.deepEqual(storedTypes(scene), ['left'])
  })
})

describe('with Web Locks', () => {
  test('a queue is taken over by one page, also while another has not heard of it', async () => {
    const locks = createFakeLocks()
    // Browsers show each process a copy of the storage, which learns of a removal later than of a lock.
    const openCopy = async () => {
      const network = createFakeNetwork()
      const c = (startMs - 1_000).toString(36)
      network.storage['_dvq https://t.example.com/csc-event 0:gone'] = `0\nt=left&c=${c}&x=0`
      const navigator = { ...network.page.navigator, locks }
      const scene = await open({ ...network, page: { ...network.page, navigator } })
      await acceptLast(scene)
      await acceptLast(scene)
      return { scene, sent: scene.requests.flatMap(({ events }) => typesOf(events)).sort() }
    }
    const first = await openCopy()
    assert.deepEqual(first.sent, ['left', 'pageView'])
    assert.deepEqual((await openCopy()).sent, ['pageView'])
    first.scene.view.pass(1_000)
    await microtasks()
    assert.deepEqual((await openCopy()).sent, ['left', 'pageView'])
  })
})

/** A name is held until what its holder returns has resolved; nobody here waits for one. */
function createFakeLocks() {
  const held = new Set<string>()
  return {
    async request(name: string, ...rest: unknown[]): Promise<unknown> {
      const callback = rest.at(-1) as (lock: object | null) => unknown
      await undefined
      if (held.has(name)) return callback(null)
      held.add(name)
      const result = await callback({ name })
      held.delete(name)
      return result
    },
  }
}

test('a browser that cannot end a fetch sends images, as the core does', async () => {
  const network = createFakeNetwork()
  const { AbortController: _, ...window } = network.page.window as Record<string, unknown>
  const page = await loadTag({ ...network.page, window, autoload: true }, { modules: [...modules] })
  page.tag.signal('x')
  await microtasks()
  assert.deepEqual(
    eventsOf(page).map((event) => event['t']),
    ['pageView', 'x'],
  )
  assert.deepEqual([network.requests.length, Object.keys(network.storage)], [0, []])
})
