import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import type { FakePage, FakePageOptions } from './fake-page.ts'
import { eventsOf, loadTag, parseRequest } from './load-tag.ts'

/**
 * The built script in a fake browser, against what Divolte's own script did there. Random
 * identifiers are masked and each checksum is checked against its own request; all else is equal.
 */

interface RecordedCase {
  readonly name: string
  readonly env: Omit<FakePageOptions, 'autoload'> & {
    readonly autoload: string
    readonly rnd: number
    readonly consts?: { AUTO_PAGE_VIEW_EVENT?: boolean; EVENT_SUFFIX?: string }
    readonly extra?: object
  }
  readonly error: string | null
  readonly returned?: unknown
  readonly requests?: readonly string[]
  readonly documentCookieWrites?: readonly string[]
  readonly exported?: object
}

type Query = {
  readonly address: string
  readonly parameters: readonly (readonly [string, string])[]
}
/** What one case came to, ready to be masked and compared. */
interface Outcome {
  error: string | null
  returned: unknown
  requests: Query[]
  cookieWrites: string[]
  exported: object | undefined
}

const vectors = new URL('../../../shared/vectors/divolte.json', import.meta.url)
const skip = existsSync(vectors) ? false : 'the recorded cases (../shared/vectors) are not here'
const recorded = skip ? { tag: [] } : JSON.parse(readFileSync(vectors, 'utf8'))
const cases: readonly RecordedCase[] = recorded.tag

/** What the page does in each case once the script is loaded; the rest only load it. */
const actions: Readonly<Record<string, (page: FakePage) => unknown>> = {
  'custom-event-two-integers': signals(`'event', {item_id: 101321, event_date: 3213213}`),
  'custom-event-null-params': signals(`'click', null`),
  'custom-event-empty-object': signals(`'click', {}`),
  'custom-event-toJSON-undefined': signals(`'click', {toJSON() {}}`),
  'server-page-view-id-from-hash': signals(`'x'`),
  'auto-page-view-off': ({ run }) => run(`[divolte.pageViewId, divolte.signal('x')]`),
  'unicode-bmp': signals(`'ara', {q: 'Şişli İstanbul €'}`),
  'lone-surrogate': ({ run }) =>
    run(`try { divolte.signal('lone', {q: 'a\\ud800b'}) } catch (thrown) { 'threw ' + thrown }`),
  numbers: signals(`'num', {
    zero: 0, negzero: -0, one: 1, neg: -37, z36: 35, z36b: 36, big: 2 ** 53, bigger: 123456789012345680000,
    e21: 1e21, e100: 1e100, half: 1.5, tenth: 0.1, small: -7.83e-9, f532: 53.2, nan: NaN,
    inf: Infinity, thousand: 1000, million: 1e6, e5: 1e5, e15: 1e15, max: Number.MAX_VALUE,
    min: Number.MIN_VALUE, i32: 2 ** 31, m1: -1}`),
  'function-param': ({ run }) =>
    run(
      `let first
      try { divolte.signal('bad', {f() {}}) } catch (thrown) { first = 'threw: ' + thrown }
      [first, divolte.signal('after')]`.replace('\n      [', ';\n      ['),
    ),
  'array-root': signals(`'arr', [1, 'two', {three: 3}]`),
  'hidden-then-signal': (page) => {
    assert.deepEqual(page.requests, [])
    assert.equal(page.tag.pageViewId, null)
    const id = page.tag.signal('early')
    page.show()
    return { id, n: page.requests.length }
  },
  bfcache: (page) => {
    const first = page.tag.pageViewId
    page.tag.signal('a')
    page.fire('pagehide')
    page.fire('pageshow')
    const second = page.tag.pageViewId
    const suffixAfter = page.tag.signal('b')?.slice(-1)
    page.fire('pagehide')
    page.fire('pageshow')
    const third = page.tag.pageViewId
    return { changed: second !== first, suffixAfter, third: third !== second && third !== first }
  },
  'later-events-keep-page-time-ids': (page) => {
    page.pass(3_600_000)
    page.tag.signal('late')
    return { c: /&c=(\w+)/.exec(page.requests[1] ?? '')?.[1], session: page.tag.sessionId }
  },
  amd: ({ run }) =>
    run(`({windowDivolte: typeof window.divolte, amdKeys: Object.keys(window.define.factory())})`),
  'window-module-exports': ({ run }) =>
    run(`({windowDivolte: typeof window.divolte, keys: Object.keys(window.module.exports)})`),
}

function signals(args: string): (page: FakePage) => unknown {
  return ({ run }) => run(`divolte.signal(${args})`)
}

/** Where the tag differs on purpose: what is expected instead, and why. */
const differences: Readonly<
  Record<string, { reason: string; expect: (recorded: Outcome) => void }>
> = {
  'lone-surrogate': {
    reason: 'half a surrogate pair becomes U+FFFD; Divolte throws and the event is lost',
    expect: (outcome) => {
      const [pageView] = outcome.requests
      assert.ok(pageView)
      const changes: Record<string, string> = { n: 'f', f: 'f', t: 'lone' }
      const parameters = pageView.parameters.map(([name, value]) => {
        if (name === 'e') return [name, value.replace(/0$/, '1')] as const
        return [name, changes[name] ?? value] as const
      })
      parameters.push(['u', '(sq!a\uFFFDb!)'])
      outcome.requests.push({ ...pageView, parameters })
      outcome.returned = parameters.find(([name]) => name === 'e')?.[1]
      outcome.cookieWrites.push(...outcome.cookieWrites)
    },
  },
  'later-events-keep-page-time-ids': {
    reason: 'an idle page starts a new session after the timeout',
    expect: (outcome) => {
      const renewed = '0:kf14tz0g:renewedSessionRenewedSession0000'
      const [, late] = outcome.requests
      assert.ok(late)
      const changes: Record<string, string> = { s: renewed, f: 't' }
      const parameters = late.parameters.map(
        ([name, value]) => [name, changes[name] ?? value] as const,
      )
      outcome.requests[1] = { ...late, parameters }
      outcome.cookieWrites[2] = (outcome.cookieWrites[2] ?? '').replace(/=[^;]*/, `=${renewed}`)
      outcome.returned = { ...(outcome.returned as object), session: renewed }
      outcome.exported = { ...outcome.exported, sessionId: renewed }
    },
  },
}

/** On every https page: cookies that other sites do not get and that never travel in the clear. */
const secureSuffix = '; SameSite=Lax; Secure'

describe('the tag does what Divolte recorded', { skip }, () => {
  for (const recordedCase of cases) {
    const difference = differences[recordedCase.name]
    const { href = 'https://www.example.com/p?a=1' } = recordedCase.env
    test(`${recordedCase.name} on https${difference ? `, but ${difference.reason}` : ''}`, async () => {
      const expected = recordedOutcome(recordedCase, (text) => text)
      difference?.expect(expected)
      expected.cookieWrites = expected.cookieWrites.map((cookie) => cookie + secureSuffix)
      assert.deepEqual(masked(await observe(recordedCase, href)), masked(expected))
    })
    test(`${recordedCase.name} on http, cookies to the letter`, async () => {
      const toHttp = (text: string) => text.replace('https://www.', 'http://www.')
      const expected = recordedOutcome(recordedCase, toHttp)
      difference?.expect(expected)
      assert.deepEqual(masked(await observe(recordedCase, toHttp(href))), masked(expected))
    })
  }

  test('every case with an event beyond the page view is acted out', () => {
    const names = cases.filter(({ returned }) => returned !== undefined).map(({ name }) => name)
    assert.deepEqual(
      names.filter((name) => !actions[name]),
      [],
    )
  })

  test('queue: one image at a time, load and error alike, a callback in its turn', async () => {
    const page = await loadPage({})
    const called: string[] = []
    page.tag.signal('a')
    page.tag.signal('b')
    page.tag.whenCommitted(() => called.push('cb'))
    page.tag.signal('c')
    const states = [{ sent: typesOf(page), cb: [...called] }]
    for (const outcome of ['onload', 'onerror', 'onload'] as const) {
      page.images.at(-1)?.[outcome]?.()
      states.push({ sent: typesOf(page), cb: [...called] })
    }
    assert.deepEqual(states, recorded.queue.states)
    assert.deepEqual(page.timers, recorded.queue.timersMs)
    assert.deepEqual(page.images[0]?.size, recorded.queue.image0)
  })

  test('queueTimeout: the next event goes after the timeout, and a late load changes nothing', async () => {
    const page = await loadPage({})
    page.tag.signal('a')
    page.tag.signal('b')
    page.pass(1000)
    const sentAfterTimerOfFirst = page.requests.length
    page.images[0]?.onload?.()
    const sentAfterLateLoad = page.requests.length
    assert.deepEqual({ sentAfterTimerOfFirst, sentAfterLateLoad }, recorded.queueTimeout)
  })

  test('queueCallbackThrows: it is thrown as recorded, but the queue goes on (recorded: it stops)', async () => {
    const page = await loadPage({})
    page.tag.whenCommitted(() => {
      throw recorded.queueCallbackThrows.thrown
    })
    page.tag.signal('a')
    assert.throws(
      () => page.images[0]?.onload?.(),
      (thrown) => thrown === recorded.queueCallbackThrows.thrown,
    )
    assert.equal(recorded.queueCallbackThrows.requestsAfter, 1)
    assert.deepEqual(typesOf(page), ['pageView', 'a'])
  })

  test('whenCommittedTimer: at the timeout, once, and at once when idle', async () => {
    const page = await loadPage({})
    let called = 0
    page.tag.whenCommitted(() => called++, 250)
    page.pass(250)
    const calledByTimer = called
    page.images[0]?.onload?.()
    const calledAfterQueueDrains = called
    let immediateWhenIdle = false
    page.tag.whenCommitted(() => {
      immediateWhenIdle = true
    })
    assert.deepEqual(
      { timers: page.timers, calledByTimer, calledAfterQueueDrains, immediateWhenIdle },
      recorded.whenCommittedTimer,
    )
  })
})

function typesOf(page: FakePage): (string | undefined)[] {
  return eventsOf(page).map((event) => event['t'])
}

/** Divolte's script waits one second for an event unless its server says otherwise. */
function loadPage(
  options: FakePageOptions,
  settings: { autoPageView?: boolean; eventSuffix?: string } = {},
): Promise<FakePage> {
  return loadTag(options, { eventTimeoutMs: 1000, ...settings })
}

async function observe({ name, env }: RecordedCase, href: string): Promise<Outcome> {
  const { autoload, consts = {}, extra, ...options } = env
  const settings = {
    ...(consts.AUTO_PAGE_VIEW_EVENT !== undefined && { autoPageView: consts.AUTO_PAGE_VIEW_EVENT }),
    ...(consts.EVENT_SUFFIX !== undefined && { eventSuffix: consts.EVENT_SUFFIX }),
  }
  const outcome: Outcome = {
    error: null,
    returned: undefined,
    requests: [],
    cookieWrites: [],
    exported: undefined,
  }
  const page: FakePageOptions = {
    ...options,
    href,
    autoload: autoload === 'sync',
    ...(name === 'dpr-absent' && { dpr: null }),
    ...(name === 'window-module-exports' && { window: { module: { exports: {} } } }),
    ...(name === 'amd' && { window: amdLoader() }),
  }
  try {
    const loaded = await loadPage(page, settings)
    outcome.returned = actions[name]?.(loaded)
    outcome.requests = loaded.requests.map(checkedQuery)
    outcome.cookieWrites = [...loaded.cookieWrites]
    outcome.exported = exportedOf(loaded)
  } catch (thrown) {
    if (typeof thrown !== 'string') throw thrown
    outcome.error = thrown
  }
  return plain(outcome)
}

function amdLoader(): object {
  const define = Object.assign((factory: () => unknown) => Object.assign(define, { factory }), {
    amd: {},
  })
  return { define }
}

function exportedOf(page: FakePage): object | undefined {
  if (!page.tag) return
  assert.equal(Object.keys(page.tag).join(), apiKeys)
  return Object.fromEntries(
    Object.entries(page.tag).filter(([, value]) => typeof value !== 'function'),
  )
}

const apiKeys =
  'partyId,sessionId,pageViewId,isNewPartyId,isFirstInSession,isServerPageView,signal,whenCommitted'

function recordedOutcome(recordedCase: RecordedCase, toPage: (text: string) => string): Outcome {
  const requests = (recordedCase.requests ?? []).map(checkedQuery)
  return plain({
    error: recordedCase.error,
    returned: recordedCase.returned,
    requests: requests.map(({ address, parameters }) => ({
      address,
      parameters: parameters.map(
        ([name, value]) => [name, name === 'l' ? toPage(value) : value] as const,
      ),
    })),
    cookieWrites: [...(recordedCase.documentCookieWrites ?? [])],
    exported: recordedCase.exported,
  })
}

/** Without what JSON leaves out and without the prototypes of another realm. */
function plain(outcome: Outcome): Outcome {
  return { ...JSON.parse(JSON.stringify({ ...outcome, requests: [] })), requests: outcome.requests }
}

/** Takes the checksum off after checking it, and checks that each value is encoded as Divolte does. */
function checkedQuery(request: string): Query {
  const { address, parameters, checksum, checksumExpected } = parseRequest(request)
  const query = [...parameters, ['x', checksumExpected] as const]
    .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
    .join('&')
  assert.equal(request, `${address}?${query}`)
  assert.equal(checksum, checksumExpected)
  return { address, parameters }
}

/** Random parts become `#1`, `#2` in the order in which they appear; what a case gives stays. */
function masked(outcome: Outcome): unknown {
  const given = /^(ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef|supercalifragilistic)/
  const names = new Map<string, string>()
  const text = JSON.stringify(outcome).replace(/[A-Za-z0-9_~]{32}/g, (part) => {
    if (given.test(part)) return part
    if (!names.has(part)) names.set(part, `#${names.size + 1}`)
    return names.get(part) as string
  })
  return JSON.parse(text)
}
