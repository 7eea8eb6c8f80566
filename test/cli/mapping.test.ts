import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { writeMappedConfig } from '../collect/mapping-scene.ts'
import { tagIds, tagPath } from '../collect/scene.ts'
import { runCommand, temporaryFolder } from '../fault/process.ts'

const cli = new URL('../../src/cli/millrace.ts', import.meta.url).pathname

test('millrace mapping test shows records, rows and errors for a file of requests', async () => {
  const folder = temporaryFolder()
  try {
    const config = writeMappedConfig(folder.path, 'event.itemId')
    const file = join(folder.path, 'requests.txt')
    const lines = [
      '# a comment',
      `https://shop.example${tagPath({ u: '(sitem_id!A!dprice!5!)' })}`,
      '{"eventType":"buy"}',
      '{"event":{"eventType":"buy","parameters":{"item_id":12345678901234567890}},"headers":{"X-Test":"a,b"}}',
      '{"url":"?v=1"}',
    ]
    writeFileSync(file, lines.join('\n'))
    const env = { MILLRACE_CONFIG: config }
    const { code, stdout, stderr } = await runCommand(['mapping', 'test', file, '--json'], env)
    assert.equal(code, 1)
    assert.match(stderr, /4 requests, 1 mapping: 2 failures/)
    const [first, second, third, fourth] = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    assert.deepEqual([first.line, first.mapping], [1, 'orders'])
    assert.deepEqual([first.record.item, first.record.price], ['A', 5])
    assert.deepEqual([first.row.eventType, first.row.itemId], ['pageView', 'A'])
    assert.equal(second.error.code, 'event_unmapped')
    assert.match(second.error.message, /the field item is required/)
    assert.deepEqual([third.record.item, third.record.agent], ['12345678901234567890', ['a', 'b']])
    assert.equal(fourth.error.code, 'parameter_missing')
    const shown = await runCommand(['mapping', 'test'], env)
    assert.equal(shown.code, 0)
    assert.match(shown.stdout, /^1 orders: an event with all members\n {3}record \{"visitor"/)
  } finally {
    folder.remove()
  }
})

test('millrace mapping test takes a sample for any source, as the collector would', async () => {
  const folder = temporaryFolder()
  try {
    const config = writeMappedConfig(
      folder.path,
      `[request.source, event.partyId, event.eventType, cookie(request, 'a'), event.parameters].join()`,
      `},
      sources: {
        app: { type: 'json', path: '/mob-event', partyIdParameter: 'who' },
        outlet: { type: 'browser', prefix: '/outlet/' },`,
    )
    const divolte = {
      event_type: 'buy',
      session_id: tagIds.session,
      event_id: 'one',
      is_new_party: false,
      is_new_session: false,
      client_timestamp_iso: '2023-11-14T22:13:20Z',
    }
    const body = `${JSON.stringify(divolte).slice(0, -1)},"parameters":{"n":12345678901234567890}}`
    const url = `/mob-event?who=${encodeURIComponent(tagIds.party)}`
    const cookies = { Cookie: 'a=b' }
    const lines = [
      `{"url":"${url}","event":${body}}`,
      `{"event":${body},"source":"app","headers":{"Sec-GPC":"1"}}`,
      `{"event":${body},"source":"app"}`,
      `https://shop.example/outlet${tagPath()}`,
      JSON.stringify({ url: tagPath(), headers: cookies }),
      JSON.stringify({ url: tagPath(), headers: { ...cookies, 'Sec-GPC': '1' } }),
      JSON.stringify({ url: tagPath({ g: '1' }), headers: cookies, source: 'outlet' }),
      JSON.stringify({ url: tagPath(), source: 'nosuch' }),
    ]
    const file = join(folder.path, 'requests.txt')
    writeFileSync(file, lines.join('\n'))
    const env = { MILLRACE_CONFIG: config }
    const { stdout, stderr } = await runCommand(['mapping', 'test', file, '--json'], env)
    assert.match(stderr, /8 requests, 1 mapping: 2 failures/)
    const results = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    const { party } = tagIds
    assert.deepEqual(
      results.map(({ record, error }) => record?.item ?? error.code),
      [
        `app,${party},buy,,{"n":12345678901234567890}`,
        'app,,buy,,{"n":12345678901234567890}',
        'parameter_invalid',
        `outlet,${party},pageView,,`,
        `browser,${party},pageView,b,`,
        'browser,,pageView,,',
        'outlet,,pageView,,',
        'config_invalid',
      ],
    )
    assert.match(results[7].error.message, /no source nosuch \(known: browser, json, app, outlet\)/)
  } finally {
    folder.remove()
  }
})

test('millrace mapping test --watch tries again when the mapping changes', async () => {
  const folder = temporaryFolder()
  const config = writeMappedConfig(folder.path, `'first'`)
  const child = spawn(process.execPath, [cli, 'mapping', 'test', '--watch'], {
    env: { ...process.env, MILLRACE_CONFIG: config },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = once(child, 'exit')
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output += String(chunk)
    })
  }
  const until = async (pattern: RegExp) => {
    while (!pattern.test(output)) await new Promise((resolve) => setTimeout(resolve, 50))
  }
  // Written again until it is seen: the file may not be watched yet.
  const changed = async (write: () => void, pattern: RegExp) => {
    output = ''
    write()
    const timer = setInterval(write, 2_000)
    await until(pattern).finally(() => clearInterval(timer))
  }
  const change = (item: string, pattern: RegExp) =>
    changed(() => writeMappedConfig(folder.path, item), pattern)
  try {
    await until(/"item":"first"/)
    await change(`'a', itme: 'b'`, /did you mean item\?/)
    await change(`'second'`, /"item":"second"/)
    // A file that the configuration imports, also once it could not be read.
    const part = join(folder.path, 'part.ts')
    const write = (text: string) => () => writeFileSync(part, text)
    write(`export const part = 'third'`)()
    await changed(
      () => writeMappedConfig(folder.path, 'part', '', `import { part } from './part.ts'`),
      /"item":"third"/,
    )
    await changed(write('export const part = {'), /part\.ts|Expected|Unexpected/)
    await changed(write(`export const part = 'fourth'`), /"item":"fourth"/)
    await changed(() => writeFileSync(join(folder.path, 'order.avsc'), '{'), /order\.avsc/)
  } finally {
    child.kill('SIGTERM')
    await ended
    folder.remove()
  }
})
