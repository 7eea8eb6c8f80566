import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { buildTagScript } from '../../src/collect/script.ts'
import { parseConfig } from '../../src/config.ts'
import { parseIdentifier, sequenceOf } from '../../src/event/identity.ts'
import { decodeMincode } from '../../src/event/mincode-decode.ts'
import { createFakePage } from './fake-page.ts'
import { eventsOf, loadTag, parseRequest, runTag } from './load-tag.ts'

const minuteMs = 60_000
const party = '0:kabc1234:ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef'
const session = '0:kabc1234:abcdefABCDEFGHIJKLMNOPQRSTUVWXYZ'

/** A page that loads every image at once, which is what most of these tests want. */
const quick = { autoload: true }

describe('session', () => {
  test('events less than the timeout apart stay in one session, however long the page is open', async () => {
    const page = await loadTag(quick)
    for (let count = 0; count < 5; count++) {
      page.pass(29 * minuteMs)
      page.tag.signal('still here')
    }
    assert.equal(new Set(eventsOf(page).map((event) => event['s'])).size, 1)
    assert.deepEqual(
      eventsOf(page).map((event) => event['f']),
      ['t', 'f', 'f', 'f', 'f', 'f'],
    )
  })

  test('a page idle for the timeout starts a new session, once, of the same party and page view', async () => {
    const page = await loadTag(quick)
    const { sessionId, pageViewId } = page.tag
    page.pass(30 * minuteMs)
    page.tag.signal('back')
    page.tag.signal('more')
    const [first, back, more] = eventsOf(page)
    assert.notEqual(back?.['s'], sessionId)
    assert.equal(page.tag.sessionId, back?.['s'])
    assert.equal(more?.['s'], back?.['s'])
    assert.deepEqual([first?.['f'], back?.['f'], more?.['f']], ['t', 't', 'f'])
    assert.deepEqual([first?.['n'], back?.['n'], more?.['n']], ['t', 'f', 'f'])
    assert.equal(back?.['p'], first?.['p'])
    assert.equal(page.tag.pageViewId, pageViewId)
    assert.equal(sequenceOf(back?.['e'] ?? '', pageViewId), 1)
  })

  test('the page view of a page shown again after the timeout is in the new session', async () => {
    const page = await loadTag(quick)
    page.fire('pagehide')
    page.pass(31 * minuteMs)
    page.fire('pageshow')
    const [first, again] = eventsOf(page)
    assert.equal(again?.['t'], 'pageView')
    assert.notEqual(again?.['s'], first?.['s'])
    assert.equal(again?.['f'], 't')
  })

  test('an idle page joins the session that another tab has kept alive', async () => {
    const page = await loadTag(quick)
    page.pass(20 * minuteMs)
    page.run(`document.cookie = '_dvs=${session}; path=/; max-age=1800'`)
    page.pass(20 * minuteMs)
    page.tag.signal('back')
    assert.equal(eventsOf(page)[1]?.['s'], session)
    assert.equal(eventsOf(page)[1]?.['f'], 'f')
  })
})

describe('cookies', () => {
  for (const bad of [
    'garbage',
    '0:',
    '0:k!:x',
    '1:kabc:x',
    `${party}:x`,
    '0::x',
    `0:k:${'x'.repeat(300)}`,
  ]) {
    test(`the unreadable cookie ${bad.slice(0, 20)} is replaced by a new party and session`, async () => {
      const page = await loadTag({ ...quick, cookies: `_dvp=${bad}; _dvs=${bad}` })
      const [event] = eventsOf(page)
      assert.notEqual(event?.['p'], bad)
      assert.equal(parseIdentifier(event?.['p'] ?? ''), event?.['p'])
      assert.equal(parseIdentifier(event?.['s'] ?? ''), event?.['s'])
      assert.deepEqual([event?.['n'], event?.['f']], ['t', 't'])
      assert.ok(page.cookieWrites[1]?.startsWith(`_dvp=${event?.['p']};`))
    })
  }

  test('a readable cookie behind an unreadable one of the same name is taken', async () => {
    const page = await loadTag({
      cookies: `a=1; _dvp=junk; x_dvp=1; _dvp=${party}; _dvs=${session}`,
    })
    assert.equal(page.tag.partyId, party)
    assert.equal(page.tag.isNewPartyId, false)
    assert.equal(page.tag.isFirstInSession, false)
  })

  test('whatever a cookie holds, the collector can read the identifiers that are sent', async () => {
    const { body } = await buildTagScript(parseConfig({}).tag)
    const script = body.toString()
    const nearly = fc
      .tuple(fc.constantFrom('0:', '0', '', '1:'), fc.string({ maxLength: 16 }), fc.string())
      .map(([version, time, rest]) => `${version}${time}:${rest}`)
    const base36 = fc
      .tuple(fc.bigInt(-(2n ** 66n), 2n ** 66n), fc.string())
      .map(([time, rest]) => `0:${time.toString(36)}:${rest}`)
    fc.assert(
      fc.property(fc.oneof(nearly, base36), (cookie) => {
        fc.pre(!/[;\s]/.test(cookie))
        const page = createFakePage({ cookies: `_dvp=${cookie}` })
        page.run(script)
        const id = eventsOf(page)[0]?.['p'] ?? ''
        assert.notEqual(parseIdentifier(id), null)
        assert.ok(id.length <= 256)
      }),
      { numRuns: 200 },
    )
  })

  test('the cookies have the configured names, lifetimes and domain', async () => {
    const page = await loadTag(
      { href: 'http://shop.example.com/' },
      {
        partyCookie: 'pc',
        partyTimeoutDays: 1,
        sessionCookie: 'sc',
        sessionTimeoutMinutes: 2,
        cookieDomain: 'example.com',
      },
    )
    assert.deepEqual(
      page.cookieWrites.map((cookie) => cookie.replace(/=0:[^;]*/, '')),
      [
        'sc; path=/; expires=Sun, 13 Sep 2020 12:28:40 GMT; max-age=120; domain=example.com',
        'pc; path=/; expires=Mon, 14 Sep 2020 12:26:40 GMT; max-age=86400; domain=example.com',
      ],
    )
  })
})

describe('a person who refuses to be known', () => {
  const refusals = {
    'Global Privacy Control': { navigator: { globalPrivacyControl: true } },
    'Do Not Track': { navigator: { doNotTrack: '1' } },
    'Do Not Track of old Internet Explorer': { navigator: { msDoNotTrack: '1' } },
    'Do Not Track of old Safari': { window: { doNotTrack: '1' } },
  }
  for (const [name, options] of Object.entries(refusals)) {
    test(`${name}: no party, no session, no cookie read or written; events still arrive`, async () => {
      const page = await loadTag({
        ...quick,
        ...options,
        cookies: `_dvp=${party}; _dvs=${session}`,
      })
      const eventId = page.tag.signal('event', { item_id: 7 })
      page.fire('pagehide')
      page.pass(60 * minuteMs)
      page.fire('pageshow')
      assert.deepEqual(page.cookieWrites, [])
      assert.equal(page.cookieReads(), 0)
      assert.deepEqual([page.tag.partyId, page.tag.sessionId], [null, null])
      assert.deepEqual([page.tag.isNewPartyId, page.tag.isFirstInSession], [false, false])
      const requests = page.requests.map(parseRequest)
      assert.deepEqual(
        requests.map(({ parameters }) => parameters.map(([name]) => name).join('')),
        ['gveclijkwht', 'gveclijkwhtu', 'gveclijkwht'],
      )
      for (const { checksum, checksumExpected } of requests)
        assert.equal(checksum, checksumExpected)
      const events = eventsOf(page)
      assert.ok(events.every((event) => event['g'] === '1'))
      assert.equal(events[1]?.['e'], eventId)
      assert.notEqual(events[2]?.['v'], events[0]?.['v'])
      assert.ok(!page.requests.some((request) => decodeURIComponent(request).includes(party)))
    })
  }

  test('another answer than yes is no refusal', async () => {
    const navigator = { globalPrivacyControl: false, doNotTrack: '0', msDoNotTrack: 'unspecified' }
    const page = await loadTag({ navigator, window: { doNotTrack: null } })
    assert.equal(eventsOf(page)[0]?.['p'], page.tag.partyId)
  })
})

describe('the page that the tag is in', () => {
  test('a `divolte` of its own stays, and nothing is sent in its name', async () => {
    const own = { mine: true }
    const page = await loadTag({ ...quick, window: { divolte: own } })
    assert.equal(page.window['divolte'], own)
    assert.deepEqual([page.requests.length, page.cookieWrites.length], [0, 0])
  })

  test('a second tag adds no second page view and leaves the first in place', async () => {
    const page = await loadTag(quick)
    const first = page.tag
    await runTag(page)
    assert.equal(page.tag, first)
    assert.equal(page.requests.length, 1)
    page.fire('pagehide')
    page.fire('pageshow')
    assert.equal(page.requests.length, 2)
  })

  test('without a running script the first one of that name tells the address, though there are several', async () => {
    const scripts = [
      'https://a.example/other.js?divolte.js',
      'https://a.example/mydivolte.js',
      'https://t.example/x/divolte.js?v=1#spv',
      'https://u.example/divolte.js',
    ]
    const page = await loadTag({ scriptSrc: null, scripts })
    assert.match(page.requests[0] ?? '', /^https:\/\/t\.example\/x\/csc-event\?/)
    assert.equal(page.tag.pageViewId, 'spv')
  })

  test('a script that cannot find its address says so and leaves no half a tag', async () => {
    const page = createFakePage({ scriptSrc: null })
    await assert.rejects(
      runTag(page),
      (thrown) => thrown === 'Divolte could not initialize itself.',
    )
    assert.equal(page.tag, undefined)
  })

  test('a page that loads hidden has its page view when it is first shown, once', async () => {
    const page = await loadTag({ ...quick, hidden: true })
    page.fire('visibilitychange')
    assert.equal(page.requests.length, 0)
    page.show()
    page.show()
    assert.deepEqual(
      eventsOf(page).map((event) => event['t']),
      ['pageView'],
    )
  })

  test('a page that is left is not shown again, whatever a browser fires in it', async () => {
    const page = await loadTag(quick)
    page.fire('pagehide', { persisted: true })
    page.fire('pageshow', { persisted: false })
    assert.equal(page.requests.length, 1)
    page.fire('pageshow', { persisted: true })
    assert.equal(page.requests.length, 2)
  })

  test('out of the back/forward cache a page view named by the server goes on counting', async () => {
    const page = await loadTag({ ...quick, scriptSrc: 'https://t.example.com/divolte.js#srvid' })
    page.fire('pageshow')
    page.fire('pagehide')
    page.fire('pageshow')
    assert.deepEqual(
      eventsOf(page).map((event) => event['e']),
      ['srvid0', 'srvid1'],
    )
    assert.equal(page.tag.isServerPageView, true)
  })
})

describe('signal', () => {
  test('without a type there is no event, and null', async () => {
    const page = await loadTag(quick)
    assert.equal(page.run(`divolte.signal('')`), null)
    assert.equal(page.run('divolte.signal()'), null)
    assert.equal(page.tag.signal('next')?.slice(-1), '1')
    assert.equal(page.requests.length, 2)
  })

  test('the counter of events is hexadecimal', async () => {
    const page = await loadTag(quick)
    for (let count = 0; count < 16; count++) page.tag.signal('x')
    assert.equal(page.tag.signal('x'), `${page.tag.pageViewId}11`)
    assert.equal(eventsOf(page)[10]?.['e'], `${page.tag.pageViewId}a`)
  })

  test('any parameters arrive as JSON would carry them, under a right checksum', async () => {
    const page = await loadTag(quick)
    const text = fc.string({ unit: 'binary' })
    // Base 36 of an integer beyond 2^53 is not exact in browsers: the wire's limit, kept from Divolte.
    const number = fc.double().filter((n) => !Number.isInteger(n) || Number.isSafeInteger(n))
    const parameters = fc.anything({
      key: text,
      values: [text, number, fc.integer(), fc.boolean(), fc.constant(null)],
    })
    fc.assert(
      fc.property(fc.oneof(fc.dictionary(text, parameters), parameters), text, (value, type) => {
        fc.pre(type !== '' && JSON.stringify(value) !== undefined)
        page.tag.signal(type, value)
        const { parameters, checksum, checksumExpected } = parseRequest(page.requests.at(-1) ?? '')
        assert.equal(checksum, checksumExpected)
        const sent = new Map(parameters)
        assert.equal(sent.get('t'), type.toWellFormed())
        const received = JSON.stringify(decodeMincode(sent.get('u') ?? '', 100))
        assert.deepEqual(JSON.parse(received), JSON.parse(wellFormed(value)))
      }),
      { numRuns: 300 },
    )
  })
})

/** JSON writes half a surrogate pair as an escape; on the wire it is U+FFFD. */
function wellFormed(value: unknown): string {
  return JSON.stringify(value).replace(
    /(\\\\)|\\ud[89a-f][0-9a-f]{2}/g,
    (match, pair) => pair ?? (match && '\uFFFD'),
  )
}

describe('queue', () => {
  test('callbacks that throw, one after another, hold up neither events nor callbacks', async () => {
    const page = await loadTag()
    const called: string[] = []
    page.tag.signal('a')
    for (const name of ['one', 'two']) {
      page.tag.whenCommitted(() => {
        called.push(name)
        throw new Error(name)
      })
    }
    page.tag.signal('b')
    page.images[0]?.onload?.()
    assert.throws(() => page.images[1]?.onload?.(), /one|two/)
    assert.deepEqual(called, ['one', 'two'])
    assert.deepEqual(
      eventsOf(page).map((event) => event['t']),
      ['pageView', 'a', 'b'],
    )
  })

  test('an event signalled by a callback is sent', async () => {
    const page = await loadTag(quick)
    page.tag.whenCommitted(() => page.tag.signal('from callback'))
    assert.equal(eventsOf(page)[1]?.['t'], 'from callback')
  })

  test('an event that nobody answers gives way after the configured time', async () => {
    const page = await loadTag({}, { eventTimeoutMs: 300 })
    page.tag.signal('next')
    page.pass(299)
    assert.equal(page.requests.length, 1)
    page.pass(1)
    assert.equal(page.requests.length, 2)
  })

  test('a callback with a timeout waits for its turn when the queue is quicker', async () => {
    const page = await loadTag()
    let called = 0
    page.tag.whenCommitted(() => called++, 500)
    page.images[0]?.onerror?.()
    assert.equal(called, 1)
    page.pass(1000)
    assert.equal(called, 1)
  })
})
