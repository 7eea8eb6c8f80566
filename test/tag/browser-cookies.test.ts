import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, afterEach, before, describe, test } from 'node:test'
import type { Page } from 'playwright-core'
import { openTagScripts, type TagModuleName } from '../../src/collect/script.ts'
import { parseConfig } from '../../src/config.ts'
import type { Tag } from '../../src/tag/tag.ts'
import { openBrowser, type TestBrowser } from '../browser.ts'
import { openScene, type Scene } from '../collect/scene.ts'

/** The modules `domain` and `httponly` in a real browser, on a site of several hosts. */

declare const divolte: Tag

const site = 'shop.co.uk'
/** The most that `whenCommitted` waits, whatever it is told. */
const eventTimeoutMs = 60_000

describe('cookies of a site in a real browser', () => {
  let browser: TestBrowser
  let pages: Server
  let script = ''

  before(async () => {
    browser = await openBrowser([`*.${site}`])
    pages = createServer((_request, response) => {
      response.writeHead(200, { 'Content-Type': 'text/html' })
      response.end(`<!doctype html><title>page</title><script src="${script}"></script>`)
    })
    await new Promise<void>((resolve) => pages.listen(0, '127.0.0.1', resolve))
  })

  afterEach(async () => {
    for (const open of browser.context.pages().slice(1)) await open.close()
    await browser.context.clearCookies()
  })

  after(async () => {
    await browser?.close()
    pages?.closeAllConnections()
    pages?.close()
  })

  async function visit(host: string): Promise<Page> {
    const page = await browser.context.newPage()
    await page.goto(`http://${host}:${(pages.address() as AddressInfo).port}/`)
    return page
  }

  /** A collector on a host of the site whose tags have these modules. */
  async function openCollector(
    t: Parameters<typeof openScene>[0],
    modules: TagModuleName[],
  ): Promise<Scene> {
    const settings = { ...parseConfig({}).tag, modules, eventTimeoutMs }
    const scripts = await openTagScripts(settings)
    const scene = await openScene(t, {}, { scripts }, undefined, settings)
    script = `http://events.${site}:${scene.collector.port}/divolte.js`
    return scene
  }

  async function cookies(): Promise<readonly (readonly unknown[])[]> {
    const all = await browser.context.cookies()
    return all.map(({ name, domain, httpOnly }) => [name, domain, httpOnly]).sort()
  }

  async function committed(page: Page): Promise<void> {
    await page.evaluate(
      (timeoutMs) => new Promise<void>((resolve) => divolte.whenCommitted(resolve, timeoutMs)),
      eventTimeoutMs,
    )
  }

  test('domain: all hosts of a site share a party; a public suffix is never asked for', async (t) => {
    const scene = await openCollector(t, ['domain'])
    for (const host of [`www.${site}`, `m.${site}`]) await committed(await visit(host))
    assert.deepEqual(await cookies(), [
      ['_dvp', `.${site}`, false],
      ['_dvs', `.${site}`, false],
    ])
    const events = await scene.storedEvents()
    assert.equal(events.length, 2)
    assert.equal(events[0]?.partyId, events[1]?.partyId)
  })

  test('domain: an address has cookies of its own', async (t) => {
    await openCollector(t, ['domain'])
    script = script.replace(`events.${site}`, '127.0.0.1')
    await committed(await visit('127.0.0.1'))
    assert.deepEqual(await cookies(), [
      ['_dvp', '127.0.0.1', false],
      ['_dvs', '127.0.0.1', false],
    ])
  })

  test('consent: a denial deletes the cookies of the host and of the site, and probes for nothing', async (t) => {
    await openCollector(t, ['domain', 'consent'])
    const url = `http://www.${site}/`
    for (const name of ['_dvp', '_dvs']) {
      await browser.context.addCookies([
        { name, value: '0:k:host', url },
        { name, value: '0:k:site', domain: `.${site}`, path: '/' },
      ])
    }
    const page = await visit(`www.${site}`)
    const written = await page.evaluate(() => {
      const texts: string[] = []
      const { get, set } = Object.getOwnPropertyDescriptor(Document.prototype, 'cookie') ?? {}
      Object.defineProperty(document, 'cookie', {
        get: () => get?.call(document),
        set: (text: string) => {
          texts.push(text)
          set?.call(document, text)
        },
      })
      divolte.consent?.deny()
      return texts
    })
    assert.deepEqual(await cookies(), [])
    assert.ok(written.length > 0)
    assert.ok(written.every((text) => /^_dv[ps]=;/.test(text)))
  })

  for (const modules of [['httponly'], ['httponly', 'delivery']] as TagModuleName[][]) {
    test(`${modules}: the party is a cookie of the collector that no script reads`, async (t) => {
      const scene = await openCollector(t, modules)
      const page = await visit(`www.${site}`)
      assert.equal(await page.evaluate(() => divolte.partyId), null)
      await committed(page)
      assert.ok(!(await page.evaluate(() => document.cookie)).includes('_dvp'))
      assert.deepEqual(await cookies(), [
        ['_dvp', `events.${site}`, true],
        ['_dvs', `www.${site}`, false],
      ])
      await committed(await visit(`m.${site}`))
      const events = await scene.storedEvents()
      assert.equal(events.length, 2)
      assert.equal(events[0]?.partyId, events[1]?.partyId)
      assert.deepEqual(
        events.map(({ newParty, corrupt }) => [newParty, corrupt]),
        [
          [true, false],
          [false, false],
        ],
      )
    })
  }

  test('httponly and consent: a denial takes the cookie of an earlier visit away', async (t) => {
    const scene = await openCollector(t, ['httponly', 'consent'])
    const first = await visit(`www.${site}`)
    await first.evaluate(() => divolte.consent?.grant())
    await committed(first)
    assert.equal((await cookies()).length, 2)
    const page = await visit(`www.${site}`)
    await page.evaluate(() => divolte.consent?.deny())
    await page.waitForTimeout(50)
    const deadline = performance.now() + 60_000
    while ((await cookies()).length > 0 && performance.now() < deadline) {
      await page.waitForTimeout(50)
    }
    assert.deepEqual(await cookies(), [])
    assert.equal((await scene.storedEvents()).length, 1)
  })
})
