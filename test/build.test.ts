import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { freePort, startMillrace, temporaryFolder } from './fault/process.ts'

test('the built package runs: tag, demo page, an event, the live page', async () => {
  const { status, stderr } = spawnSync(process.execPath, ['script/build.ts'], { encoding: 'utf8' })
  assert.equal(status, 0, stderr)
  const folder = temporaryFolder()
  const script = new URL('../dist/cli/millrace.js', import.meta.url).pathname
  const ports = { collectPort: await freePort(), apiPort: await freePort() }
  const running = await startMillrace({ folder: folder.path, script, ...ports })
  try {
    const { collectorUrl, apiUrl } = running
    const urls = [
      `${collectorUrl}/divolte.js`,
      `${collectorUrl}/`,
      `${apiUrl}/`,
      `${apiUrl}/page.js`,
      `${apiUrl}/page.css`,
    ]
    for (const url of urls) assert.equal((await fetch(url)).status, 200, url)
    // A bundle: whoever installs the package builds nothing, and a browser finds all in it.
    const page = await (await fetch(`${apiUrl}/page.js`)).text()
    assert.ok(page.length > 50_000 && !/(from|import)\s*["']/.test(page))
    const body = JSON.stringify({ eventType: 'built' })
    const headers = { 'Content-Type': 'application/json' }
    const answer = await fetch(`${collectorUrl}/events`, { method: 'POST', headers, body })
    assert.equal(answer.status, 200)
  } finally {
    assert.equal(await running.stop(), 0)
    folder.remove()
  }
})
