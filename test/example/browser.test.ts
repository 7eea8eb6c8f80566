import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { after, before, beforeEach, describe, test } from 'node:test'
import type axe from 'axe-core'
import type { Page } from 'playwright-core'
import type { EventAnswer, EventsAnswer } from '../../src/api/answer.ts'
import { openBrowser, type TestBrowser } from '../browser.ts'
import { freePort, type Running, startMillrace, temporaryFolder } from '../fault/process.ts'

/** The example shop in a real browser, before the real collector, log, store and API. */

const folder = temporaryFolder()
let running: Running
let browser: TestBrowser
let shop: string
/** What the pages complained about, the policy's refusals included. */
const complaints: string[] = []

before(async () => {
  const ports = { collectPort: await freePort(), apiPort: await freePort() }
  running = await startMillrace({ folder: folder.path, ...ports })
  shop = `${running.collectorUrl}/shop/`
  browser = await openBrowser()
  browser.context.setDefaultTimeout(60_000)
})

after(async () => {
  await browser?.close()
  await running?.stop()
  folder.remove()
})

// Another party each time, with an empty basket.
beforeEach(async () => {
  complaints.length = 0
  await browser.context.clearCookies()
})

async function openShop(path = '', width = 1280, height = 720): Promise<Page> {
  const page = await browser.context.newPage()
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (line) => {
    if (line.type() === 'error') complaints.push(line.text())
  })
  await page.setViewportSize({ width, height })
  // A document of the same origin, without the tag.
  await page.goto(`${shop}shop.css`)
  await page.evaluate('localStorage.clear()')
  await page.goto(`${shop}${path}`)
  return page
}

type Seen = readonly [eventType: string, itemId: string | null, parameters: unknown]

/** What the API says that this party did, as soon as it has `count` events of the types. */
async function eventsOf(page: Page, count: number, leaveOut: readonly string[] = []) {
  const partyId = await page.evaluate('divolte.partyId')
  const deadline = performance.now() + 60_000
  for (;;) {
    const query = 'last=1d&bots=include&limit=200'
    const answer = await fetch(`${running.apiUrl}/api/events?${query}`)
    const { events } = (await answer.json()) as EventsAnswer
    const own = events.filter((event) => event.partyId === partyId)
    const kept = own.filter(({ eventType }) => !leaveOut.includes(eventType))
    if (kept.length >= count) return kept
    const types = kept.map(({ eventType }) => eventType)
    assert.ok(performance.now() < deadline, `only ${types} of ${count} within 60 s`)
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
}

function seenOf({ eventType, itemId, parameters }: EventAnswer): Seen {
  return [eventType, itemId, parameters]
}

test('a way through the shop by keyboard is the events of that way, in order', async () => {
  const page = await openShop()
  await page.getByLabel('Search').fill('brass')
  await page.getByLabel('Search').press('Enter')
  await page.getByRole('status').getByText('3 products').waitFor()
  await page.getByRole('button', { name: 'Add Candle holder to the basket' }).press('Enter')
  await page.getByRole('link', { name: 'Globe lamp' }).press('Enter')
  await page.getByRole('heading', { name: 'Globe lamp' }).waitFor()
  await page.getByLabel('Quantity').selectOption('3')
  await page.getByRole('button', { name: 'Add to basket' }).press('Enter')
  await page.getByText('Globe lamp is in your basket: 3').waitFor()
  await page.getByRole('link', { name: 'Basket, 4 things' }).press('Enter')
  await page.getByLabel('Quantity of Globe lamp').selectOption('2')
  await page.getByRole('button', { name: 'Remove Candle holder' }).press('Enter')
  await page.getByText('€192', { exact: true }).last().waitFor()
  await page.getByRole('button', { name: 'Place the order' }).press('Enter')
  await page.getByRole('heading', { name: 'Thank you' }).waitFor()
  const order_id = await page.locator('#order-id').textContent()
  assert.match(order_id ?? '', /^W-[0-9A-Z]{1,7}$/)
  const events = await eventsOf(page, 11, ['impression'])
  const globe = { item_id: 'globe-lamp', price: 96 }
  const candle = { item_id: 'candle-holder', price: 45 }
  const expected: Seen[] = [
    ['pageView', null, null],
    ['search', null, { phrase: 'brass', results: 3 }],
    ['addToBasket', 'candle-holder', { ...candle, quantity: 1 }],
    ['pageView', null, null],
    ['preview', 'globe-lamp', globe],
    ['addToBasket', 'globe-lamp', { ...globe, quantity: 3 }],
    ['pageView', null, null],
    ['removeFromBasket', 'globe-lamp', { ...globe, quantity: 1 }],
    ['removeFromBasket', 'candle-holder', { ...candle, quantity: 1 }],
    ['pageView', null, null],
    ['purchase', 'globe-lamp', { ...globe, quantity: 2, order_id }],
  ]
  assert.deepEqual(events.map(seenOf), expected)
  assert.equal(new Set(events.map(({ sessionId }) => sessionId)).size, 1)
  assert.equal(events.at(-1)?.location, `${shop}thanks.html`)
  assert.equal(events.at(-1)?.corrupt, false)
  assert.deepEqual(complaints, [])
  await page.close()
})

test('an order is told once, however often its page is loaded', async () => {
  const page = await openShop()
  await page.getByRole('button', { name: 'Add Teapot to the basket' }).click()
  await page.getByRole('button', { name: 'Add Teapot to the basket' }).click()
  await page.getByRole('link', { name: 'Basket, 2 things' }).click()
  await page.getByRole('button', { name: 'Place the order' }).click()
  await page.getByRole('link', { name: 'Basket, 0 things' }).waitFor()
  for (let time = 0; time < 2; time++) {
    await page.reload()
    await page.getByRole('heading', { name: 'Thank you' }).waitFor()
  }
  const events = await eventsOf(page, 8, ['impression'])
  assert.deepEqual(
    events.map(({ eventType }) => eventType),
    [
      ...['pageView', 'addToBasket', 'addToBasket', 'pageView'],
      ...['pageView', 'purchase', 'pageView', 'pageView'],
    ],
  )
  assert.deepEqual(complaints, [])
  await page.close()
})

test('what came into view for a second is one impression, with positions, once', async () => {
  const page = await openShop()
  const inView = () =>
    page.evaluate(() =>
      [...document.querySelectorAll<HTMLElement>('.card')].flatMap((card, index) => {
        const { top, bottom, height } = card.getBoundingClientRect()
        const part = (Math.min(bottom, innerHeight) - Math.max(top, 0)) / height
        return part >= 0.5 ? [{ item_id: card.dataset['item'] ?? '', position: index + 1 }] : []
      }),
    )
  const first = await inView()
  assert.ok(first.length >= 4 && first.length < 24)
  const leaveOut = ['pageView']
  const [impression] = await eventsOf(page, 1, leaveOut)
  assert.deepEqual(impression?.parameters, { list: 'all', items: first })
  await page.evaluate('scrollTo(0, 500)')
  const known = new Set(first.map(({ position }) => position))
  const second = (await inView()).filter(({ position }) => !known.has(position))
  assert.ok(second.length >= 4)
  const [, next] = await eventsOf(page, 2, leaveOut)
  assert.deepEqual(next?.parameters, { list: 'all', items: second })
  // Back at the top nothing is new; another list is.
  await page.evaluate('scrollTo(0, 0)')
  await page.getByRole('radio', { name: 'Garden' }).check()
  await page.getByText('6 products').waitFor()
  const garden = await inView()
  const [, , third, ...others] = await eventsOf(page, 3, leaveOut)
  assert.deepEqual(third?.parameters, { list: 'garden', items: garden })
  assert.deepEqual(others, [])
  await page.close()
})

test('the list is as it was on the way back from a product', async () => {
  const page = await openShop()
  await page.getByLabel('Search').fill('oak or anything <b>')
  await page.getByText('Nothing here is called that').waitFor()
  await page.getByRole('button', { name: 'Show everything' }).click()
  await page.getByRole('radio', { name: 'Light' }).check()
  await page.getByLabel('Order').selectOption('Price, low first')
  const names = await page.locator('.card h3').allTextContents()
  assert.equal(names[0], 'Candle holder')
  assert.equal(names.length, 6)
  await page.getByRole('link', { name: 'Pendant lamp' }).click()
  await page.getByRole('heading', { name: 'Pendant lamp' }).waitFor()
  // Out of the browser's own memory, which fires no load, and then anew.
  await page.goBack({ waitUntil: 'commit' })
  await page.getByRole('heading', { name: 'Pendant lamp' }).and(page.locator('h3')).waitFor()
  assert.deepEqual(await page.locator('.card h3').allTextContents(), names)
  await page.reload()
  assert.deepEqual(await page.locator('.card h3').allTextContents(), names)
  assert.deepEqual(complaints, [])
  await page.close()
})

test('the shop works with the tag blocked, and with a basket that somebody spoilt', async () => {
  const page = await openShop()
  await page.route('**/divolte.js?*', (route) => route.abort())
  for (const text of ['{', '[]', '{"teapot":"x","absent":1,"constructor":2,"bud-vase":99}', '7']) {
    await page.evaluate((spoilt) => localStorage.setItem('millrace-shop-basket', spoilt), text)
    await page.goto(`${shop}basket.html`)
    await page.getByText('Nothing in it yet').waitFor()
  }
  await page.goto(`${shop}product.html?item_id=teapot`)
  await page.getByRole('button', { name: 'Add to basket' }).click()
  await page.getByRole('link', { name: 'Basket, 1 thing' }).click()
  await page.getByRole('button', { name: 'Place the order' }).click()
  await page.getByRole('heading', { name: 'Thank you' }).waitFor()
  assert.deepEqual(
    complaints.filter((line) => !line.includes('ERR_FAILED')),
    [],
  )
  await page.close()
})

describe('every page, light, dark and on a phone', () => {
  const axeSource = readFileSync(
    createRequire(import.meta.url).resolve('axe-core/axe.min.js'),
    'utf8',
  )
  const looks = [
    { name: 'light', colorScheme: 'light', width: 1280 },
    { name: 'dark', colorScheme: 'dark', width: 1280 },
    { name: 'phone', colorScheme: 'light', width: 360 },
  ] as const

  /** What axe-core finds in each look, and what is wider than the screen. */
  async function faultsOf(page: Page): Promise<string[]> {
    const faults: string[] = []
    // Not by a script element, which the page's policy refuses.
    await page.evaluate(axeSource)
    for (const { name, colorScheme, width } of looks) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
      await page.setViewportSize({ width, height: 720 })
      const { violations } = (await page.evaluate('axe.run()')) as axe.AxeResults
      for (const { id, nodes } of violations) {
        faults.push(...nodes.map(({ html }) => `${name}: ${id}: ${html}`))
      }
      const wide = await page.evaluate(() => document.documentElement.scrollWidth)
      if (wide > width) faults.push(`${name}: ${wide} px wide`)
    }
    return faults
  }

  const pages: readonly [path: string, heading: string][] = [
    ['', 'Things that last, for house and garden'],
    ['product.html?item_id=storm-lantern', 'Storm lantern'],
    ['product.html?item_id=%3Cb%3E', 'We do not have that'],
    ['basket.html', 'Your basket'],
    ['thanks.html', 'No order yet'],
  ]
  for (const [path, heading] of pages) {
    test(`${path === '' ? 'the list' : path} has no faults`, async () => {
      const page = await openShop(path)
      await page.getByRole('heading', { name: heading }).waitFor()
      assert.deepEqual(await faultsOf(page), [])
      await page.close()
    })
  }

  test('a basket with something in it, and its order, have no faults', async () => {
    const page = await openShop('product.html?item_id=rain-boots')
    await page.getByRole('button', { name: 'Add to basket' }).click()
    await page.getByRole('link', { name: 'Basket, 1 thing' }).click()
    await page.getByLabel('Quantity of Rain boots').waitFor()
    assert.deepEqual(await faultsOf(page), [])
    await page.getByRole('button', { name: 'Place the order' }).click()
    await page.getByRole('heading', { name: 'Thank you' }).waitFor()
    assert.deepEqual(await faultsOf(page), [])
    await page.close()
  })

  test('the checker finds a fault', async () => {
    const page = await openShop('basket.html')
    await page.evaluate(() => {
      const input = document.createElement('input')
      document.querySelector('main')?.append(input)
      const pale = document.createElement('p')
      pale.textContent = 'pale'
      pale.style.color = '#999'
      pale.style.background = '#888'
      document.querySelector('main')?.append(pale)
    })
    const faults = (await faultsOf(page)).join('\n')
    assert.match(faults, /light: label: /)
    assert.match(faults, /dark: color-contrast: /)
    await page.close()
  })
})
