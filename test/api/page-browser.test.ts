import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { BrowserContext, Page } from 'playwright-core'
import { openBrowser } from '../browser.ts'
import { rowOf } from '../query/memory-store.ts'
import { now, type Scene, sceneOf, token, until } from './scene.ts'

interface Visit {
  readonly page: Page
  readonly context: BrowserContext
  /** What the page complained about, the policy's refusals included. */
  readonly complaints: string[]
}

async function visit(t: TestContext, { api }: Scene, path = '/'): Promise<Visit> {
  const { context, close } = await openBrowser()
  t.after(close)
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (line) => {
    if (line.type() === 'error') complaints.push(line.text())
  })
  page.on('dialog', (dialog) => {
    complaints.push(`dialog ${dialog.message()}`)
    void dialog.dismiss()
  })
  await page.goto(`${api.url}${path}`)
  return { page, context, complaints }
}

describe('the page in a browser', () => {
  it('shows an event as it arrives, and what visitors sent as text only', async (t) => {
    const scene = await sceneOf(t, {}, { clock: Date.now })
    const { page, complaints } = await visit(t, scene)
    await page.getByText('No events yet').waitFor()
    await until(() => scene.live.open() === 1, 'the tail')
    const html = '<img src=x onerror=alert(1)>'
    const row = rowOf(1, Date.now(), {
      eventType: html,
      location: 'javascript:alert(2)',
      referer: 'https://shop.example/?q=<b>',
      itemId: html,
      parameters: `{"n":9007199254740993,"html":"${html}"}`,
    })
    scene.store.rows.push(row)
    scene.live.append(row)
    const shown = page.locator('#live li')
    await shown.waitFor({ timeout: 2_000 })
    assert.equal(await shown.locator('.type').textContent(), html)
    await shown.locator('summary').click()
    const details = await shown.locator('dl').innerText()
    assert.match(details, /9007199254740993/)
    assert.match(details, /javascript:alert\(2\)/)
    const links = await shown
      .locator('a')
      .evaluateAll((all) => all.map((a) => a.getAttribute('href')))
    assert.deepEqual(links, ['https://shop.example/?q=<b>'])
    assert.equal(await page.locator('main img').count(), 0)
    await page.locator('#table td.sum', { hasText: '1' }).waitFor()
    assert.equal(await page.getByText('No events yet').isVisible(), false)
    assert.deepEqual(complaints, [])
  })

  it('shows the days that are chosen, and bots when they are wanted', async (t) => {
    const scene = await sceneOf(t, {}, { clock: Date.now })
    const day = 86_400_000
    for (let n = 0; n < 80; n++) scene.store.rows.push(rowOf(n, Date.now() - n * day))
    scene.store.rows.push(rowOf(99, Date.now(), { bot: 'crawler' }))
    const { page, complaints } = await visit(t, scene)
    const total = page.locator('#total')
    await total.getByText('30', { exact: true }).waitFor()
    assert.equal(await page.locator('#table tbody tr').count(), 30)
    await page.getByText('90 days').click()
    await total.getByText('80', { exact: true }).waitFor()
    assert.equal(await page.locator('#chart g').count(), 90)
    await page.getByLabel('Include bots').check()
    await total.getByText('81', { exact: true }).waitFor()
    await page.locator('#live').getByText('bot', { exact: true }).waitFor()
    assert.deepEqual(complaints, [])
  })

  it('says that only bots were there, as headless browsers are', async (t) => {
    const scene = await sceneOf(t, {}, { clock: Date.now })
    scene.store.rows.push(rowOf(1, Date.now(), { bot: 'headless' }))
    const { page } = await visit(t, scene)
    await page.getByText('Nothing but what bots did').waitFor()
    assert.equal(await page.getByText('No events yet').isVisible(), false)
    await page.getByLabel('Include bots').check()
    await page.locator('#live li').waitFor()
    assert.equal(await page.getByText('Nothing but what bots did').isVisible(), false)
  })

  it('says so when events are not stored, and comes back by itself when the stream breaks', async (t) => {
    let problem: string | null = 'the disk is full'
    const health = async () =>
      ({ lag: 3, consumer: 'waiting', problem, collectorUrl: null }) as const
    const scene = await sceneOf(t, {}, { clock: Date.now, health })
    const { page } = await visit(t, scene)
    await page.getByText('Events are not being stored: the disk is full').waitFor()
    assert.equal(await page.locator('#lag').textContent(), '3')
    await until(() => scene.live.open() === 1, 'the tail')
    scene.live.fail(new Error('the segment is gone'))
    await page.getByText('Reconnecting…').waitFor()
    // Arrives while nobody listens.
    scene.store.rows.push(rowOf(1, Date.now()))
    problem = null
    await page.locator('#live li').waitFor()
    assert.equal(await page.locator('#connection').textContent(), 'Live')
    await page.locator('#problem:empty').waitFor({ state: 'attached' })
  })

  it('is as wide as a telephone without scrolling sideways', async (t) => {
    const scene = await sceneOf(t, {}, { clock: Date.now })
    for (let n = 0; n < 40; n++) {
      scene.store.rows.push(rowOf(n, Date.now() - n, { eventType: `type${n}${'x'.repeat(60)}` }))
    }
    const { page } = await visit(t, scene)
    await page.setViewportSize({ width: 360, height: 640 })
    await page.locator('#live li').first().waitFor()
    const width = await page.evaluate(() => document.documentElement.scrollWidth)
    assert.ok(width <= 360, `${width} px`)
  })

  it('is behind the login where there is a token, and logs out again', async (t) => {
    const scene = await sceneOf(t, { token }, { clock: () => now })
    const { page, context } = await visit(t, scene)
    assert.equal(new URL(page.url()).pathname, '/login')
    await page.getByLabel('Token').fill('wrong')
    await page.getByRole('button', { name: 'Log in' }).click()
    await page.getByText('That is not the token.').waitFor()
    await page.getByLabel('Token').fill(token)
    await page.getByRole('button', { name: 'Log in' }).click()
    await page.getByText('Live', { exact: true }).first().waitFor()
    const [cookie] = await context.cookies()
    assert.equal(cookie?.httpOnly, true)
    assert.equal(cookie?.sameSite, 'Strict')
    await page.getByRole('button', { name: 'Log out' }).click()
    await page.getByLabel('Token').waitFor()
    assert.deepEqual(await context.cookies(), [])
  })
})
