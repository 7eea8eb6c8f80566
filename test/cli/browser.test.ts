import assert from 'node:assert/strict'
import { after, before, type TestContext, test } from 'node:test'
import type { Page } from 'playwright-core'
import type { EventAnswer, EventsAnswer } from '../../src/api/answer.ts'
import { openBrowser, type TestBrowser } from '../browser.ts'
import {
  freePort,
  type Running,
  type RunOptions,
  runCommand,
  startMillrace,
  temporaryFolder,
} from '../fault/process.ts'

/** The whole way in a real browser: a call in the console, seen by API, command line and page. */

const folder = temporaryFolder()
let options: RunOptions
let running: Running
let browser: TestBrowser

before(async () => {
  options = { folder: folder.path, collectPort: await freePort(), apiPort: await freePort() }
  running = await startMillrace(options)
  browser = await openBrowser()
})

after(async () => {
  await browser?.close()
  await running?.stop()
  folder.remove()
})

/** The event once it is stored. */
async function storedEvent(t: TestContext, eventType: string): Promise<EventAnswer> {
  const startedAt = performance.now()
  const url = `${running.apiUrl}/api/events?last=1d&eventType=${eventType}&bots=include`
  for (;;) {
    const { events } = (await (await fetch(url)).json()) as EventsAnswer
    const ms = performance.now() - startedAt
    if (events[0] !== undefined) {
      t.diagnostic(`${eventType} was stored after ${ms.toFixed(0)} ms`)
      return events[0]
    }
    assert.ok(ms < 60_000, `${eventType} was not stored within 60 s`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

async function openPage(url: string): Promise<Page> {
  const page = await browser.context.newPage()
  await page.goto(url)
  return page
}

test('divolte.signal in the console of the demo page is seen by API, command line and live page', async (t) => {
  const live = await openPage(`${running.apiUrl}/`)
  // Headless Chromium is marked as a bot, which the page leaves out unless asked.
  await live.getByLabel('Include bots').check()
  const demo = await openPage(`${running.collectorUrl}/`)
  await demo.waitForFunction('typeof divolte === "object" && divolte.pageViewId')
  const partyId = await demo.evaluate('divolte.partyId')
  await demo.evaluate("divolte.signal('event', {item_id: 101321, event_date: 3213213})")
  const event = await storedEvent(t, 'event')
  assert.equal(event.partyId, partyId)
  assert.equal(event.itemId, '101321')
  assert.deepEqual(event.parameters, { item_id: 101321, event_date: 3213213 })
  assert.equal(event.location, `${running.collectorUrl}/`)
  assert.equal(event.remoteAddress, '127.0.0.0')
  assert.equal(event.corrupt, false)
  await live.getByText('101321').first().waitFor({ timeout: 60_000 })
  const { stdout } = await runCommand(['events', '--last', '1d', '--bots', 'include'], {
    MILLRACE_DATA: options.folder,
  })
  assert.match(
    stdout,
    new RegExp(`  event  ${String(partyId).replaceAll('~', '.')}  item=101321  `),
  )
})

test('with Global Privacy Control the event comes without a party and no cookie is left', async (t) => {
  await browser.context.clearCookies()
  const page = await browser.context.newPage()
  await page.addInitScript(
    "Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', { get: () => true })",
  )
  await page.goto(`${running.collectorUrl}/`)
  await page.waitForFunction('typeof divolte === "object" && divolte.pageViewId')
  await page.evaluate("divolte.signal('private', {item_id: 7})")
  const event = await storedEvent(t, 'private')
  assert.equal(event.partyId, null)
  assert.equal(event.sessionId, null)
  assert.equal(event.privacy, 'gpc')
  assert.deepEqual(await browser.context.cookies(), [])
  assert.equal(await page.evaluate('document.cookie'), '')
})
