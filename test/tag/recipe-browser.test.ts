import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { after, before, describe, test } from 'node:test'
import type { APIResponse, BrowserContext, Page } from 'playwright-core'
import type {
  InspectAnswer,
  InspectedEventsAnswer,
  InspectedRejectionsAnswer,
} from '../../src/api/inspect-answer.ts'
import { openBrowser, type TestBrowser } from '../browser.ts'
import { freePort, type Running, startMillrace, temporaryFolder } from '../fault/process.ts'
import {
  bundleRecipe,
  openRecipeSite,
  type RecipeSite,
  recipeFile,
  recipePolicy,
  type SitePage,
} from './recipe-site.ts'

/** docs/recipes.md in Chromium, before `millrace start --inspect`. */

const folder = temporaryFolder()
let running: Running
let browser: TestBrowser
let context: BrowserContext
let site: RecipeSite
let number = 0

before(async () => {
  running = await startMillrace({
    folder: folder.path,
    collectPort: await freePort(),
    apiPort: await freePort(),
    command: ['start', '--inspect'],
  })
  browser = await openBrowser()
  context = browser.context
  site = await openRecipeSite()
})

after(async () => {
  await browser?.close()
  await site?.close()
  await running?.stop()
  folder.remove()
})

async function ask<Answer>(path: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(`${running.apiUrl}/api/${path}`, init)
  const answer = (await response.json()) as Answer
  assert.ok(response.ok, JSON.stringify(answer))
  return answer
}

/** Type and parameters of the events since the reset, as soon as there are `count`. */
async function arrived(count: number): Promise<unknown[]> {
  const query = `inspect/events?count=${count}&waitMs=20000`
  const { events } = await ask<InspectedEventsAnswer>(query)
  return events.map(({ event }) => [event.eventType, event.parameters])
}

interface Opened {
  readonly page: Page
  /** What the page complained about, the policy's refusals included. */
  readonly complaints: string[]
}

/** Opens `served` on the site, after a reset and without cookies. */
async function open(served: SitePage, script?: string): Promise<Opened> {
  await context.clearCookies()
  await ask('inspect/reset', { method: 'POST' })
  const path = `/${number++}`
  if (script !== undefined) site.set(`${path}.js`, { html: script })
  site.set(path, { ...served, html: served.html.replace('APP', `${path}.js`) })
  const page = await context.newPage()
  // What a page could not send is sent by the next one of the site.
  await page.goto(`${site.origin}/empty`)
  await page.evaluate(() => localStorage.clear())
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (line) => {
    if (line.type() === 'error') complaints.push(line.text())
  })
  await page.goto(site.origin + path)
  return { page, complaints }
}

const shell = '<!doctype html><title>site</title><div id="app"></div>'
const app: SitePage = { html: `${shell}<script src="APP"></script>` }
const teapot = { item_id: 'teapot', quantity: 1 }

describe('the inspection', () => {
  test("is asked by Playwright's test as it stands in the recipe, and it fails without the event", async () => {
    const text = recipeFile('e2e/basket.spec.js', running.collectorUrl)
    const code = text
      .replace(/^import .*$/m, '')
      .replaceAll('http://127.0.0.1:8290', running.collectorUrl)
      .replaceAll('http://127.0.0.1:8291', running.apiUrl)
    await context.clearCookies()
    await runSpec(code)
    await assert.rejects(runSpec(code.replace("'addToBasket'", "'purchase'")), /event_absent/)
  })

  test('shows on its page what arrives, and why something was refused; a reset empties it', async () => {
    await ask('inspect/reset', { method: 'POST' })
    const page = await context.newPage()
    const complaints: string[] = []
    page.on('console', (line) => complaints.push(line.text()))
    page.on('pageerror', (error) => complaints.push(error.message))
    await page.goto(`${running.apiUrl}/inspect`)
    const events = [
      { eventType: 'purchase', parameters: { item_id: '<b>teapot</b>' } },
      { eventType: 'purchase', price: 1 },
    ]
    const headers = { 'Content-Type': 'application/json' }
    const body = JSON.stringify({ events })
    await fetch(`${running.collectorUrl}/events`, { method: 'POST', headers, body })
    await page.getByText('1 events (purchase 1), 1 refused').waitFor()
    await page.getByRole('cell', { name: '{"item_id":"<b>teapot</b>"}' }).waitFor()
    await page.getByText('unknown field price').waitFor()
    await page.getByLabel('Event type').fill('pageView')
    await page.getByRole('button', { name: 'Filter' }).click()
    await page.getByRole('cell', { name: '{"item_id"' }).waitFor({ state: 'detached' })
    await page.getByRole('button', { name: 'Reset' }).click()
    await page.getByText('0 events, 0 refused').waitFor()
    assert.deepEqual(complaints, [])
    await page.close()
  })
})

/** As much of Playwright's test runner as the recipe uses. */
async function runSpec(code: string): Promise<void> {
  const page = await context.newPage()
  const failures: string[] = []
  const expect = (value: unknown) => ({
    toBeOK: async () => {
      const response = value as APIResponse
      if (!response.ok()) throw new Error(await response.text())
    },
    toHaveLength: (length: number) => assert.equal((value as unknown[]).length, length),
    toEqual: (other: unknown) => assert.deepEqual(value, other),
  })
  const tests: (() => Promise<void>)[] = []
  const declare = (_name: string, run: (fixtures: object) => Promise<void>) =>
    tests.push(() => run({ page, request: context.request }))
  new Function('test', 'expect', code)(declare, expect)
  assert.equal(tests.length, 1)
  for (const run of tests) await run().catch((thrown: Error) => failures.push(thrown.message))
  await page.close()
  if (failures.length > 0) throw new Error(failures.join())
}

describe('the Content-Security-Policy', () => {
  const withTag = (policy: string, modules: string): SitePage => ({
    html: `${shell}<script src="${running.collectorUrl}/divolte.js${modules}"></script>`,
    headers: { 'Content-Security-Policy': policy },
  })

  test('of the recipe lets script, images and delivery through, without a complaint', async () => {
    for (const modules of ['', '?modules=delivery,spa']) {
      const { page, complaints } = await open(withTag(recipePolicy(running.collectorUrl), modules))
      assert.deepEqual(await arrived(1), [['pageView', null]])
      assert.deepEqual(complaints, [])
      await page.close()
    }
  })

  test('without connect-src keeps delivery from sending: the recipe has nothing to spare', async () => {
    const policy = recipePolicy(running.collectorUrl).replace(/; connect-src .*$/, '')
    const { page, complaints } = await open(withTag(policy, '?modules=delivery'))
    await page.waitForTimeout(1_500)
    assert.ok(complaints.some((line) => /connect-src|Content Security Policy/.test(line)))
    assert.equal((await ask<InspectAnswer>('inspect')).events, 0)
    await page.close()
  })
})

describe('the recipe', () => {
  test('for a plain single-page application follows its routes, and keeps what comes too early', async () => {
    const recipe = recipeFile('index.html', running.collectorUrl)
    const html = `${shell}${recipe}<script>signal('early', { at: 1 })</script>`
    const { page, complaints } = await open({ html })
    assert.deepEqual(await arrived(2), [
      ['pageView', null],
      ['early', { at: 1 }],
    ])
    await page.evaluate(() => history.pushState(null, '', '?route=2'))
    await page.evaluate('signal("later")')
    assert.deepEqual((await arrived(4)).slice(2), [
      ['pageView', null],
      ['later', null],
    ])
    assert.deepEqual(complaints, [])
    await page.close()
  })

  test('for React sends one page view and each thing once, in StrictMode too', async () => {
    const entry = `
      import { StrictMode } from 'react'
      import { createRoot } from 'react-dom/client'
      import { App } from 'recipe:src/app.tsx'
      createRoot(document.getElementById('app')).render(<StrictMode><App item="teapot" /></StrictMode>)`
    const { page, complaints } = await open(app, await bundleRecipe(entry, running.collectorUrl))
    await page.getByRole('button').click()
    assert.deepEqual(await arrived(3), [
      ['pageView', null],
      ['preview', { item_id: 'teapot' }],
      ['addToBasket', teapot],
    ])
    assert.deepEqual(complaints, [])
    await page.close()
  })

  test('for Next renders on a server without a window, and hydrates into one page view a route', async () => {
    const root = `
      import Layout from 'recipe:app/layout.tsx'
      export const page = <Layout><h1>Teapots</h1></Layout>`
    const module = await bundleRecipe(root, running.collectorUrl, 'node')
    // It comes without types.
    const { renderToString } = createRequire(import.meta.url)('react-dom/server') as {
      renderToString(page: unknown): string
    }
    // Bare names are looked for from here.
    const bare = module.replaceAll(/from "(react[^"]*)"/g, (_, name: string) => {
      return `from "${import.meta.resolve(name)}"`
    })
    const rendered = (await import(`data:text/javascript,${encodeURIComponent(bare)}`)) as {
      page: unknown
    }
    const html = renderToString(rendered.page)
    assert.match(html, /<body><h1>Teapots<\/h1><\/body>/)
    const entry = `
      import { hydrateRoot } from 'react-dom/client'
      import Layout from 'recipe:app/layout.tsx'
      hydrateRoot(document, <Layout><h1>Teapots</h1></Layout>, {
        onRecoverableError: (error) => console.error(error) })`
    const script = await bundleRecipe(entry, running.collectorUrl)
    const served = `<!doctype html>${html.replace('</html>', '<script async src="APP"></script></html>')}`
    const { page, complaints } = await open({ html: served }, script)
    assert.deepEqual(await arrived(1), [['pageView', null]])
    await page.evaluate(() => history.pushState(null, '', `${location.pathname}/teapot`))
    assert.equal((await arrived(2)).length, 2)
    assert.deepEqual(complaints, [])
    await page.close()
  })

  test('for Vue sends one page view, and the value that a button has when it is pressed', async () => {
    const script = await bundleRecipe(`import 'recipe:src/main.ts'`, running.collectorUrl)
    const { page, complaints } = await open(app, script)
    await page.getByRole('button', { name: 'More' }).click()
    await page.getByRole('button', { name: 'Add' }).click()
    assert.deepEqual(await arrived(3), [
      ['pageView', null],
      ['preview', { item_id: 'teapot' }],
      ['addToBasket', { item_id: 'teapot', quantity: 2 }],
    ])
    assert.deepEqual(complaints, [])
    const { rejections } = await ask<InspectedRejectionsAnswer>('inspect/rejections')
    assert.deepEqual(rejections, [])
    await page.close()
  })
})
