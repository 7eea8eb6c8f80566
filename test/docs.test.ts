import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { loadConfig } from '../src/config.ts'
import {
  freePort,
  runCommand,
  startMillrace,
  temporaryFolder,
  untilStored,
} from './fault/process.ts'

/** What the documents say is run, or at least looked up. */

const documents = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', ...globSync('docs/*.md')]
const texts = documents.map((file) => ({ file, text: readFileSync(file, 'utf8') }))
const readme = readFileSync('README.md', 'utf8')

function blocksOf(text: string, language: string): string[] {
  return [...text.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map(
    ([, block = '']) => block.trim(),
  )
}

test("README's curl is answered as README says, twice, and the commands below it show one event", async () => {
  const folder = temporaryFolder()
  const ports = { collectPort: await freePort(), apiPort: await freePort() }
  const running = await startMillrace({ folder: folder.path, ...ports })
  try {
    const curl = blocksOf(readme, 'sh').find((block) => block.startsWith('curl')) ?? ''
    const [promised = ''] = blocksOf(readme, 'json')
    for (let time = 0; time < 2; time++) {
      const script = curl.replace(':8290', `:${ports.collectPort}`)
      const { stdout, status, stderr } = spawnSync('sh', ['-c', script], { encoding: 'utf8' })
      assert.equal(status, 0, stderr)
      assert.deepEqual(JSON.parse(stdout), JSON.parse(promised))
    }
    await untilStored(running)
    const block = blocksOf(readme, 'sh').find((text) => text.includes('millrace -- events')) ?? ''
    const commands = [...block.matchAll(/millrace -- (.*?) +#/g)].map(([, command = '']) => command)
    assert.ok(commands.length >= 3)
    for (const command of commands.filter((text) => !text.includes('--follow'))) {
      const { code, stdout } = await runCommand(command.split(' '), { MILLRACE_DATA: folder.path })
      assert.equal(code, 0, command)
      assert.match(stdout, /purchase/)
      assert.equal(stdout.match(/purchase/g)?.length, 1)
    }
  } finally {
    await running.stop()
    folder.remove()
  }
})

test('every file that a document names is there', () => {
  const missing = texts.flatMap(({ file, text }) => {
    const links = [...text.matchAll(/\]\(([^)#:]+)\)/g)].map(([, path = '']) =>
      join(dirname(file), path),
    )
    const named = [...text.matchAll(/`((?:src|test|script|benchmark)\/[\w./-]+\.ts)`/g)].map(
      ([, path = '']) => path,
    )
    return [...links, ...named]
      .filter((path) => !existsSync(path))
      .map((path) => `${file}: ${path}`)
  })
  assert.deepEqual(missing, [])
})

test('every setting and variable that a document names exists', async () => {
  const config = (await loadConfig({ env: {}, folder: '.' })) as unknown as Record<string, object>
  const optional = ['tag.cookieDomain', 'api.token']
  const unknown = texts.flatMap(({ file, text }) => {
    const settings = [...text.matchAll(/`(collect|tag|api|log|store|consume)\.([a-z]\w+)`/g)]
    return settings
      .filter(([, section = '', key = '']) => !(key in (config[section] ?? {})))
      .map(([, section, key]) => `${section}.${key}`)
      .filter((name) => !optional.includes(name))
      .map((name) => `${file}: ${name}`)
  })
  assert.deepEqual(unknown, [])
})
