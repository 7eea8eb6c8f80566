import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { AccountingRow } from '../../src/store/store.ts'
import type { Tag } from '../../src/tag/tag.ts'
import { openBrowser, type TestBrowser } from '../browser.ts'
import {
  optionsBelow,
  type Running,
  startMillrace,
  temporaryFolder,
  untilStored,
} from '../fault/process.ts'
import { createRandom } from '../store/rows.ts'

/**
 * What the accounting says of a proxy that lies: it answers 2xx for events that it throws away, and
 * sends others twice.
 */

declare const divolte: Tag

const pageViews = 25
const eventsOfPageView = 12
const share = 0.05

interface Fate {
  sent: number
  discarded: number
  repeated: number
}

interface Proxy {
  readonly origin: string
  /** Since the last reset. */
  readonly fate: Fate
  /** Decides the fate of each event; none is touched by default. */
  decide: (parameters: URLSearchParams) => 'pass' | 'discard' | 'repeat'
  close(): Promise<void>
}

async function openProxy(collectorUrl: string): Promise<Proxy> {
  const proxy: { -readonly [Key in keyof Proxy]: Proxy[Key] } = {
    origin: '',
    fate: { sent: 0, discarded: 0, repeated: 0 },
    decide: () => 'pass',
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, search, searchParams } = new URL(request.url ?? '/', collectorUrl)
    if (pathname === '/page') {
      const modules = searchParams.get('modules') ?? ''
      response.writeHead(200, { 'Content-Type': 'text/html' })
      response.end(`<!doctype html><script src="/divolte.js?modules=${modules}"></script>`)
    } else if (pathname === '/csc-event') {
      const isGet = request.method === 'GET'
      const lines = isGet ? [search.slice(1)] : (await textOf(request)).split('\n')
      await forward(lines, isGet, response)
    } else {
      const answer = await fetch(`${collectorUrl}${request.url}`)
      response.writeHead(answer.status, {
        'Content-Type': answer.headers.get('Content-Type') ?? '',
      })
      response.end(Buffer.from(await answer.arrayBuffer()))
    }
  }

  async function forward(lines: string[], isGet: boolean, response: ServerResponse): Promise<void> {
    const decided = lines.map((line) => ({ line, fate: proxy.decide(new URLSearchParams(line)) }))
    const { fate } = proxy
    fate.sent += lines.length
    const again = decided.filter((one) => one.fate === 'repeat').map(({ line }) => line)
    const passed = decided.filter((one) => one.fate !== 'discard').map(({ line }) => line)
    fate.discarded += lines.length - passed.length
    fate.repeated += again.length
    await send(passed, isGet)
    // Later than the clock's millisecond: a receipt at the same time is the same receipt.
    if (again.length > 0) await sleep(20)
    await send(again, isGet)
    if (isGet) response.writeHead(200, { 'Content-Type': 'image/gif' }).end()
    else response.end(JSON.stringify({ results: lines.map(() => ({ status: 'accepted' })) }))
  }

  async function send(lines: readonly string[], isGet: boolean): Promise<void> {
    if (lines.length === 0) return
    const url = `${collectorUrl}/csc-event`
    const answer = isGet
      ? await fetch(`${url}?${lines[0]}`)
      : await fetch(url, {
          method: 'POST',
          headers: { 'Content-Type': 'text/plain' },
          body: lines.join('\n'),
        })
    assert.equal(answer.status, 200)
  }

  const server: Server = createServer((request, response) => void handle(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  proxy.origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return proxy
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

describe('the accounting beside a proxy that loses and repeats', () => {
  const folder = temporaryFolder()
  let browser: TestBrowser
  let millrace: Running
  let proxy: Proxy

  before(async () => {
    const options = await optionsBelow(folder.path, 'data')
    const env = {
      MILLRACE_COLLECT_REQUESTS_PER_SECOND_MAX: '0',
      // The most that `whenCommitted` waits for an answer.
      MILLRACE_TAG_EVENT_TIMEOUT_MS: '60000',
    }
    millrace = await startMillrace({ ...options, env })
    proxy = await openProxy(millrace.collectorUrl)
    browser = await openBrowser()
  })

  after(async () => {
    await browser?.close()
    await proxy?.close()
    await millrace?.stop()
    folder.remove()
  })

  /** The sums over all days. */
  async function accounting(): Promise<Omit<AccountingRow, 'day'>> {
    await untilStored(millrace)
    const answer = await fetch(`${millrace.apiUrl}/api/accounting?last=3d`)
    const { rows } = (await answer.json()) as { rows: AccountingRow[] }
    const sum = (name: Exclude<keyof AccountingRow, 'day'>): number =>
      rows.reduce((total, row) => total + row[name], 0)
    return {
      stored: sum('stored'),
      missing: sum('missing'),
      repeated: sum('repeated'),
      rejected: sum('rejected'),
    }
  }

  async function signalPageView(modules: string): Promise<void> {
    const page = browser.context.pages()[0] ?? (await browser.context.newPage())
    await page.goto(`${proxy.origin}/page?modules=${modules}`)
    await page.evaluate(async (count) => {
      for (let n = 1; n < count; n++) {
        divolte.signal(n === count - 1 ? 'last' : 'event', { item_id: n })
        // Some alone, some in a burst.
        if (n % 3 === 0) await new Promise((resolve) => setTimeout(resolve, 5))
      }
      await new Promise<void>((resolve) => divolte.whenCommitted(resolve))
    }, eventsOfPageView)
  }

  for (const modules of ['', 'delivery,pageviews']) {
    test(`missing and repeated are the proxy's own numbers, modules: ${modules || 'none'}`, async (t) => {
      const before = await accounting()
      const random = createRandom(modules.length + 1)
      proxy.decide = (parameters) => {
        const chance = random()
        if (chance < share) return parameters.get('t') === 'last' ? 'pass' : 'discard'
        return chance < 2 * share ? 'repeat' : 'pass'
      }
      Object.assign(proxy.fate, { sent: 0, discarded: 0, repeated: 0 })
      for (let view = 0; view < pageViews; view++) await signalPageView(modules)
      const { sent, discarded, repeated } = proxy.fate
      t.diagnostic(JSON.stringify(proxy.fate))
      assert.equal(sent, pageViews * eventsOfPageView)
      assert.ok(discarded > 0 && repeated > 0)
      const after = await accounting()
      const { stored, missing } = after
      assert.deepEqual(
        {
          stored: stored - before.stored,
          missing: missing - before.missing,
          repeated: after.repeated - before.repeated,
          rejected: after.rejected,
        },
        { stored: sent - discarded, missing: discarded, repeated, rejected: 0 },
      )
    })
  }

  test('a page view that is lost whole is missing too, where page views are numbered', async () => {
    const before = await accounting()
    proxy.decide = (parameters) => (parameters.get('l')?.endsWith('lost') ? 'discard' : 'pass')
    const page = browser.context.pages()[0] ?? (await browser.context.newPage())
    await page.goto(`${proxy.origin}/page?modules=pageviews,spa`)
    await page.evaluate(async () => {
      for (const route of ['/kept', '/lost', '/kept-too']) {
        history.pushState({}, '', route)
        divolte.signal('event')
      }
      await new Promise<void>((resolve) => divolte.whenCommitted(resolve))
    })
    const { stored, missing } = await accounting()
    assert.equal(stored - before.stored, 5)
    assert.equal(missing - before.missing, 1)
  })
})
