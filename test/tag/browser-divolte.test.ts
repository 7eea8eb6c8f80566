import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { BrowserContext, Page } from 'playwright-core'
import type { Tag } from '../../src/tag/tag.ts'
import { openBrowser, type TestBrowser } from '../browser.ts'
import { openSite, type SentEvent, type Site } from './site.ts'

/** What Divolte's own tests asked of browsers, of the core, beyond test/tag/browser.test.ts. */

declare const divolte: Tag

const script = (hash = '') => `<script src="/own-name.js${hash}"></script>`

describe("Divolte's scenarios in a real browser", () => {
  let browser: TestBrowser
  let context: BrowserContext
  let site: Site

  before(async () => {
    browser = await openBrowser()
    context = browser.context
    site = await openSite(
      {
        '/': script(),
        '/named': script('#fromTheServer'),
        '/late': `<script>addEventListener('load', () => setTimeout(() => {
          const late = document.createElement('script')
          late.src = '/own-name.js'
          document.head.append(late)
        }))</script>`,
        '/hidden': `<script>Object.defineProperty(document, 'hidden', {
          get: () => !window.isShown })</script>${script()}`,
      },
      { name: 'own-name.js', eventSuffix: 'own-events' },
    )
  })

  after(async () => {
    await browser?.close()
    await site?.close()
  })

  async function open(path: string): Promise<{ page: Page; from: number }> {
    const page = await context.newPage()
    const from = site.events.length
    await page.goto(site.origin + path)
    return { page, from }
  }

  /** Each once: Chromium itself may repeat a request whose connection ended without an answer. */
  async function arrived(from: number, count: number): Promise<readonly SentEvent[]> {
    const distinct = () => new Map(site.events.slice(from).map((event) => [event['e'], event]))
    await site.until(() => distinct().size >= count)
    return [...distinct().values()]
  }

  test('thirteen steps to and fro are thirteen page views, under names of the site', async () => {
    const { page, from } = await open('/1')
    const steps: readonly [step: (page: Page) => Promise<unknown>, at: string][] = [
      [(page) => page.goto(`${site.origin}/2`), '/2'],
      [(page) => page.reload({ waitUntil: 'commit' }), '/2'],
      [(page) => page.goto(`${site.origin}/3`), '/3'],
      [(page) => page.goBack({ waitUntil: 'commit' }), '/2'],
      [(page) => page.goBack({ waitUntil: 'commit' }), '/1'],
      [(page) => page.goForward({ waitUntil: 'commit' }), '/2'],
      [(page) => page.goForward({ waitUntil: 'commit' }), '/3'],
      [(page) => page.reload({ waitUntil: 'commit' }), '/3'],
      [(page) => page.goBack({ waitUntil: 'commit' }), '/2'],
      [(page) => page.goto(`${site.origin}/4`), '/4'],
      [(page) => page.goBack({ waitUntil: 'commit' }), '/2'],
      [(page) => page.goForward({ waitUntil: 'commit' }), '/4'],
    ]
    for (const [index, [step]] of steps.entries()) {
      await arrived(from, index + 1)
      await step(page)
    }
    const views = await arrived(from, 13)
    assert.deepEqual(
      views.map((view) => view['l']?.slice(site.origin.length)),
      ['/1', ...steps.map(([, at]) => at)],
    )
    assert.equal(new Set(views.map((view) => view['v'])).size, 13)
    assert.equal(new Set(views.map((view) => view['p'])).size, 1)
    assert.ok(views.every((view) => view['t'] === 'pageView' && view['checksum'] === 'true'))
    await page.close()
  })

  test('a page view that the server has named keeps its name and is said to have one', async () => {
    const { page, from } = await open('/named')
    const said = await page.evaluate(() => [divolte.isServerPageView, divolte.signal('next')])
    assert.deepEqual(said, [true, 'fromTheServer1'])
    const events = await arrived(from, 2)
    assert.deepEqual(
      events.map((event) => [event['v'], event['e']]),
      [
        ['fromTheServer', 'fromTheServer0'],
        ['fromTheServer', 'fromTheServer1'],
      ],
    )
    await page.close()
  })

  test('a script that is added after the page has loaded works like one that was there', async () => {
    const { page, from } = await open('/late')
    const [view] = await arrived(from, 1)
    assert.deepEqual([view?.['t'], view?.['l']], ['pageView', `${site.origin}/late`])
    await page.close()
  })

  test('a hidden tab has its page view when it is first shown', async () => {
    const { page, from } = await open('/hidden')
    assert.equal(await page.evaluate(() => divolte.pageViewId), null)
    assert.equal(site.events.length, from)
    await page.evaluate(() => {
      Object.assign(window, { isShown: true })
      document.dispatchEvent(new Event('visibilitychange'))
    })
    const [view] = await arrived(from, 1)
    assert.equal(view?.['v'], await page.evaluate(() => divolte.pageViewId))
    await page.close()
  })

  test('a collector that does not answer holds up neither events nor a click that leads away', async () => {
    const { page, from } = await open('/')
    await arrived(from, 1)
    site.setAnswer(() => {})
    const before = site.requests.length
    const { isAll, waitedMs } = await page.evaluate(async () => {
      const began = performance.now()
      for (let count = 0; count < 10; count++) divolte.signal('click')
      let isAll = false
      divolte.whenCommitted(() => {
        isAll = true
      })
      await new Promise<void>((resolve) => divolte.whenCommitted(resolve, 200))
      return { isAll, waitedMs: performance.now() - began }
    })
    assert.equal(isAll, false)
    assert.ok(waitedMs >= 195, `${waitedMs} ms`)
    // One at a time: the second goes when the first has had its 750 ms.
    await site.until(() => site.requests.length >= before + 2)
    site.setAnswer(undefined)
    await page.close()
  })
})
