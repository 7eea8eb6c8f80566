import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Page } from 'playwright-core'
import type { PartyId } from '../../src/event/identifier.ts'
import { until } from '../api/scene.ts'
import { rowOf } from '../query/memory-store.ts'
import { shopLetters } from './shop.ts'
import { stageOf } from './stage.ts'
import { tabTo, visit } from './visit.ts'

const dayMs = 86_400_000
const clock = Date.now
const partyId = '0:k3:quick~Brown_fox' as PartyId

function metric(page: Page, name: string) {
  return page.locator('.metrics label', { hasText: new RegExp(`^${name}`) }).locator('strong')
}

/** The focused element: a link and the heading that it leads to have the same text. */
function focusOf(page: Page): Promise<string> {
  return page.evaluate(
    () => `${document.activeElement?.tagName} ${document.activeElement?.textContent}`,
  )
}

describe('the dashboard in a browser', () => {
  it('shows an event as it arrives, then in the numbers, its texts as text only', async (t) => {
    const stage = await stageOf(t)
    const { page, complaints } = await visit(t, `${stage.api.url}/`)
    await page.getByText('No events yet').waitFor()
    await until(() => stage.live.open() === 1, 'the tail')
    const html = '<img src=x onerror=alert(1)>'
    const row = rowOf(1, clock(), {
      eventType: html,
      location: 'javascript:alert(2)',
      referer: 'https://shop.example/?q=<b>',
      itemId: html,
      parameters: `{"n":9007199254740993,"html":"${html}"}`,
    })
    const addedAt = performance.now()
    await stage.add(row)
    const shown = page.locator('.events li')
    await shown.waitFor({ timeout: 60_000 })
    t.diagnostic(`shown after ${(performance.now() - addedAt).toFixed(0)} ms`)
    await metric(page, 'Events').getByText('1', { exact: true }).waitFor()
    assert.equal(await shown.locator('.type').textContent(), html)
    await shown.getByRole('button').click()
    const details = await shown.locator('dl').innerText()
    assert.match(details, /9007199254740993/)
    assert.match(details, /javascript:alert\(2\)/)
    const links = shown.locator('dl a')
    assert.deepEqual(
      await links.evaluateAll((all) =>
        all.map((a) => [a.getAttribute('href'), a.getAttribute('rel')]),
      ),
      [['https://shop.example/?q=<b>', 'noreferrer noopener']],
    )
    assert.equal(await page.locator('main img').count(), 0)
    assert.equal(await page.getByText('No events yet').count(), 0)
    assert.deepEqual(complaints, [])
  })

  it('shows the days that are chosen and bots when they are wanted, at an address of their own', async (t) => {
    const rows = Array.from({ length: 80 }, (_, n) => rowOf(n, clock() - n * dayMs))
    const stage = await stageOf(t, { rows: [...rows, rowOf(99, clock(), { bot: 'crawler' })] })
    const { page, complaints } = await visit(t, `${stage.api.url}/`)
    const events = metric(page, 'Events')
    await events.getByText('30', { exact: true }).waitFor()
    await page.getByText('Numbers by day').click()
    assert.equal(await page.locator('.wide tbody tr').count(), 30)
    await page.getByLabel('60 days').check()
    await events.getByText('60', { exact: true }).waitFor()
    await page.getByLabel('90 days').check()
    await events.getByText('80', { exact: true }).waitFor()
    assert.equal(await page.locator('.wide tbody tr').count(), 90)
    await page.getByLabel('Include bots').check()
    await events.getByText('81', { exact: true }).waitFor()
    await page.locator('.events').getByText('bot', { exact: true }).waitFor()
    assert.equal(new URL(page.url()).hash, '#/?days=90&bots=include')
    await page.reload()
    await events.getByText('81', { exact: true }).waitFor()
    await page.goBack()
    await events.getByText('80', { exact: true }).waitFor()
    assert.deepEqual(complaints, [])
  })

  it('says that only bots were there, as headless browsers are', async (t) => {
    const stage = await stageOf(t, { rows: [rowOf(1, clock(), { bot: 'headless' })] })
    const { page } = await visit(t, `${stage.api.url}/#/live`)
    await page.getByText('Nothing but what bots did').waitFor()
    await page.getByLabel('Include bots').check()
    await page.locator('.events li').waitFor()
    assert.equal(await page.getByText('Nothing but what bots did').count(), 0)
  })

  it('stops the list while it is paused, and says how many are newer', async (t) => {
    const stage = await stageOf(t)
    const { page } = await visit(t, `${stage.api.url}/#/live`)
    await until(() => stage.live.open() === 1, 'the tail')
    stage.live.append(rowOf(1, clock()))
    await page.locator('.events li').waitFor()
    await page.getByRole('button', { name: 'Pause' }).click()
    stage.live.append(rowOf(2, clock()), rowOf(3, clock()))
    const button = page.getByRole('button', { name: 'Paused, 2 newer' })
    await button.waitFor()
    assert.equal(await page.locator('.events li').count(), 1)
    await button.click()
    await page.locator('.events li').nth(2).waitFor()
  })

  it('says so when events are not stored, and comes back by itself when the stream breaks', async (t) => {
    let problem: string | null = 'the disk is full'
    const health = async () =>
      ({ lag: 3, consumer: 'waiting', problem, collectorUrl: null }) as const
    const stage = await stageOf(t, { rows: [rowOf(0, clock() - 1_000)], parts: { health } })
    const { page } = await visit(t, `${stage.api.url}/`)
    await page.getByText('Events are not being stored: the disk is full').waitFor()
    await page.locator('.facts div', { hasText: 'Lag' }).getByText('3', { exact: true }).waitFor()
    await until(() => stage.live.open() === 1, 'the tail')
    stage.live.fail(new Error('the segment is gone'))
    await page.getByText('Reconnecting…').waitFor()
    // Arrives while nobody listens.
    await stage.add(rowOf(1, clock()))
    problem = null
    await page.locator('.events li').nth(1).waitFor()
    await page.locator('.pill.is-live').waitFor()
    await page.getByText('Events are not being stored').waitFor({ state: 'detached' })
  })

  it('lives through a restart of the server: says that it is away, and goes on when it is back', async (t) => {
    const first = rowOf(0, clock() - 1_000)
    const stage = await stageOf(t, { rows: [first] })
    const { page } = await visit(t, `${stage.api.url}/`)
    await metric(page, 'Events').getByText('1', { exact: true }).waitFor()
    await stage.api.stop()
    await page.getByText('The server does not answer').first().waitFor()
    // What was known stays.
    assert.equal(await metric(page, 'Events').textContent(), '1')
    await stageOf(t, {
      rows: [first, rowOf(1, clock())],
      options: { port: stage.api.port },
      parts: { version: '2.0.0' },
    })
    await metric(page, 'Events').getByText('2', { exact: true }).waitFor()
    await page.getByText('Millrace 2.0.0').waitFor()
    await page.getByText('The server does not answer').first().waitFor({ state: 'detached' })
  })

  it('tells an error of the API with its hint, and asks again when told to', async (t) => {
    const stage = await stageOf(t, { rows: [rowOf(0, clock())] })
    const { page } = await visit(t, `${stage.api.url}/#/retention`)
    const error = { code: 'question_too_large', message: 'Too many weeks', hint: 'Ask for less' }
    await page.route('**/api/retention?*', (route) =>
      route.fulfill({ status: 422, json: { error } }),
    )
    await page.getByLabel('60 days').check()
    await page.getByText('Too many weeks. Ask for less.').waitFor()
    assert.equal(await page.locator('table').count(), 0)
    await page.unroute('**/api/retention?*')
    await page.getByRole('button', { name: 'Try again' }).click()
    await page.locator('table').waitFor()
    assert.equal(await page.getByText('Too many weeks').count(), 0)
  })

  it('asks again by itself when the server was busy', async (t) => {
    const stage = await stageOf(t, { rows: [rowOf(0, clock())] })
    const { page } = await visit(t, `${stage.api.url}/#/live`)
    const error = { code: 'overloaded', message: 'Too busy', hint: 'Wait a moment' }
    let asked = 0
    await page.route('**/api/retention?*', (route) =>
      ++asked > 2 ? route.fallback() : route.fulfill({ status: 503, json: { error } }),
    )
    await page.getByRole('link', { name: 'Retention' }).click()
    await page.getByText('Too busy. Wait a moment.').waitFor()
    await page.locator('table').waitFor()
    assert.equal(asked, 3)
    assert.equal(await page.getByText('Too busy').count(), 0)
  })

  it('says until when the numbers are counted, and asks again until they are whole', async (t) => {
    const stage = await stageOf(t, { rows: [rowOf(0, clock())] })
    const { page } = await visit(t, `${stage.api.url}/#/live`)
    let asked = 0
    await page.route('**/api/counts?*', async (route) => {
      const response = await route.fetch()
      const asOf = asked++ === 0 ? { asOf: '2026-03-10T12:00:00.000Z' } : {}
      await route.fulfill({ response, json: { ...(await response.json()), ...asOf } })
    })
    await page.getByRole('link', { name: 'Overview' }).click()
    const note = page.getByText('what was stored since is still being counted')
    await note.waitFor()
    assert.match((await note.textContent()) ?? '', /^Counted as of .*2026/)
    // Without an event that would say that something has changed.
    await note.waitFor({ state: 'detached' })
    await metric(page, 'Events').getByText('1', { exact: true }).waitFor()
    assert.equal(asked, 2)
  })

  it('counts the parties of a funnel whose steps are chosen', async (t) => {
    const types = ['pageView', 'addToBasket', 'purchase', 'a<b>&"c']
    const stage = await stageOf(t, {
      rows: types.map((eventType, n) => rowOf(n, clock() + n, { eventType, partyId })),
    })
    const { page } = await visit(t, `${stage.api.url}/#/funnel`)
    const rows = page.locator('.bars tbody tr')
    await rows.nth(2).waitFor()
    await page.getByLabel('Step 2', { exact: true }).selectOption('a<b>&"c')
    await page.getByRole('rowheader', { name: '2. a<b>&"c' }).waitFor()
    await page.getByRole('button', { name: 'Remove step 3' }).click()
    await rows.nth(2).waitFor({ state: 'detached' })
    await page.getByRole('button', { name: 'Add a step' }).click()
    await rows.nth(2).waitFor()
    await page.reload()
    await page.getByRole('rowheader', { name: '2. a<b>&"c' }).waitFor()
    await page.goBack()
    await rows.nth(2).waitFor({ state: 'detached' })
  })
})

describe('the dashboard by keyboard alone', () => {
  it('switches the range, finds a party, replays a dead letter, with the focus where one goes on', async (t) => {
    const rows = [0, 1, 2].map((n) => rowOf(n, clock() - n * 40 * dayMs, { partyId }))
    const letters = shopLetters(clock(), 1)
    const stage = await stageOf(t, { rows, letters })
    const { page, complaints } = await visit(t, `${stage.api.url}/`)
    const { keyboard } = page
    await metric(page, 'Events').getByText('1', { exact: true }).waitFor()
    const focused = () => focusOf(page)

    await keyboard.press('Tab')
    assert.equal(await focused(), 'A Skip to the content')
    await keyboard.press('Enter')
    await tabTo(page, 'input[value="30"]')
    await keyboard.press('ArrowRight')
    await page.getByRole('heading', { name: 'The last 60 days' }).waitFor()
    await keyboard.press('ArrowRight')
    await page.getByRole('heading', { name: 'The last 90 days' }).waitFor()
    await metric(page, 'Events').getByText('3', { exact: true }).waitFor()
    await keyboard.press('ArrowLeft')
    await metric(page, 'Events').getByText('2', { exact: true }).waitFor()

    await tabTo(page, 'nav a >> text=Parties')
    await keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Parties', level: 1 }).waitFor()
    // The focus follows the heading in an effect.
    await page.waitForFunction(() => document.activeElement?.tagName === 'H1')
    assert.equal(await focused(), 'H1 Parties')
    await tabTo(page, '#party')
    await keyboard.type(partyId)
    await keyboard.press('Enter')
    await page.locator('.of-one .type').nth(2).waitFor()
    assert.ok(page.url().endsWith('#/party/0%3Ak3%3Aquick~Brown_fox?days=60'))

    await tabTo(page, 'nav a >> text=Dead letters')
    await keyboard.press('Enter')
    await page.waitForFunction(() => document.title === 'Dead letters · Millrace')
    await tabTo(page, 'button[aria-label^="Replay parameter_missing"]')
    await keyboard.press('Enter')
    await page.getByText('1 dead letter replayed.').waitFor()
    assert.equal(await focused(), 'P 1 dead letter replayed.')
    assert.deepEqual(stage.replayed, [[letters[0]?.position]])
    await page.getByText(/, replayed /).waitFor()
    assert.deepEqual(complaints, [])
  })

  it('finds a party by a live event', async (t) => {
    const stage = await stageOf(t, { rows: [rowOf(1, clock())] })
    const { page } = await visit(t, `${stage.api.url}/#/live`)
    await page.locator('.events li').waitFor()
    await tabTo(page, '.events a')
    await page.keyboard.press('Enter')
    await page.locator('.of-one .type').waitFor()
    assert.equal(await focusOf(page), 'H1 Parties')
    await page.goBack()
    await page.getByRole('heading', { name: 'Live', level: 1 }).waitFor()
  })
})
