import { Agent, createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { askChain } from '../src/recommend/chain.ts'
import { createItemToItem, itemToItemDefaults } from '../src/recommend/item-to-item.ts'
import { parseRecommend, recommendParameters } from '../src/recommend/question.ts'
import { createRecent } from '../src/recommend/recent.ts'
import { buildIndex } from '../src/recommend/session-index.ts'
import { createSessionKnn, sessionKnnDefaults } from '../src/recommend/session-knn.ts'
import { createSessions } from '../src/recommend/sessions.ts'
import { buildTrending } from '../src/recommend/trending.ts'

/**
 * The claims of recommendations over 900,000 clicks: bytes a click, time of the index, and answers
 * over HTTP at 1,000 requests a second. Beside them a bare server in the same process.
 */
const clicks = 900_000
const items = 20_000
const clicksPerSession = 4.5
const requestsPerSecond = 1_000
const seconds = Number(process.argv[2] ?? 8)

/** Popular items come up more often, and items near each other go together. */
function makeItem(near: number | undefined): number {
  if (near !== undefined && Math.random() < 0.7) {
    return (near + 1 + Math.floor(Math.random() * 20)) % items
  }
  return Math.floor(items * Math.random() ** 3)
}

function memory(): number {
  globalThis.gc?.()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

const before = memory()
const now = Date.now()
const sessions = createSessions({ clicksMax: 2 * clicks, itemsMax: items })
for (let made = 0; made < clicks; ) {
  const wanted = 1 + Math.floor(Math.random() * (2 * clicksPerSession - 1))
  const chosen = new Set<number>()
  let near: number | undefined
  for (let n = 0; n < wanted; n++) {
    near = makeItem(near)
    chosen.add(sessions.numberOf(`product-${near}`) as number)
  }
  sessions.add({
    items: [...chosen],
    timeMs: now - (1 - made / clicks) * 30 * 86_400_000,
    owner: made,
  })
  made += chosen.size
}
const startedAt = performance.now()
let slice = performance.now()
let longest = 0
const index = await buildIndex(sessions.copy(), () => {
  longest = Math.max(longest, performance.now() - slice)
  if (performance.now() - slice < 2) return
  return nextTurn().then(() => {
    slice = performance.now()
  })
})
const buildMs = performance.now() - startedAt
const chain = [
  createSessionKnn(index, sessionKnnDefaults),
  createItemToItem(index, itemToItemDefaults),
  await buildTrending(index, now, () => undefined),
  createRecent(index),
]
const bytes = (memory() - before) / clicks

function server(answer: (query: string) => string) {
  return createServer((incoming, response) => {
    const text = answer((incoming.url ?? '').split('?')[1] ?? '')
    response.writeHead(200, { 'Content-Type': 'application/json' }).end(text)
  })
}

/** Latencies of requests sent at a steady rate, whether the ones before are answered or not. */
async function load(port: number): Promise<Float64Array> {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 })
  const latencies: number[] = []
  const total = requestsPerSecond * seconds
  const began = performance.now()
  await new Promise<void>((resolve, reject) => {
    let sent = 0
    const timer = setInterval(() => {
      const due = Math.min(total, ((performance.now() - began) / 1_000) * requestsPerSecond)
      for (; sent < due; sent++) {
        const at = performance.now()
        const first = makeItem(undefined)
        const chosen = [first, makeItem(first), makeItem(first)].map((n) => `item=product-${n}`)
        const path = `/recommendations?${chosen.join('&')}&limit=20`
        request({ host: '127.0.0.1', port, path, agent }, (incoming) => {
          incoming.resume().once('end', () => {
            latencies.push(performance.now() - at)
            if (latencies.length === total) resolve()
          })
        })
          .once('error', reject)
          .end()
      }
      if (sent >= total) clearInterval(timer)
    }, 1)
  })
  agent.destroy()
  return Float64Array.from(latencies).sort()
}

function percentile(sorted: Float64Array, share: number): string {
  return (sorted[Math.floor(sorted.length * share)] ?? 0).toFixed(2)
}

const recommending = server((query) => {
  const { items: given, limit } = parseRecommend(query, recommendParameters)
  return JSON.stringify(askChain(chain, { items: given, at: now, limit, isAllowed: () => true }))
})
const bare = server(() => '{}')
process.stdout.write(
  `index: ${clicks} clicks in ${buildMs.toFixed(0)} ms, longest piece ${longest.toFixed(1)} ms, ${bytes.toFixed(1)} bytes a click\n`,
)
for (const [name, http] of [
  ['bare', bare],
  ['recommend', recommending],
] as const) {
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  const { port } = http.address() as AddressInfo
  const sorted = await load(port)
  const shares = [0.5, 0.9, 0.99].map((share) => `p${share * 100} ${percentile(sorted, share)} ms`)
  process.stdout.write(`${name}: ${sorted.length} requests, ${shares.join(', ')}\n`)
  http.close()
}
