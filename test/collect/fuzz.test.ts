import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { freePort, startMillrace, temporaryFolder } from '../fault/process.ts'
import { createFuzz, fuzzConfig, fuzzKinds } from './fuzz-requests.ts'
import { growthMiB, runFuzz } from './fuzz-run.ts'

/** The short form of `npm run fuzz`: random requests to the process that a user runs. */

test('4,000 random requests: every whole one is answered, none by 5xx, and events still come in', async () => {
  const folder = temporaryFolder()
  const config = join(folder.path, 'millrace.config.ts')
  writeFileSync(config, fuzzConfig)
  const running = await startMillrace({
    folder: folder.path,
    collectPort: await freePort(),
    apiPort: await freePort(),
    command: ['collect'],
    env: { MILLRACE_COLLECT_REQUESTS_PER_SECOND_MAX: '0', MILLRACE_CONFIG: config },
  })
  try {
    const port = Number(new URL(running.collectorUrl).port)
    const { statuses, taken, faults, sent } = await runFuzz({ port, seed: 11, requests: 4_000 })
    assert.deepEqual(faults, [])
    assert.equal(sent, 4_000)
    // Not only the door was tried: events were taken, and each kind of refusal was met.
    for (const status of ['200', '400', '404', '405', '414', '415', '417', '431']) {
      assert.ok((statuses[status] ?? 0) > 0, `no ${status} in ${JSON.stringify(statuses)}`)
    }
    assert.ok((statuses['200'] ?? 0) > 1_000)
    for (const kind of ['query', 'lines', 'json', 'divolte', 'cookie'] as const) {
      // A batch is answered by 200 whatever is in it; with the cookie most single events are too.
      const least = kind === 'cookie' ? 270 : 50
      assert.ok((taken[kind] ?? 0) > least, `${taken[kind]} of ${kind} were taken`)
    }
    assert.equal((await fetch(`${running.collectorUrl}/ping`)).status, 200)
    assert.equal(await running.stop(), 0)
  } finally {
    await running.stop()
    folder.remove()
  }
})

test('the same seed gives the same requests, of every kind', () => {
  const take = (seed: number) => {
    const next = createFuzz(seed)
    return Array.from({ length: 500 }, next)
  }
  // Times are those of the run: only they differ.
  const shape = (seed: number) => take(seed).map(({ kind, isWhole }) => `${kind} ${isWhole}`)
  assert.deepEqual(shape(3), shape(3))
  assert.notDeepEqual(shape(3), shape(4))
  assert.deepEqual([...new Set(take(3).map(({ kind }) => kind))].sort(), [...fuzzKinds].sort())
})

test('a server that answers 500, that does not answer, or whose memory grows is found', async () => {
  let answered = 0
  const server = createServer((request, response) => {
    request.resume()
    answered++
    if (answered % 50 === 0) response.writeHead(500).end()
    else if (answered % 77 === 0) response.destroy()
    else response.end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const { statuses, faultCount } = await runFuzz({ port, seed: 5, requests: 600 })
  server.closeAllConnections()
  server.close()
  assert.ok((statuses['500'] ?? 0) > 0)
  assert.ok(faultCount >= (statuses['500'] ?? 0))

  const samples = (grown: number) =>
    Array.from({ length: 40 }, (_, at) => ({
      requests: at,
      residentMiB: 0,
      ownMiB: at < 10 ? 100 + 10 * at : 200 + grown * at + (at % 3),
    }))
  assert.ok(growthMiB(samples(0)) <= 2)
  assert.ok(growthMiB(samples(4)) > 48)
})
