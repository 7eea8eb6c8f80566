import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { formatTable } from '../../src/cli/table.ts'
import type { PartyId } from '../../src/event/identifier.ts'
import { dayMs } from '../../src/lib/clock.ts'
import { now, sceneOf } from '../api/scene.ts'
import { rowOf } from '../query/memory-store.ts'

test('the commands that count print tables, or JSON a line for each row', async (t) => {
  const { api, store } = await sceneOf(t)
  const partyId = 'anna' as PartyId
  store.rows.push(
    rowOf(0, now - 7 * dayMs, { partyId, itemId: '17', country: 'NL' }),
    rowOf(1, now - 7 * dayMs + 90_000, { partyId, itemId: '1\u001b[2J8', eventType: 'purchase' }),
    rowOf(4, now, { partyId, referer: 'https://www.search.example/' }),
    rowOf(8, now),
    rowOf(12, now, { bot: 'crawler' }),
  )
  const texts: readonly [args: string[], lines: string[]][] = [
    [
      ['uniques'],
      ['day         parties', '2026-03-03        1', '2026-03-10        2', 'in all            2'],
    ],
    [['uniques', '--last', '1d', '--json'], ['{"day":"2026-03-10","parties":2}']],
    // Ids are data of visitors: no terminal may obey them.
    [
      ['top', 'items', '--limit', '1'],
      ['count  itemId', '    1  1\ufffd[2J8'],
    ],
    [
      ['top', 'pages', '--event-type', 'purchase', '--json'],
      ['{"page":"https://shop.example/","count":1}'],
    ],
    [
      ['top', 'referrers'],
      ['count  referrer', '    1  www.search.example'],
    ],
    [
      ['top', 'countries', '--country', 'nl'],
      ['count  country', '    1  NL'],
    ],
    [
      ['top', 'devices', '--by', 'system', '--bots', 'include'],
      ['count  device', '    5  Linux'],
    ],
    [
      ['sessions', '--party', 'anna'],
      [
        'day         sessions  events  bounces  mean seconds',
        '2026-03-03         1       2        1            90',
        '2026-03-10         1       1        1             0',
      ],
    ],
    [
      ['funnel', 'pageView', 'purchase'],
      [
        'parties  of the first  step',
        '      2       100.0 %  pageView',
        '      1        50.0 %  purchase',
      ],
    ],
    [['retention'], ['week        parties  +1', '2026-03-02        1  1', '2026-03-09        1']],
    [
      ['accounting', '--last', '1d', '--json'],
      ['{"day":"2026-03-10","sent":3,"stored":3,"rejected":0,"missing":0,"repeated":0}'],
    ],
  ]
  const results = await runSeveral(
    api.url,
    texts.map(([args]) => args),
  )
  for (const [index, [args, lines]] of texts.entries()) {
    const { code, stdout, stderr } = results[index] as Result
    assert.equal(code, 0, stderr)
    assert.deepEqual(stdout.split('\n'), [...lines, ''], args.join(' '))
  }
})

test('a command that counts says until when, where the store is behind', async (t) => {
  const { api, store } = await sceneOf(t)
  store.rows.push(rowOf(0, now, { itemId: '17' }))
  const { counts, top, uniques } = store
  Object.assign(store, {
    counts: (...[range, filter, onBehind]: Parameters<typeof counts>) => {
      onBehind?.(now - 60_000)
      return counts.call(store, range, filter)
    },
    uniques: (...[range, filter, onBehind]: Parameters<typeof uniques>) => {
      onBehind?.(now - 60_000)
      return uniques.call(store, range, filter)
    },
    top: (...[what, range, filter, limit, onBehind]: Parameters<typeof top>) => {
      onBehind?.(now - 60_000)
      return top.call(store, what, range, filter, limit)
    },
  })
  const commands = [['count'], ['uniques'], ['top', 'items', '--json'], ['sessions']]
  const results = await runSeveral(api.url, commands)
  const said = results.map(({ code, stderr }) => [code, stderr])
  const behind =
    'counted as of 2026-03-10T15:29:00.000Z; what was stored since is still being counted\n'
  assert.deepEqual(said, [
    [0, behind],
    [0, behind],
    [0, behind],
    [0, ''],
  ])
  assert.equal(results[2]?.stdout, '{"itemId":"17","count":1}\n')
})

test('a question that cannot be asked says why; one without an answer says so', async (t) => {
  const { api } = await sceneOf(t)
  const cases: readonly [args: string[], code: number, words: RegExp][] = [
    [['top', 'people'], 2, /Allowed choices are items, pages, referrers, countries, devices/],
    [['funnel', 'pageView'], 1, /2 to 10 event types .*\n.*\[question_invalid\]/],
    [['top', 'items', '--limit', '5000'], 1, /limit is at most 1000/],
    [['uniques', '--last', '4000d'], 1, /where 3660 days are the most/],
    [['sessions', '--item', '1'], 2, /unknown option '--item'/],
    [['retention'], 0, /^nothing in that span/],
  ]
  const results = await runSeveral(
    api.url,
    cases.map(([args]) => args),
  )
  for (const [index, [args, expected, words]] of cases.entries()) {
    const { code, stdout, stderr } = results[index] as Result
    assert.equal(code, expected, args.join(' '))
    assert.equal(stdout, '')
    assert.match(stderr, words)
  }
})

/** A server whose live stream is these lines and then its end, or one that answers JSON. */
async function serverOf(t: TestContext, answer: string | object): Promise<string> {
  const server = createServer((_request, response) => {
    if (typeof answer === 'string') {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).end(answer)
    } else response.writeHead(200).end(JSON.stringify(answer))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

test('events --follow says so when the stream drops events, or ends', async (t) => {
  const event = { eventTime: '2026-03-10T12:00:00.000Z', eventType: 'e\u009b2J', partyId: 'p' }
  const lines = `data: ${JSON.stringify({ ...event, itemId: null, location: null, remoteAddress: '', bot: null })}\n\n`
  const dropped = await serverOf(t, `${lines}event: dropped\ndata: {"missed":7}\n\n`)
  const [seen, json] = await runSeveral(dropped, [
    ['events', '--follow'],
    ['events', '--follow', '--json'],
  ])
  assert.equal(seen?.stdout, '2026-03-10T12:00:00.000Z  e\ufffd2J  p\n')
  assert.equal(json?.stdout.trim().split('\n').length, 1)
  // What a terminal would obey is escaped, and the same to who reads it as JSON.
  assert.match(json?.stdout ?? '', /"e\\u009b2J"/)
  assert.equal(JSON.parse(json?.stdout ?? '').eventType, event.eventType)
  for (const result of [seen, json]) {
    assert.equal(result?.code, 1)
    assert.match(result?.stderr ?? '', /7 events are not in it[\s\S]*\[live_dropped\]/)
  }
  const [ended] = await runSeveral(await serverOf(t, lines), [['events', '--follow']])
  assert.equal(ended?.code, 1)
  assert.match(ended?.stderr ?? '', /has ended the stream[\s\S]*\[api_unreachable\]/)
})

test('what dead letters say when they are refused again is not obeyed by a terminal', async (t) => {
  const error = { code: 'event_invalid', message: 'a \u001b]52;c;x\u0007 b', hint: '' }
  const failures = [{ position: { topic: 'rejected', partition: 0, offset: 1 }, error }]
  const url = await serverOf(t, { replayed: 0, failures })
  const [result] = await runSeveral(url, [['dead-letters', 'replay', '--all']])
  assert.equal(result?.code, 1)
  assert.equal(
    result?.stdout,
    '0 replayed, 1 refused again\n  rejected/0/1  event_invalid: a \ufffd]52;c;x\ufffd b\n',
  )
})

test('a table has its numbers to the right and its texts to the left', () => {
  const rows = [
    { name: 'a', count: 1_234_567 },
    { name: 'long\n', count: 8 },
  ]
  const text = formatTable(rows, [
    { title: 'name', value: ({ name }) => name },
    { title: 'n', value: ({ count }) => count },
    { title: 'again', value: ({ name }) => name },
  ])
  assert.equal(
    text,
    'name           n  again\na      1,234,567  a\nlong\ufffd          8  long\ufffd\n',
  )
})

interface Result {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs commands against the API at `url`; see several.ts. */
async function runSeveral(
  url: string,
  commands: readonly (readonly string[])[],
): Promise<Result[]> {
  const script = join(import.meta.dirname, 'several.ts')
  const env = { ...process.env, MILLRACE_API_URL: url }
  const given = [script, JSON.stringify(commands)]
  const { stdout, stderr } = await promisify(execFile)(process.execPath, given, { env })
  const errors = stderr.split(/\0\d+\n/)
  return [...stdout.matchAll(/([^\0]*)\0(\d+)\n/g)].map(([, text = '', code], index) => ({
    code: Number(code),
    stdout: text,
    stderr: errors[index] ?? '',
  }))
}
