import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { describe, it, type TestContext } from 'node:test'
import type { Page } from 'playwright-core'
import { parseHash, viewTitles } from '../../src/dashboard/route.ts'
import { token as secret } from '../api/scene.ts'
import { rowOf } from '../query/memory-store.ts'
import { makeDeadLetter } from '../store/rows.ts'
import { exposureRows } from './exposures.ts'
import { shopLetters, shopRows } from './shop.ts'
import { stageOf } from './stage.ts'
import { type Visit, visit } from './visit.ts'

/** Every view, in light and dark, wide and narrow: by axe-core's rules, and no wider than the screen. */

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const clock = Date.now
/** What is there when the view is whole. */
const views = [
  ['#/', '.metrics'],
  ['#/live', '.events'],
  ['#/top', '.columns > :nth-child(6) .bars'],
  ['#/funnel', '.bars'],
  ['#/retention?days=90', '.retention'],
  ['#/recommendations', '.latest'],
  ['#/recommendations?show=share&days=90', '.latest'],
  ['#/party', '.parties'],
  ['#/party/0%3Aiq8k%3Aparty1', '.of-one'],
  ['#/party/nobody', '.nothing'],
  ['#/dead-letters', '.letters li'],
] as const

interface Fault {
  readonly id: string
  readonly nodes: readonly { readonly target: readonly string[] }[]
}

/** Faults by axe-core: WCAG 2.2 A and AA, and its best practices. `evaluate` needs no leave of the page's policy. */
async function faultsOf(page: Page): Promise<string[]> {
  if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(axe)
  const faults = (await page.evaluate(
    'axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) => violations)',
  )) as Fault[]
  return faults.flatMap(({ id, nodes }) => nodes.map(({ target }) => `${id}: ${target.join(' ')}`))
}

async function lookAtRichData(t: TestContext): Promise<Visit> {
  const nowMs = clock()
  const long = 'x'.repeat(200)
  const rows = [0, 1, 2, 3, 4, 5].map((n) =>
    rowOf(n, nowMs - n * 1_000, {
      eventType: n % 2 === 0 ? `type${long}` : 'pageView',
      itemId: n % 3 === 0 ? `item${long}` : null,
      location: `https://shop.example/${long}`,
      bot: n === 3 ? 'crawler' : null,
    }),
  )
  const letters = [...shopLetters(nowMs, 3), { ...makeDeadLetter(9), message: `no ${long}` }]
  const stage = await stageOf(t, {
    rows: [...shopRows(nowMs, 12), ...exposureRows(nowMs), ...rows],
    letters,
  })
  return visit(t, `${stage.api.url}/`)
}

async function settle(page: Page, hash: string, whole: string): Promise<void> {
  await page.evaluate((next) => {
    location.hash = next
  }, hash)
  const title = `${viewTitles[parseHash(hash).view]} · Millrace`
  await page.waitForFunction((wanted) => document.title === wanted, title)
  await page.locator(whole).first().waitFor()
  await page.locator('main [aria-busy="true"]').first().waitFor({ state: 'detached' })
  await page.evaluate(() =>
    Promise.all(document.getAnimations().map((animation) => animation.finished)),
  )
  for (const summary of await page.locator('main summary').all()) await summary.click()
  const details = page.locator('.event button[aria-expanded="false"]').first()
  if ((await details.count()) > 0) await details.click()
}

describe('every view in a browser', () => {
  for (const [name, width, colorScheme] of [
    ['light', 1_280, 'light'],
    ['dark', 1_280, 'dark'],
    ['a phone', 390, 'light'],
    ['a phone in the dark', 390, 'dark'],
  ] as const) {
    it(`has no fault of contrast or label and does not scroll sideways: ${name}`, async (t) => {
      const { page, complaints } = await lookAtRichData(t)
      await page.setViewportSize({ width, height: 844 })
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
      for (const [hash, whole] of views) {
        await settle(page, hash, whole)
        assert.deepEqual(await faultsOf(page), [], hash)
        const wide = await page.evaluate(() => document.documentElement.scrollWidth)
        assert.ok(wide <= width, `${hash} is ${wide} px wide`)
      }
      assert.deepEqual(complaints, [])
    })
  }

  it('has none before the first event, and at the login', async (t) => {
    const scene = await stageOf(t, { options: { token: secret } })
    const { page } = await visit(t, `${scene.api.url}/`)
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme })
      assert.deepEqual(await faultsOf(page), [])
    }
    await page.getByLabel('Token').fill(secret)
    await page.getByRole('button', { name: 'Log in' }).click()
    await page.getByText('No events yet').waitFor()
    assert.deepEqual(await faultsOf(page), [])
  })

  it('is dark or light by the switch, whatever the system says, and stays so', async (t) => {
    const scene = await stageOf(t)
    const { page } = await visit(t, `${scene.api.url}/`)
    await page.emulateMedia({ colorScheme: 'light' })
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor)
    const light = await ground()
    const button = page.getByRole('button', { name: 'Dark theme' })
    await button.click()
    const dark = await ground()
    assert.notEqual(dark, light)
    assert.equal(await button.getAttribute('aria-pressed'), 'true')
    assert.deepEqual(await faultsOf(page), [])
    await page.reload()
    await button.waitFor()
    assert.equal(await ground(), dark)
    await button.click()
    assert.equal(await ground(), light)
  })

  it('is looked at by a checker that finds faults', async (t) => {
    const { page } = await lookAtRichData(t)
    await page.evaluate(() => {
      document
        .querySelector('main')
        ?.insertAdjacentHTML('beforeend', '<input><p id="pale">pale</p>')
      document.getElementById('pale')?.style.setProperty('color', '#ddd')
    })
    const faults = await faultsOf(page)
    assert.ok(faults.some((fault) => fault.startsWith('label: ')))
    assert.ok(faults.some((fault) => fault.startsWith('color-contrast: ')))
  })
})
