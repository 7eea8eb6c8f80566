import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Page } from 'playwright-core'
import { openBrowser, type TestBrowser } from '../browser.ts'
import { tabTo } from '../dashboard/visit.ts'
import {
  freePort,
  type Running,
  type RunOptions,
  runToken,
  startMillrace,
  temporaryFolder,
  untilStored,
} from '../fault/process.ts'

/** Shop and dashboard of one running process, with two pages and no mouse. */

const folder = temporaryFolder()
let running: Running
let browser: TestBrowser

before(async () => {
  const options: RunOptions = {
    folder: folder.path,
    collectPort: await freePort(),
    apiPort: await freePort(),
  }
  // Refused under this limit; tomorrow's settings take it.
  const strict = await startMillrace({
    ...options,
    env: { MILLRACE_COLLECT_PARAMETERS_DEPTH_MAX: '2' },
  })
  const refused = await fetch(`${strict.collectorUrl}/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      eventId: 'deep',
      partyId: 'deep-party',
      eventType: 'deepEvent',
      parameters: { item_id: 'deep-item', a: { b: { c: { d: 1 } } } },
    }),
  })
  assert.match(await refused.text(), /"rejected"/)
  await untilStored(strict)
  await strict.stop()
  running = await startMillrace(options)
  browser = await openBrowser()
  browser.context.setDefaultTimeout(60_000)
})

after(async () => {
  await browser?.close()
  await running?.stop()
  folder.remove()
})

async function openPage(url: string): Promise<Page> {
  const page = await browser.context.newPage()
  await page.goto(url)
  return page
}

test('what is done in the shop is on the dashboard by itself, and everything there is done by keyboard', async (t) => {
  const dashboard = await openPage(`${running.apiUrl}/`)
  // Headless Chromium is marked as a bot, which the page leaves out unless asked.
  await tabTo(dashboard, 'input[type="checkbox"]')
  await dashboard.keyboard.press('Space')

  const shop = await openPage(`${running.collectorUrl}/shop/`)
  await shop.waitForFunction('typeof divolte === "object" && divolte.partyId')
  const partyId = String(await shop.evaluate('divolte.partyId'))
  await shop.bringToFront()
  await tabTo(shop, 'input[type="search"]')
  await shop.keyboard.type('brass')
  await shop.keyboard.press('Enter')
  await shop.getByRole('status').getByText('3 products').waitFor()
  await tabTo(shop, 'button[aria-label="Add Candle holder to the basket"]')
  const pressedAt = performance.now()
  await shop.keyboard.press('Enter')
  const shown = dashboard.locator('.events li', { hasText: 'candle-holder' })
  await shown.first().waitFor()
  t.diagnostic(`on the dashboard after ${(performance.now() - pressedAt).toFixed(0)} ms`)

  await dashboard.bringToFront()
  await tabTo(dashboard, 'input[value="30"]')
  await dashboard.keyboard.press('ArrowRight')
  await dashboard.getByRole('heading', { name: 'The last 60 days' }).waitFor()
  await dashboard.keyboard.press('ArrowRight')
  await dashboard.getByRole('heading', { name: 'The last 90 days' }).waitFor()

  await tabTo(dashboard, 'nav a >> text=Parties')
  await dashboard.keyboard.press('Enter')
  await tabTo(dashboard, '#party')
  await dashboard.keyboard.type(partyId)
  await dashboard.keyboard.press('Enter')
  await dashboard.locator('.of-one', { hasText: 'addToBasket' }).first().waitFor()

  await tabTo(dashboard, 'nav a >> text=Dead letters')
  await dashboard.keyboard.press('Enter')
  await tabTo(dashboard, 'button[aria-label^="Replay "]')
  await dashboard.keyboard.press('Enter')
  await dashboard.getByText('1 dead letter replayed.').waitFor()
  await untilStored(running)
  const answer = await fetch(`${running.apiUrl}/api/events?party=deep-party&bots=include`, {
    headers: { authorization: `Bearer ${runToken(folder.path)}` },
  })
  const { events } = (await answer.json()) as { events: { eventId: string; itemId: string }[] }
  assert.deepEqual(
    events.map(({ eventId, itemId }) => [eventId, itemId]),
    [['deep', 'deep-item']],
  )
})
