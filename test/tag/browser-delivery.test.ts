import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { BrowserContext, Page } from 'playwright-core'
import type { Tag } from '../../src/tag/tag.ts'
import { openBrowser, type TestBrowser } from '../browser.ts'
import { openSite, type SentEvent, type Site } from './site.ts'

/** The module `delivery` in a real browser, against a collector that writes down every receipt. */

declare const divolte: Tag

/** More tries than a push to the repository needs: MILLRACE_TAG_TRIES=100. */
const tries = Number(process.env['MILLRACE_TAG_TRIES'] ?? 10)
/** How long the browser is offline, and longer than a push needs: MILLRACE_TAG_OFFLINE_MS=60000. */
const offlineMs = Number(process.env['MILLRACE_TAG_OFFLINE_MS'] ?? 3_000)

const storedKeys = () => Object.keys(localStorage)

describe('delivery in a real browser', () => {
  let browser: TestBrowser
  let context: BrowserContext
  let site: Site

  before(async () => {
    browser = await openBrowser()
    context = browser.context
    const script = (modules: string) => `<script src="/divolte.js?modules=${modules}"></script>`
    const pages = { '/': script('delivery'), '/spa': script('delivery,spa'), '/plain': 'no tag' }
    site = await openSite(pages, { eventTimeoutMs: 5_000 })
  })

  afterEach(async () => {
    site.setAnswer(undefined)
    await context.setOffline(false)
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

  async function open(path = '/'): Promise<Page> {
    const page = await context.newPage()
    await page.goto(site.origin + path)
    return page
  }

  function count(type: string): number {
    return site.events.filter((event) => event['t'] === type).length
  }

  /** Opens a page and waits until its page view is settled. */
  async function openSettled(path = '/'): Promise<Page> {
    const views = count('pageView')
    const page = await open(path)
    await site.until(() => count('pageView') > views, 'the page view')
    await page.waitForFunction(() => Object.keys(localStorage).length === 0)
    return page
  }

  /** Waits until the page has heard from the collector when to come again, and has stored it. */
  async function untilBarred(page: Page): Promise<void> {
    await page.waitForFunction(
      () => Number.parseInt(Object.values(localStorage)[0] ?? '0', 10) > Date.now() + 500,
    )
  }

  function signal(page: Page, type: string, times = 1): Promise<(string | null)[]> {
    return page.evaluate(
      ([type, times]) =>
        Array.from({ length: times }, (_, index) => divolte.signal(type, { index })),
      [type, times] as const,
    )
  }

  function idsOf(type: string): (string | undefined)[] {
    return site.events.filter((event) => event['t'] === type).map((event) => event['e'])
  }

  test('events of one moment go in one request, in order, byte for byte those of the core', async () => {
    const page = await openSettled()
    const requestsBefore = site.requests.length
    const ids = await signal(page, 'burst', 10)
    await site.until(() => count('burst') === 10)
    assert.deepEqual(idsOf('burst'), ids)
    assert.deepEqual(site.requests.slice(requestsBefore), [{ method: 'POST', count: 10 }])
    const burst = site.events.filter((event) => event['t'] === 'burst')
    assert.ok(burst.every((event: SentEvent) => event['checksum'] === 'true'))
    assert.deepEqual(
      burst.map((event) => event['u']),
      ids.map((_, index) => `(dindex!${index}!)`),
    )
    await page.waitForFunction(() => Object.keys(localStorage).length === 0)
  })

  test('what happens offline arrives once the connection is back, all of it, each once', async () => {
    const page = await openSettled()
    await context.setOffline(true)
    const ids: (string | null)[] = []
    for (let round = 0; round < 6; round++) {
      ids.push(...(await signal(page, 'offline', 10)))
      await sleep(offlineMs / 6)
    }
    assert.equal(count('offline'), 0)
    assert.equal((await page.evaluate(storedKeys)).length, 1)
    await context.setOffline(false)
    await site.until(() => count('offline') >= 60)
    await page.waitForFunction(() => Object.keys(localStorage).length === 0)
    assert.deepEqual(idsOf('offline'), ids)
  })

  test('two tabs that were offline send what each has, each once', async () => {
    const tabs = [await openSettled(), await openSettled()]
    await context.setOffline(true)
    const ids: (string | null)[] = []
    for (let round = 0; round < 5; round++) {
      for (const tab of tabs) ids.push(...(await signal(tab, 'twoTabs', 2)))
    }
    assert.equal((await (tabs[0] as Page).evaluate(storedKeys)).length, 2)
    await context.setOffline(false)
    await site.until(() => count('twoTabs') >= 20)
    await tabs[0]?.waitForFunction(() => Object.keys(localStorage).length === 0)
    assert.deepEqual(idsOf('twoTabs').sort(), ids.sort())
  })

  test('two tabs that find one abandoned queue at once send it once', async () => {
    const tabs = [await openSettled(), await openSettled()]
    for (let round = 0; round < 5; round++) {
      await context.setOffline(true)
      const left = await tabs[0]?.evaluate(
        ([eventUrl, round]) => {
          const c = Date.now().toString(36)
          const lines = Array.from({ length: 20 }, (_, index) => {
            return `g=1&v=v&e=v${round}${index}&c=${c}&t=abandoned${round}&x=0`
          })
          localStorage.setItem(`_dvq ${eventUrl} 0:gone${round}`, ['0', ...lines].join('\n'))
          return lines.length
        },
        [`${site.origin}/csc-event`, round] as const,
      )
      // Both hear that the connection is back.
      await context.setOffline(false)
      await site.until(() => count(`abandoned${round}`) >= Number(left))
      for (const tab of tabs) {
        await tab.waitForFunction(() => Object.keys(localStorage).length === 0)
      }
      const ids = idsOf(`abandoned${round}`)
      assert.deepEqual([ids.length, new Set(ids).size], [20, 20])
    }
  })

  test('a tab that was killed with a full queue has its events delivered by the next visit', async () => {
    site.setAnswer((_request, response) => response.writeHead(503).end())
    const page = await open()
    const ids = await signal(page, 'killed', 50)
    await page.waitForFunction(() => Object.values(localStorage).join().split('\n').length === 52)
    await crash(page)
    await page.close()
    site.setAnswer(undefined)
    const next = await open()
    await site.until(() => count('killed') >= 50)
    assert.deepEqual(idsOf('killed'), ids)
    await next.waitForFunction(() => Object.keys(localStorage).length === 0)
    await next.reload()
    await site.until((events) => events.at(-1)?.['t'] === 'pageView')
    assert.equal(count('killed'), 50)
  })

  test(`a page that is closed right after signal has sent it, ${tries} of ${tries} times`, async () => {
    for (let done = 0; done < tries; done++) {
      const page = await openSettled()
      const [id] = await signal(page, 'closing')
      assert.ok(typeof id === 'string')
      await page.close({ runBeforeUnload: true })
      // Before another page is opened, which would send what this one could not, and does send again
      // what this one did not live to hear an answer to.
      await site.until(() => idsOf('closing').includes(id), `event ${done + 1} of ${tries}`)
    }
  })

  test('what comes while a request is under way leaves with the page in a beacon', async () => {
    const page = await openSettled()
    let release = () => {}
    site.setAnswer((_request, response) => {
      release = () => response.destroy()
    })
    const requestsBefore = site.requests.length
    await signal(page, 'underWay')
    await site.until(() => site.requests.length > requestsBefore)
    site.setAnswer(undefined)
    const ids = await signal(page, 'behind', 3)
    await page.goto(`${site.origin}/plain`)
    await site.until(() => count('behind') >= 3)
    assert.deepEqual(idsOf('behind'), ids)
    release()
  })

  test('the collector says when: Retry-After is honoured, by the next page too', async () => {
    let refusedAt = 0
    site.setAnswer((_request, response) => {
      refusedAt ||= performance.now()
      response.writeHead(503, { 'Retry-After': '2' }).end()
    })
    const page = await open()
    await untilBarred(page)
    site.setAnswer(undefined)
    const views = count('pageView')
    await page.reload()
    await site.until(() => count('pageView') >= views + 2)
    assert.ok(performance.now() - refusedAt >= 1_900, `after ${performance.now() - refusedAt} ms`)
  })

  test('a 2xx that is not the collector tells nothing, and a refusal by it settles one event', async () => {
    const page = await openSettled()
    site.setAnswer((_request, response) => {
      site.setAnswer((_request, response, lines) => {
        const results = lines.map((_, index) => ({ status: index ? 'accepted' : 'rejected' }))
        response.end(JSON.stringify({ results }))
      })
      response.end('<html>Log in to the airport')
    })
    const requestsBefore = site.requests.length
    await signal(page, 'portal', 2)
    await page.waitForFunction(() => Object.keys(localStorage).length === 0)
    assert.deepEqual(site.requests.slice(requestsBefore), [
      { method: 'POST', count: 2 },
      { method: 'POST', count: 2 },
    ])
  })

  test('the oldest of too many give way, and what is six days old is given up', async () => {
    await context.setOffline(true)
    await context.setOffline(false)
    const page = await openSettled()
    await context.setOffline(true)
    const ids = await signal(page, 'many', 1_100)
    const length = await page.evaluate(() => Object.values(localStorage).join().length)
    assert.ok(length < 270_000, `${length} characters`)
    await context.setOffline(false)
    await site.until(() => idsOf('many').at(-1) === ids.at(-1))
    const arrived = idsOf('many')
    assert.deepEqual(arrived, ids.slice(-arrived.length))
    assert.ok(arrived.length > 300 && arrived.length <= 1_000, `${arrived.length} events`)

    await page.goto(`${site.origin}/plain`)
    await page.evaluate((eventUrl) => {
      const old = (Date.now() - 6.1 * 86_400_000).toString(36)
      const young = (Date.now() - 5.9 * 86_400_000).toString(36)
      const line = (time: string, type: string) => `g=1&v=v&e=v0${type}&c=${time}&t=${type}&x=0`
      const lines = ['0', line(old, 'tooOld'), line(young, 'oldEnough')]
      localStorage.setItem(`_dvq ${eventUrl} 0:gone`, lines.join('\n'))
    }, `${site.origin}/csc-event`)
    await page.goto(site.origin)
    await site.until(() => count('oldEnough') === 1)
    assert.equal(count('tooOld'), 0)
  })

  test('back comes out of the back/forward cache, and what was queued there is sent once', async () => {
    const page = await openSettled()
    await page.evaluate(() => {
      addEventListener('pageshow', (event) => {
        document.title = `persisted ${event.persisted}`
      })
    })
    site.setAnswer((_request, response) => response.writeHead(503, { 'Retry-After': '3' }).end())
    await signal(page, 'left')
    await untilBarred(page)
    site.setAnswer(undefined)
    const views = count('pageView')
    await page.goto(`${site.origin}/another`)
    await site.until(
      () => count('left') >= 1 && count('pageView') === views + 1,
      'what the page in the cache has left',
    )
    await page.goBack({ waitUntil: 'commit' })
    await site.until(() => count('pageView') === views + 2)
    assert.equal(await page.title(), 'persisted true')
    await signal(page, 'again')
    await site.until(() => count('again') === 1)
    await page.waitForFunction(() => Object.keys(localStorage).length === 0)
    assert.ok(count('left') <= 2, 'the page that left it does not send it again')
  })

  test('whenCommitted calls at once when idle, after the answer, and when an answer is late', async () => {
    const page = await openSettled()
    const at = (timeoutMs?: number) =>
      page.evaluate(async (timeoutMs) => {
        let isSynchronous = true
        const wasSynchronous = await new Promise<boolean>((resolve) => {
          divolte.whenCommitted(() => resolve(isSynchronous), timeoutMs)
          isSynchronous = false
        })
        return wasSynchronous
      }, timeoutMs)
    assert.equal(await at(), true)
    const committed = await page.evaluate(async () => {
      divolte.signal('committed')
      await new Promise<void>((resolve) => divolte.whenCommitted(resolve))
      return Object.keys(localStorage).length
    })
    assert.equal(committed, 0)
    assert.equal(count('committed'), 1)
    site.setAnswer(() => {})
    const { isAll, shortMs, longMs } = await page.evaluate(async () => {
      const from = performance.now()
      divolte.signal('late')
      let isAll = false
      const all = new Promise<void>((resolve) =>
        divolte.whenCommitted(() => {
          isAll = true
          resolve()
        }),
      )
      await new Promise<void>((resolve) => divolte.whenCommitted(resolve, 100))
      const short = { isAll, shortMs: performance.now() - from }
      await all
      return { ...short, longMs: performance.now() - from }
    })
    assert.equal(isAll, false)
    assert.ok(shortMs >= 95, `${shortMs} ms`)
    assert.ok(longMs >= 4_995, `${longMs} ms`)
  })

  /** Ends the page's process: no handler runs, nothing is said. */
  async function crash(page: Page): Promise<void> {
    const session = await context.newCDPSession(page)
    const crashed = new Promise((resolve) => page.once('crash', resolve))
    session.send('Page.crash').catch(() => {})
    await crashed
  }
})
