import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import type { BrowserContext, Page } from 'playwright-core'
import { sequenceOf } from '../../src/event/identity.ts'
import type { Tag } from '../../src/tag/tag.ts'
import { openBrowser, type TestBrowser } from '../browser.ts'
import { openSite, type SentEvent, type Site } from './site.ts'

/** The modules beside `delivery` in a real browser, and the person's wishes with all of them. */

declare const divolte: Tag

const all = 'domain,consent,delivery,pageviews,spa,attention,campaign,impressions,links'

describe('modules in a real browser', () => {
  let browser: TestBrowser
  let context: BrowserContext
  let site: Site

  before(async () => {
    browser = await openBrowser()
    context = browser.context
    const script = (modules: string) => `<script src="/divolte.js?modules=${modules}"></script>`
    site = await openSite(
      {
        '/': script('delivery'),
        '/spa': script('delivery,pageviews,spa'),
        '/prerendering': `<script>
          Object.defineProperty(document, 'prerendering', { value: true, configurable: true })
          </script>${script('spa')}`,
        '/consent': script('consent,delivery,spa'),
        '/all': script(all),
        '/measured': `${script('attention')}<div style="height: 4000px"></div>`,
        '/marked': `${script('impressions')}
          <button data-millrace-click="addToBasket" data-millrace-item="a1"
            data-millrace-parameters='{"price":42}'><b>buy</b></button>
          <p data-millrace-impression data-millrace-item="a1">seen</p>
          <p style="margin-top: 4000px" data-millrace-impression="shown" data-millrace-item="b2">far</p>`,
        '/links': `${script('links')}
          <a id="out" target="_blank" href="http://localhost:9/there?x=1">out</a>
          <a id="in" href="#here">in</a>
          <a id="file" download href="/files/report.PDF">report</a>
          <form onsubmit="return false" data-millrace-form="newsletter"><button>join</button></form>
          <form onsubmit="return false"><button id="silent">secret</button></form>`,
        '/campaign': script('campaign'),
        '/plain': 'no tag',
      },
      // The most that `whenCommitted` waits for an answer.
      { eventTimeoutMs: 60_000 },
    )
  })

  afterEach(async () => {
    const page = await context.newPage()
    await page.goto(`${site.origin}/plain`)
    await page.evaluate(() => localStorage.clear())
    for (const open of context.pages().slice(1)) await open.close()
    await context.clearCookies()
  })

  after(async () => {
    await browser?.close()
    await site?.close()
  })

  async function open(path: string, prepare?: () => void): Promise<{ page: Page; from: number }> {
    const page = await context.newPage()
    if (prepare) await page.addInitScript(prepare)
    const from = site.events.length
    await page.goto(site.origin + path)
    return { page, from }
  }

  async function arrived(from: number, count: number): Promise<readonly SentEvent[]> {
    await site.until((events) => events.length >= from + count)
    return site.events.slice(from)
  }

  /** Resolves when `page` has heard the answers to what it sent: an event arrives before that. */
  function committed(page: Page): Promise<void> {
    return page.evaluate(() => new Promise<void>((done) => divolte.whenCommitted(done)))
  }

  /** What is kept in the browser, the names of cookies among it. */
  async function kept(page: Page): Promise<readonly string[]> {
    const stored = () => [...Object.keys(localStorage), ...Object.keys(sessionStorage)]
    const cookies = await context.cookies()
    return [...(await page.evaluate(stored)), ...cookies.map(({ name }) => name)].sort()
  }

  test('spa: each route is a page view of its own, with the route before it as referrer', async () => {
    const { page, from } = await open('/spa')
    await arrived(from, 1)
    await page.evaluate(() => {
      history.replaceState({}, '', location.href)
      history.pushState({}, '', '/spa/a')
      divolte.signal('inA')
      location.hash = 'a-place-in-the-page'
      location.hash = '#/route'
    })
    await arrived(from, 4)
    await page.goBack()
    await page.goBack()
    await page.goBack()
    await arrived(from, 6)
    await page.evaluate(() => {
      history.replaceState({}, '', '/spa/b?x=1')
      divolte.signal('last')
    })
    const events = await arrived(from, 8)
    const path = (url = '') => url.slice(site.origin.length)
    assert.deepEqual(
      events.map((event) => [event['t'], path(event['l']), path(event['r'])]),
      [
        ['pageView', '/spa', ''],
        ['pageView', '/spa/a', '/spa'],
        ['inA', '/spa/a', '/spa'],
        ['pageView', '/spa/a#/route', '/spa/a#a-place-in-the-page'],
        ['pageView', '/spa/a#a-place-in-the-page', '/spa/a#/route'],
        ['pageView', '/spa', '/spa/a'],
        ['pageView', '/spa/b?x=1', '/spa'],
        ['last', '/spa/b?x=1', '/spa'],
      ],
    )
    const views = events.filter((event) => event['t'] === 'pageView').map((event) => event['v'])
    const [loadId] = views[0]?.split('.') ?? []
    assert.deepEqual(
      views,
      views.map((_, index) => `${loadId}.${index}.`),
      'pageviews: numbered without a gap',
    )
    assert.deepEqual(
      events.map((event) => sequenceOf(event['e'] ?? '', event['v'] ?? '')),
      [0, 0, 1, 0, 0, 0, 0, 1],
    )
    assert.ok(events.every((event) => event['checksum'] === 'true'))
  })

  test('spa: a page that is rendered ahead says nothing until it is shown', async () => {
    const { page, from } = await open('/prerendering')
    assert.equal(await page.evaluate(() => divolte.signal('early')), null)
    assert.deepEqual([site.events.length, await kept(page)], [from, []])
    await page.evaluate(() => document.dispatchEvent(new Event('prerenderingchange')))
    const events = await arrived(from, 2)
    assert.deepEqual(
      events.map((event) => [event['t'], event['e']?.slice(-1)]),
      [
        ['pageView', '0'],
        ['early', '1'],
      ],
    )
  })

  test('consent: held in memory, released in order with numbers and times of their own', async () => {
    const { page, from } = await open('/consent')
    const before = await page.evaluate(() => {
      const first = divolte.signal('first', { a: 1 })
      history.pushState({}, '', '/consent/route')
      return [first, divolte.signal('second'), divolte.partyId, divolte.sessionId]
    })
    assert.deepEqual(before, [null, null, null, null])
    assert.deepEqual([site.events.length, await kept(page)], [from, []])
    const grantedAt = await page.evaluate(() => {
      divolte.consent?.grant()
      divolte.consent?.grant()
      divolte.signal('after')
      return Date.now()
    })
    const events = await arrived(from, 5)
    assert.deepEqual(
      events.map((event) => [event['t'], sequenceOf(event['e'] ?? '', event['v'] ?? '')]),
      [
        ['pageView', 0],
        ['first', 1],
        ['pageView', 0],
        ['second', 1],
        ['after', 2],
      ],
    )
    assert.deepEqual(events.map((event) => event['n']).join(''), 'tffff')
    assert.equal(new Set(events.map((event) => event['p'])).size, 1)
    assert.ok(Number.parseInt(events[0]?.['c'] ?? '', 36) < grantedAt)
    await committed(page)
    assert.deepEqual(await kept(page), ['_dvp', '_dvs'])
    assert.ok(events.every((event) => event['checksum'] === 'true'))
  })

  test('consent: denied deletes what is held, and later what an earlier yes has left', async () => {
    const { page, from } = await open('/consent')
    await page.evaluate(() => {
      divolte.signal('held')
      divolte.consent?.deny()
      divolte.signal('dropped')
    })
    assert.deepEqual([site.events.length, await kept(page)], [from, []])
    await page.evaluate(() => {
      divolte.consent?.grant()
      divolte.signal('granted')
    })
    const [granted] = await arrived(from, 1)
    assert.equal(granted?.['t'], 'granted')
    await committed(page)
    assert.deepEqual(await kept(page), ['_dvp', '_dvs'])
    await page.evaluate(() => {
      localStorage.setItem(`_dvq ${location.origin}/csc-event 0:gone`, '0\ng=1&c=kf12ot8g')
      divolte.consent?.deny()
      divolte.signal('dropped')
    })
    assert.deepEqual(await kept(page), [])
    assert.equal(await page.evaluate(() => divolte.partyId), null)
    assert.equal(site.events.length, from + 1)
  })

  test('Global Privacy Control goes before everything, with every module', async () => {
    const { page, from } = await open('/all', () => {
      Object.defineProperty(navigator, 'globalPrivacyControl', { value: true })
      localStorage.setItem(`_dvq ${location.origin}/csc-event 0:gone`, '0\np=0:k:x&c=kf12ot8g')
    })
    await page.evaluate(() => {
      divolte.consent?.grant()
      divolte.signal('event')
    })
    const events = await arrived(from, 2)
    await committed(page)
    for (const event of events) {
      assert.deepEqual(
        ['p', 's', 'n', 'f'].filter((name) => name in event),
        [],
      )
      assert.equal(event['g'], '1')
    }
    assert.deepEqual(await kept(page), [])
    assert.equal(await page.evaluate(() => divolte.partyId), null)
  })

  test('attention: time while somebody is there, depth, and one event as the page is hidden', async () => {
    const { page, from } = await open('/measured')
    await arrived(from, 1)
    await page.mouse.wheel(0, 1500)
    await page.waitForFunction(() => scrollY >= 1500)
    await page.waitForTimeout(400)
    await page.evaluate(() => {
      Object.defineProperty(document, 'hidden', { value: true, configurable: true })
      document.dispatchEvent(new Event('visibilitychange'))
    })
    const [, summary] = await arrived(from, 2)
    assert.equal(summary?.['t'], 'attention')
    const said = /^\(dengaged_ms!(\w+)!dscroll_percent!(\w+)!\)$/.exec(summary?.['u'] ?? '')
    const engagedMs = Number.parseInt(said?.[1] ?? '', 36)
    const percent = Number.parseInt(said?.[2] ?? '', 36)
    assert.ok(engagedMs >= 400 && engagedMs < 15_000, `${engagedMs} ms`)
    assert.ok(percent >= 50 && percent < 70, `${percent} %`)
    await page.goto(`${site.origin}/plain`)
    assert.equal(site.events.length, from + 2, 'nothing new to say')
  })

  test('impressions: seen for a second, once; a click with what its element says', async () => {
    const { page, from } = await open('/marked')
    await arrived(from, 2)
    await page.click('b')
    await page.evaluate(() => scrollTo(0, 9999))
    await arrived(from, 4)
    await page.evaluate(() => {
      scrollTo(0, 0)
      const added = document.createElement('p')
      added.innerHTML = '<i data-millrace-impression="late">here</i>'
      document.body.prepend(added)
    })
    const events = await arrived(from, 5)
    assert.deepEqual(
      events.map((event) => [event['t'], event['u']]),
      [
        ['pageView', undefined],
        ['impression', '(sitem_id!a1!)'],
        ['addToBasket', '(sitem_id!a1!dprice!16!)'],
        ['shown', '(sitem_id!b2!)'],
        ['late', '()'],
      ],
    )
  })

  test('links: what leads away, files, and forms that ask for it', async () => {
    const { page, from } = await open('/links')
    await arrived(from, 1)
    for (const selector of ['#in', '#out', '#file', 'form[data-millrace-form] button', '#silent']) {
      await page.click(selector)
    }
    const events = await arrived(from, 4)
    assert.deepEqual(
      events.map((event) => [event['t'], event['u']]),
      [
        ['pageView', undefined],
        ['outbound', '(surl!http://localhost:9/there?x=1!)'],
        ['download', `(surl!${site.origin}/files/report.PDF!)`],
        ['formSubmit', '(sform!newsletter!)'],
      ],
    )
  })

  test('campaign: utm parameters, the class of the referrer, and no click identifier', async () => {
    const from = site.events.length
    const page = await context.newPage()
    const visits: readonly [path: string, referer: string | undefined][] = [
      ['/campaign?utm_source=news%20letter&utm_medium=mail&utm_x=1&gclid=SECRET', undefined],
      ['/campaign', 'https://www.google.co.uk/search?q=x'],
      ['/campaign', 'https://t.co/abc'],
      ['/campaign', 'https://blog.example/'],
      ['/campaign', 'https://notgoogle.example/google.com'],
    ]
    for (const [index, [path, referer]] of visits.entries()) {
      await page.goto(site.origin + path, referer === undefined ? {} : { referer })
      await arrived(from, index + 1)
    }
    const classes = site.events.slice(from).map((event) => event['u'])
    assert.deepEqual(classes, [
      '(sreferrer_class!direct!sutm_source!news letter!sutm_medium!mail!sclick_id!gclid!)',
      '(sreferrer_class!search!)',
      '(sreferrer_class!social!)',
      '(sreferrer_class!other!)',
      '(sreferrer_class!other!)',
    ])
  })
})
