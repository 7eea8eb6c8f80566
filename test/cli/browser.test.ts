import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
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

async function within2s<T>(look: () => Promise<T | undefined>): Promise<T> {
  const deadline = performance.now() + 2_000
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    assert.ok(performance.now() < deadline, 'it did not appear within 2 s')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

async function storedEvent(eventType: string): Promise<EventAnswer | undefined> {
  const response = await fetch(
    `${running.apiUrl}/api/events?last=1d&eventType=${eventType}&bots=include`,
  )
  return ((await response.json()) as EventsAnswer).events[0]
}

async function openPage(url: string): Promise<Page> {
  const page = await browser.context.newPage()
  await page.goto(url)
  return page
}

test('divolte.signal in the console of the demo page is seen by API, command line and live page within 2 s', async () => {
  const live = await openPage(`${running.apiUrl}/`)
  // Headless Chromium is marked as a bot, which the page leaves out unless asked.
  await live.getByLabel('Include bots').check()
  const demo = await openPage(`${running.collectorUrl}/`)
  await demo.waitForFunction('typeof divolte === "object" && divolte.pageViewId')
  const partyId = await demo.evaluate('divolte.partyId')
  await demo.evaluate("divolte.signal('event', {item_id: 101321, event_date: 3213213})")
  const event = await within2s(() => storedEvent('event'))
  assert.equal(event.partyId, partyId)
  assert.equal(event.itemId, '101321')
  assert.deepEqual(event.parameters, { item_id: 101321, event_date: 3213213 })
  assert.equal(event.location, `${running.collectorUrl}/`)
  assert.equal(event.remoteAddress, '127.0.0.0')
  assert.equal(event.corrupt, false)
  await live.getByText('101321').first().waitFor({ timeout: 2_000 })
  const { stdout } = await runCommand(['events', '--last', '1d', '--bots', 'include'], {
    MILLRACE_DATA: options.folder,
  })
  assert.match(
    stdout,
    new RegExp(`  event  ${String(partyId).replaceAll('~', '.')}  item=101321  `),
  )
})

test('with Global Privacy Control the event comes without a party and no cookie is left', async () => {
  await browser.context.clearCookies()
  const page = await browser.context.newPage()
  await page.addInitScript(
    "Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', { get: () => true })",
  )
  await page.goto(`${running.collectorUrl}/`)
  await page.waitForFunction('typeof divolte === "object" && divolte.pageViewId')
  await page.evaluate("divolte.signal('private', {item_id: 7})")
  const event = await within2s(() => storedEvent('private'))
  assert.equal(event.partyId, null)
  assert.equal(event.sessionId, null)
  assert.equal(event.privacy, 'gpc')
  assert.deepEqual(await browser.context.cookies(), [])
  assert.equal(await page.evaluate('document.cookie'), '')
})
