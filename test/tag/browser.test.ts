import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import type { BrowserContext, Page } from 'playwright-core'
import { answerScript, buildTagScript } from '../../src/collect/script.ts'
import { parseConfig } from '../../src/config.ts'
import { parseIdentifier } from '../../src/event/identity.ts'
import type { Tag } from '../../src/tag/tag.ts'
import { openBrowser, type TestBrowser } from '../browser.ts'
import { parseRequest } from './load-tag.ts'

/** The tag as a real browser runs it: the system's Chromium, or the one MILLRACE_CHROMIUM names. */

const gif = Buffer.from(
  '4749463839610100010000000021f904010a0001002c00000000010001000002024c01003b',
  'hex',
)

type DivolteWindow = Window & { divolte: Tag }
type Event = Record<string, string>

describe('the tag in a real browser', () => {
  const events: Event[] = []
  const waiting = new Set<() => void>()
  let browser: TestBrowser
  let origin = ''
  let context: BrowserContext

  const server = createServer((request, response) => {
    const url = request.url ?? ''
    if (url === '/divolte.js') {
      const { status, headers, body } = answerScript(script, request.headers)
      response.writeHead(status, { ...headers }).end(body)
    } else if (url.startsWith('/csc-event?')) {
      const { parameters, checksum, checksumExpected } = parseRequest(url)
      events.push({
        ...Object.fromEntries(parameters),
        checksum: `${checksum === checksumExpected}`,
      })
      response.writeHead(200, { 'Content-Type': 'image/gif' }).end(gif)
      for (const check of waiting) check()
    } else {
      response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' })
      response.end(pages[url] ?? pages['/'])
    }
  })
  const script = { body: gif, gzip: gif, brotli: gif, etag: '' }
  const tagElement = '<script src="/divolte.js" defer async></script>'
  const pages: Record<string, string> = {
    '/': `<!doctype html><title>page</title>${tagElement}`,
    '/named-element': `<!doctype html><form id="divolte"></form>${tagElement}`,
    '/two-tags': `<!doctype html>${tagElement}${tagElement}`,
  }

  before(async () => {
    Object.assign(script, await buildTagScript(parseConfig({}).tag))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    browser = await openBrowser()
    context = browser.context
  })

  after(async () => {
    await browser?.close()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })

  /** Waits for the next events that arrive after those of `from`. */
  async function arrived(from: number, count: number): Promise<Event[]> {
    if (events.length < from + count) {
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(
          () => reject(new Error(`${events.length - from} of ${count} events came`)),
          15_000,
        )
        const check = () => {
          if (events.length < from + count) return
          clearTimeout(timer)
          waiting.delete(check)
          resolve()
        }
        waiting.add(check)
      })
    }
    return events.slice(from)
  }

  /** Opens a page with the cookies of `cookies` only. */
  async function open(path: string): Promise<{ page: Page; from: number }> {
    await context.clearCookies()
    const page = await context.newPage()
    const from = events.length
    await page.goto(origin + path)
    return { page, from }
  }

  test('a page view arrives with the size of the window and identifiers that the cookies keep', async () => {
    const { page, from } = await open('/')
    const [view] = await arrived(from, 1)
    assert.ok(view)
    assert.equal(view['t'], 'pageView')
    assert.equal(view['checksum'], 'true')
    assert.equal(view['l'], `${origin}/`)
    assert.deepEqual([view['n'], view['f'], view['g']], ['t', 't', undefined])
    const width = await page.evaluate(() => innerWidth)
    assert.equal(view['w'], width.toString(36))
    assert.equal(parseIdentifier(view['p'] ?? ''), view['p'])
    const cookies = await context.cookies()
    const values = Object.fromEntries(cookies.map(({ name, value }) => [name, value]))
    assert.deepEqual(values, { _dvp: view['p'], _dvs: view['s'] })
    const inDays = (name: string) =>
      ((cookies.find((cookie) => cookie.name === name)?.expires ?? 0) * 1000 - Date.now()) /
      86_400_000
    assert.ok(inDays('_dvs') > 0.015 && inDays('_dvs') < 0.021)
    // Browsers cut the lifetime of a cookie at 400 days.
    assert.ok(inDays('_dvp') > 390)
    await page.close()
  })

  test(`divolte.signal('event', {item_id: 101321, event_date: 3213213}) arrives as it was said`, async () => {
    const { page, from } = await open('/')
    await arrived(from, 1)
    const eventId = await page.evaluate(() =>
      (window as unknown as DivolteWindow).divolte.signal('event', {
        item_id: 101321,
        event_date: 3213213,
      }),
    )
    const [view, event] = await arrived(from, 2)
    assert.equal(event?.['e'], eventId)
    assert.equal(event?.['t'], 'event')
    assert.equal(event?.['u'], '(ditem_id!266h!devent_date!1wvbx!)')
    assert.equal(event?.['checksum'], 'true')
    assert.equal(event?.['p'], view?.['p'])
    assert.equal(event?.['v'], view?.['v'])
    assert.deepEqual([event?.['n'], event?.['f']], ['f', 'f'])
    await page.close()
  })

  test('a reload and another page are page views of their own in the same session', async () => {
    const { page, from } = await open('/')
    await arrived(from, 1)
    await page.reload()
    await arrived(from, 2)
    await page.goto(`${origin}/other`)
    const views = await arrived(from, 3)
    assert.equal(new Set(views.map((view) => view['v'])).size, 3)
    assert.equal(new Set(views.map((view) => view['p'])).size, 1)
    assert.equal(new Set(views.map((view) => view['s'])).size, 1)
    assert.deepEqual(
      views.map((view) => view['n']),
      ['t', 'f', 'f'],
    )
    await page.close()
  })

  test('back and forward are new page views, out of the back/forward cache too', async () => {
    const { page, from } = await open('/')
    await arrived(from, 1)
    await page.evaluate(() => {
      addEventListener('pageshow', (event) => {
        document.title = `persisted ${event.persisted}`
      })
    })
    await page.goto(`${origin}/other`)
    await arrived(from, 2)
    await page.goBack({ waitUntil: 'commit' })
    const views = await arrived(from, 3)
    assert.equal(views[2]?.['l'], `${origin}/`)
    assert.equal(await page.title(), 'persisted true', 'the page did not come out of the cache')
    await page.goForward({ waitUntil: 'commit' })
    const all = await arrived(from, 4)
    assert.equal(all[3]?.['l'], `${origin}/other`)
    assert.equal(new Set(all.map((view) => view['v'])).size, 4)
    assert.ok(all.every((view) => view['t'] === 'pageView' && view['e'] === `${view['v']}0`))
    await page.close()
  })

  test('an element with id="divolte" does not keep the tag out, and two tags are one', async () => {
    for (const path of ['/named-element', '/two-tags']) {
      const { page, from } = await open(path)
      await arrived(from, 1)
      await page.waitForLoadState('load')
      const id = await page.evaluate(() =>
        (window as unknown as DivolteWindow).divolte.signal('last'),
      )
      const [view, last] = await arrived(from, 2)
      assert.deepEqual([view?.['t'], last?.['t'], last?.['e']], ['pageView', 'last', id])
      await page.close()
    }
  })

  test('ten events signalled before a click leads away all arrive when the page waits for them', async () => {
    const { page, from } = await open('/')
    await arrived(from, 1)
    await page.evaluate(() => {
      const { divolte } = window as unknown as DivolteWindow
      for (let count = 0; count < 10; count++) divolte.signal('click', { count })
      divolte.whenCommitted(() => {
        location.href = '/elsewhere'
      }, 10_000)
    })
    await page.waitForURL('**/elsewhere')
    const all = await arrived(from, 12)
    assert.deepEqual(
      all.slice(1, 11).map((event) => event['u']),
      Array.from({ length: 10 }, (_, count) => `(dcount!${count}!)`),
    )
    await page.close()
  })

  test('under Global Privacy Control no party is sent and no cookie is kept', async () => {
    await context.clearCookies()
    const page = await context.newPage()
    await page.addInitScript(() => {
      Object.defineProperty(navigator, 'globalPrivacyControl', { value: true })
    })
    const from = events.length
    await page.goto(`${origin}/`)
    const [view] = await arrived(from, 1)
    assert.deepEqual(
      ['p', 's', 'n', 'f'].filter((name) => name in (view ?? {})),
      [],
    )
    assert.deepEqual([view?.['g'], view?.['checksum'], view?.['t']], ['1', 'true', 'pageView'])
    assert.deepEqual(await context.cookies(), [])
    const kept = await page.evaluate(() => localStorage.length + sessionStorage.length)
    assert.equal(kept, 0)
    await page.close()
  })
})
