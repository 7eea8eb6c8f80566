import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import type { InspectedEventsAnswer } from '../../src/api/inspect-answer.ts'
import { openBrowser, type TestBrowser } from '../browser.ts'
import { freePort, type Running, startMillrace, temporaryFolder } from '../fault/process.ts'
import { recipeFile } from './recipe-site.ts'

/**
 * The recipe for Next in docs/recipes.md by Next itself: installed from its lock file, built for
 * production with Millrace as the package that users install, served, and opened in Chromium.
 */

const folder = temporaryFolder()
const site = join(folder.path, 'site')
const env = { ...process.env, NEXT_TELEMETRY_DISABLED: '1', CI: '1' }
const installMs = 5 * 60_000
let running: Running
let browser: TestBrowser
let server: ChildProcess
let origin: string

const pages = {
  'app/page.tsx': `import Link from 'next/link'
export default function Page() {
  return <Link href="/teapot">Teapot</Link>
}
`,
  'app/teapot/page.tsx': `'use client'
import { signal } from '../tag'
export default function Page() {
  return <button onClick={() => signal('addToBasket', { item_id: 'teapot' })}>Add to basket</button>
}
`,
}

before(async () => {
  running = await startMillrace({
    folder: join(folder.path, 'data'),
    collectPort: await freePort(),
    apiPort: await freePort(),
    command: ['start', '--inspect'],
  })
  cpSync('test/tag/next', site, { recursive: true })
  const layout = ['app/layout.tsx', 'app/millrace.tsx'] as const
  for (const name of layout) write(name, recipeFile(name, running.collectorUrl))
  // Browsers ask for it.
  write('public/favicon.ico', '')
  write('app/tag.ts', recipeFile('src/tag.ts', running.collectorUrl))
  for (const [name, text] of Object.entries(pages)) write(name, text)
  run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], site)
  const installed = join(site, 'node_modules', 'millrace')
  run(process.execPath, ['node_modules/typescript/bin/tsc', ...buildTo(installed)], '.')
  cpSync('package.json', join(installed, 'package.json'))
  const next = join(site, 'node_modules', 'next', 'dist', 'bin', 'next')
  run(process.execPath, [next, 'build'], site)
  const port = await freePort()
  origin = `http://127.0.0.1:${port}`
  const address = ['--port', String(port), '--hostname', '127.0.0.1']
  server = spawn(process.execPath, [next, 'start', ...address], { cwd: site, env, stdio: 'ignore' })
  await untilAnswered(`${origin}/`)
  browser = await openBrowser()
})

after(async () => {
  await browser?.close()
  if (server?.exitCode === null) {
    const ended = new Promise((resolve) => server.once('exit', resolve))
    server.kill()
    await ended
  }
  await running?.stop()
  folder.remove()
})

function buildTo(installed: string): string[] {
  return ['-p', 'tsconfig.build.json', '--outDir', join(installed, 'dist')]
}

function write(name: string, text: string): void {
  mkdirSync(join(site, dirname(name)), { recursive: true })
  writeFileSync(join(site, name), text)
}

function run(command: string, args: readonly string[], cwd: string): void {
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd,
    env,
    encoding: 'utf8',
    timeout: installMs,
  })
  assert.equal(status, 0, `${command} ${args.join(' ')}\n${stdout}${stderr}`)
}

async function untilAnswered(url: string): Promise<void> {
  const deadline = performance.now() + 60_000
  for (;;) {
    const answer = await fetch(url).catch(() => undefined)
    if (answer?.ok === true) return
    assert.ok(performance.now() < deadline, `${url} did not answer`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

test('Next sends one page view a route, and what a client component signals', async () => {
  const page = await browser.context.newPage()
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (line) => {
    if (line.type() === 'error') complaints.push(line.text())
  })
  await page.goto(`${origin}/`)
  await page.getByRole('link', { name: 'Teapot' }).click()
  await page.getByRole('button', { name: 'Add' }).click()
  await page.goBack()
  const query = 'inspect/events?count=4&waitMs=20000'
  const response = await fetch(`${running.apiUrl}/api/${query}`)
  assert.equal(response.status, 200, await response.clone().text())
  const { events } = (await response.json()) as InspectedEventsAnswer
  const seen = events.map(({ event }) => [
    event.eventType,
    event.parameters,
    new URL(event.location ?? '').pathname,
  ])
  assert.deepEqual(seen, [
    ['pageView', null, '/'],
    ['pageView', null, '/teapot'],
    ['addToBasket', { item_id: 'teapot' }, '/teapot'],
    ['pageView', null, '/'],
  ])
  assert.deepEqual(complaints, [])
})
