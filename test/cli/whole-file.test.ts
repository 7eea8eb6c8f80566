import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { writeWholeFile } from '../../src/cli/whole-file.ts'

const folder = mkdtempSync(join(tmpdir(), 'millrace-file-'))
after(() => rmSync(folder, { recursive: true, force: true }))

test('a file has its name when it is whole, and takes the place of an older one', async () => {
  const file = join(folder, 'a', 'b', 'whole.txt')
  for (const text of ['old', 'new'.repeat(100_000)]) {
    await writeWholeFile(
      file,
      (async function* () {
        yield text.slice(0, 5)
        yield Buffer.from(text.slice(5))
      })(),
    )
    assert.equal(readFileSync(file, 'utf8'), text)
  }
  assert.deepEqual(readdirSync(join(folder, 'a', 'b')), ['whole.txt'])
})

test('a source that breaks off leaves the older file as it was, and nothing beside it', async () => {
  const place = join(folder, 'broken')
  mkdirSync(place)
  const file = join(place, 'events.csv')
  writeFileSync(file, 'older')
  const source = async function* (): AsyncGenerator<string> {
    yield 'half'
    throw new Error('the connection broke off')
  }
  await assert.rejects(writeWholeFile(file, source()), /broke off/)
  assert.equal(readFileSync(file, 'utf8'), 'older')
  assert.deepEqual(readdirSync(place), ['events.csv'])
})

test('a folder in the place of the file is refused', async () => {
  const place = join(folder, 'taken')
  mkdirSync(join(place, 'inside'), { recursive: true })
  await assert.rejects(
    writeWholeFile(
      place,
      (async function* () {
        yield 'x'
      })(),
    ),
  )
  assert.deepEqual(readdirSync(place), ['inside'])
})

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  test(`${signal} leaves nothing behind`, async () => {
    const place = join(folder, signal)
    mkdirSync(place)
    const module = new URL('../../src/cli/whole-file.ts', import.meta.url)
    const script = `
      import { writeWholeFile } from '${module}'
      async function* endless() {
        for (;;) { yield 'line\\n'; process.stdout.write('.'); await new Promise((go) => setTimeout(go, 20)) }
      }
      await writeWholeFile('${join(place, 'export.csv')}', endless())`
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(child.stdout, 'data')
    assert.equal(readdirSync(place).length, 1)
    child.kill(signal)
    const [exit] = await once(child, 'exit')
    assert.equal(exit, code)
    assert.deepEqual(readdirSync(place), [])
  })
}
