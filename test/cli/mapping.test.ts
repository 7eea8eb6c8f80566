import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { writeMappedConfig } from '../collect/mapping-scene.ts'
import { tagPath } from '../collect/scene.ts'
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
  const change = async (item: string, pattern: RegExp) => {
    const timer = setInterval(() => writeMappedConfig(folder.path, item), 2_000)
    await until(pattern).finally(() => clearInterval(timer))
  }
  try {
    await until(/"item":"first"/)
    await change(`'a', itme: 'b'`, /did you mean item\?/)
    await change(`'second'`, /"item":"second"/)
  } finally {
    child.kill('SIGTERM')
    await ended
    folder.remove()
  }
})
