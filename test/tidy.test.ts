import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { test } from 'node:test'
import { buildTagScript, tagModules } from '../src/collect/script.ts'
import { parseConfig } from '../src/config.ts'

/** The style that a machine can check: the import table, dead files, lengths. */

const fileLinesMax = 400
const functionLinesMax = 70
/** gzip -9 of the script with these modules; docs/tag.md has the same. Divolte's own tag has 4,207. */
const tagBytesMax = 3_600
const usualTag = { modules: ['consent', 'delivery', 'spa'], bytesMax: 5_120 } as const
/** What each of the others adds to the core alone. */
const moduleBytesMax = {
  domain: 175,
  httponly: 190,
  pageviews: 100,
  attention: 400,
  campaign: 550,
  impressions: 700,
  links: 350,
  shelf: 1_050,
} as const

/** Which folder of src may import which; a name with a slash is one file. */
const importTable: Readonly<Record<string, readonly string[]>> = {
  lib: [],
  event: ['lib'],
  tag: ['event'],
  log: ['lib', 'event'],
  store: ['lib', 'event'],
  collect: ['lib', 'event', 'log/log.ts'],
  consume: [
    'lib',
    'event',
    'log/log.ts',
    'store/store.ts',
    'store/history.ts',
    'collect/enrich.ts',
    'collect/receipt.ts',
    'collect/json.ts',
  ],
  query: ['lib', 'event', 'store/store.ts', 'store/exposure.ts'],
  recommend: ['lib', 'event', 'query', 'store/store.ts', 'store/models.ts'],
  export: ['lib', 'event', 'query', 'store/store.ts'],
  import: [
    'lib',
    'event',
    'collect/enrich.ts',
    'collect/receipt.ts',
    'collect/json.ts',
    'store/store.ts',
  ],
  simulate: ['lib', 'event', 'tag/query.ts'],
  api: ['lib', 'event', 'query', 'recommend', 'export', 'log/log.ts', 'store/models.ts'],
  dashboard: ['api/answer.ts'],
  'config.ts': ['lib', 'event', 'config'],
  config: ['lib', 'event'],
  cli: ['*'],
}

/** Files that something outside of TypeScript's imports leads to. */
const entries = [
  'src/cli/millrace.ts',
  'src/config.ts',
  'src/collect/mapping/mapping.ts',
  'src/event/event.ts',
  'src/tag/script.ts',
  'src/tag/module.ts',
  ...tagModules.map((name) => `src/tag/${name}.ts`),
  'src/dashboard/page.tsx',
]

interface Import {
  readonly from: string
  readonly to: string
}

const sources = globSync('{src,test,script,benchmark,example}/**/*.{ts,tsx,js}').sort()
const texts = new Map(sources.map((file) => [file, readFileSync(file, 'utf8')]))
const imports = sources.flatMap((file) => importsOf(file))

function importsOf(file: string): Import[] {
  const text = texts.get(file) ?? ''
  const paths = text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)
  return [...paths].map(([, path = '']) => ({
    from: file,
    to: normalize(join(dirname(file), path)),
  }))
}

function folderOf(file: string): string {
  return file.split('/')[1] ?? ''
}

test('every import is one that the table allows', () => {
  const faults = imports
    .filter(({ from }) => from.startsWith('src/'))
    .filter(({ from, to }) => {
      const allowed = importTable[folderOf(from)]
      if (allowed === undefined) return true
      if (!to.startsWith('src/')) return true
      const inside = to.slice('src/'.length)
      if (allowed.includes('*') || folderOf(from) === folderOf(to)) return isOtherBackend(from, to)
      return !allowed.includes(folderOf(to)) && !allowed.includes(inside)
    })
    .map(({ from, to }) => `${from} → ${to}`)
  assert.deepEqual(faults, [])
})

/** Backends of one contract do not know each other; only cli/backends.ts knows which is in use. */
function isOtherBackend(from: string, to: string): boolean {
  const target = /^src\/(log|store)\/([^/]+)\/[^/]+$/.exec(to)
  if (target === null) return false
  if (folderOf(from) === 'cli') return from !== 'src/cli/backends.ts'
  return !from.startsWith(`src/${target[1]}/${target[2]}/`)
}

test('no file of src is dead', () => {
  const reached = new Set<string>()
  const visit = (file: string): void => {
    if (reached.has(file)) return
    reached.add(file)
    for (const { from, to } of imports) if (from === file) visit(to)
  }
  for (const entry of entries) if (texts.has(entry)) visit(entry)
  const dead = sources.filter((file) => file.startsWith('src/') && !reached.has(file))
  assert.deepEqual(dead, [])
})

test('there are no barrels', () => {
  assert.deepEqual(
    sources.filter((file) => file.endsWith('/index.ts')),
    [],
  )
})

test(`no file is over ${fileLinesMax} lines`, () => {
  const long = [...texts].filter(([, text]) => text.split('\n').length - 1 > fileLinesMax)
  assert.deepEqual(
    long.map(([file]) => file),
    [],
  )
})

test(`no function is over ${functionLinesMax} lines`, () => {
  const long = [...texts].flatMap(([file, text]) => {
    return file.startsWith('src/') ? longFunctions(text).map((name) => `${file} ${name}`) : []
  })
  assert.deepEqual(long, [])
})

/** By the formatter's layout: a function ends at the first `}` that stands as deep as its start. */
function longFunctions(text: string): string[] {
  const lines = text.split('\n')
  const start =
    /^(\s*)(?:export )?(?:default )?(?:async )?(?:function\*? (\w+)|(?:const (\w+).*=> \{$))/
  return lines.flatMap((line, index) => {
    const match = start.exec(line)
    if (match === null) return []
    const end = lines.findIndex((later, at) => at > index && later.startsWith(`${match[1]}}`))
    const length = end - index + 1
    return length > functionLinesMax ? [`${match[2] ?? match[3]} (${length} lines)`] : []
  })
}

test('the tag keeps its budgets, with each module and without', async (t) => {
  const { tag } = parseConfig({})
  const bytesOf = async (modules: typeof tag.modules) =>
    (await buildTagScript({ ...tag, modules })).gzip.length
  const core = await bytesOf([])
  const usual = await bytesOf([...usualTag.modules])
  t.diagnostic(`core ${core} bytes, with ${usualTag.modules} ${usual}`)
  assert.ok(core <= tagBytesMax)
  assert.ok(usual <= usualTag.bytesMax)
  const budgeted = [...usualTag.modules, ...Object.keys(moduleBytesMax)]
  assert.deepEqual(budgeted.sort(), [...tagModules].sort())
  for (const [name, bytesMax] of Object.entries(moduleBytesMax)) {
    const added = (await bytesOf([name as keyof typeof moduleBytesMax])) - core
    t.diagnostic(`${name} ${added} bytes`)
    assert.ok(added <= bytesMax, `${name}: ${added} bytes`)
  }
})

test('the checks above can fail', () => {
  const body = 'x\n'.repeat(functionLinesMax)
  assert.equal(longFunctions(`function big() {\n${body}}\n`).length, 1)
  assert.equal(longFunctions('function small() {\n}\n').length, 0)
  assert.ok(isOtherBackend('src/consume/consume.ts', 'src/log/embedded/embedded.ts'))
  assert.ok(imports.length > 50 && sources.length > 20)
})
