import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type {
  DeadLettersAnswer,
  DeadLettersReplayAnswer,
  EventsAnswer,
} from '../../src/api/answer.ts'
import {
  freePort,
  runCommand,
  runToken,
  startMillrace,
  temporaryFolder,
  untilStored,
} from '../fault/process.ts'

/** `millrace types`, and what the collector makes of the same schemas, as a user runs them. */

const addToBasket = {
  description: 'Something was put into the basket',
  type: 'object',
  required: ['item_id', 'quantity'],
  properties: {
    item_id: { type: 'string', minLength: 1, description: 'As in the catalogue' },
    quantity: { type: 'integer', minimum: 1 },
    price: { $ref: '#/$defs/price' },
    list: { enum: ['home', 'search', "sale's"] },
    tags: { type: 'array', items: { type: ['string', 'null'] } },
    place: { type: 'array', prefixItems: [{ type: 'number' }], items: false },
  },
  additionalProperties: false,
  $defs: { price: { anyOf: [{ type: 'number' }, { const: 'free' }] } },
}
const schemas: Readonly<Record<string, unknown>> = {
  addToBasket,
  search: { type: 'object', properties: { phrase: { type: 'string' } } },
  'shop%2Fopened': { type: 'object', maxProperties: 0, additionalProperties: false },
  tree: {
    type: 'object',
    required: ['name'],
    properties: { name: { type: 'string' }, children: { type: 'array', items: { $ref: '#' } } },
  },
}

/** Checked by tsc: a line after `@ts-expect-error` has to be wrong, every other one right. */
const page = `
import { createTag, type Tag } from '${resolve('src/tag/module.ts')}'
import type { TypedTag } from './millrace.d.ts'

divolte.signal('addToBasket', { item_id: 'teapot', quantity: 1 })
divolte.signal('addToBasket', { item_id: 'teapot', quantity: 1, price: 'free', list: "sale's", tags: ['a', null], place: [1] })
divolte.signal('search')
divolte.signal('search', { phrase: 'brass', results: 3 })
divolte.signal('shop/opened')
divolte.signal('tree', { name: 'a', children: [{ name: 'b', children: [] }] })
divolte.signal('pageView')
const id: string | null = divolte.signal('search')
const tag: TypedTag = createTag('https://events.example.com/')
tag.signal('search', { phrase: id ?? '' })
const shown: Promise<number> | undefined = divolte.shelf?.(document.body, {
  items: ['teapot'],
  limit: 3,
  draw: ({ itemId, reason, position }) => new Text(itemId + reason + position.toFixed()).parentElement,
})
void shown?.then((count) => count.toFixed())
// Whatever else the tag has, its types have as well.
type Missing = Exclude<keyof Tag, keyof TypedTag>
const missing: Missing[] = []
missing satisfies never[]

// @ts-expect-error a slip of the pen
divolte.signal('addToBaskett', { item_id: 'teapot', quantity: 1 })
// @ts-expect-error quantity is missing
divolte.signal('addToBasket', { item_id: 'teapot' })
// @ts-expect-error the parameters are missing
divolte.signal('addToBasket')
// @ts-expect-error quantity is a number
divolte.signal('addToBasket', { item_id: 'teapot', quantity: '1' })
// @ts-expect-error there is no such parameter
divolte.signal('addToBasket', { item_id: 'teapot', quantity: 1, colour: 'red' })
// @ts-expect-error there is no such list
divolte.signal('addToBasket', { item_id: 'teapot', quantity: 1, list: 'other' })
// @ts-expect-error a price is a number or free
divolte.signal('addToBasket', { item_id: 'teapot', quantity: 1, price: 'cheap' })
// @ts-expect-error a number stands there
divolte.signal('addToBasket', { item_id: 'teapot', quantity: 1, place: ['x'] })
// @ts-expect-error it takes none
divolte.signal('shop/opened', { at: 1 })
// @ts-expect-error a child has a name as well
divolte.signal('tree', { name: 'a', children: [{}] })
`

const folder = temporaryFolder()
const schemaFolder = join(folder.path, 'schemas')
const out = join(folder.path, 'millrace.d.ts')

function writeSchemas(given: Readonly<Record<string, unknown>>): void {
  for (const [name, schema] of Object.entries(given)) {
    writeFileSync(join(schemaFolder, `${name}.json`), JSON.stringify(schema))
  }
}

before(() => {
  mkdirSync(schemaFolder)
  writeSchemas(schemas)
})
after(() => folder.remove())

const environment = { MILLRACE_COLLECT_EVENT_SCHEMAS: schemaFolder }

describe('millrace types', () => {
  test('writes types by which tsc takes what the schemas take, and refuses what they refuse', async () => {
    const { code, stdout, stderr } = await runCommand(['types', '--out', out], environment)
    assert.equal(code, 0, stderr)
    assert.match(stdout, /4 event types/)
    assert.match(readFileSync(out, 'utf8'), /\/\*\* As in the catalogue \*\/\n {4}item_id: string/)
    writeFileSync(join(folder.path, 'page.ts'), page)
    const compilerOptions = {
      strict: true,
      noEmit: true,
      target: 'es2024',
      module: 'nodenext',
      lib: ['es2024', 'dom'],
      types: [],
      allowImportingTsExtensions: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
    }
    const project = join(folder.path, 'tsconfig.json')
    writeFileSync(project, JSON.stringify({ compilerOptions, files: ['page.ts', 'millrace.d.ts'] }))
    const tsc = spawnSync('node_modules/.bin/tsc', ['-p', project], { encoding: 'utf8' })
    assert.equal(tsc.stdout, '')
    assert.equal(tsc.status, 0)
  })

  test('--check fails once the schemas have changed, and says what to do', async () => {
    const args = ['types', '--schemas', schemaFolder, '--check', out]
    assert.equal((await runCommand(args, {})).code, 0)
    writeSchemas({ search: { type: 'object', required: ['phrase'] } })
    const { code, stderr } = await runCommand(args, {})
    writeSchemas(schemas)
    assert.equal(code, 1)
    assert.match(stderr, /the schemas have changed[\s\S]*millrace types --out/)
  })

  test('without schemas, and with one that is none, it says so and writes nothing', async () => {
    const none = await runCommand(['types'], {})
    assert.equal(none.code, 1)
    assert.match(none.stderr, /collect.eventSchemas is none/)
    const empty = await runCommand(['types', '--schemas', folder.path.concat('/nowhere')], {})
    assert.match(empty.stderr, /nowhere/)
    writeSchemas({ broken: { type: 'objet' } })
    const target = join(folder.path, 'never.d.ts')
    const broken = await runCommand(['types', '--schemas', schemaFolder, '--out', target], {})
    writeSchemas({ broken: true })
    assert.equal(broken.code, 1)
    assert.match(broken.stderr, /broken\.json/)
    assert.equal(existsSync(target), false)
  })
})

describe('a collector with schemas', () => {
  test('refuses a wrong event as a dead letter, and takes it once the schema is mended', async () => {
    const ports = { collectPort: await freePort(), apiPort: await freePort() }
    const options = {
      folder: join(folder.path, 'data'),
      ...ports,
      env: { ...environment, MILLRACE_COLLECT_WRONG_EVENTS: 'refuse' },
    }
    const send = async (url: string) => {
      const parameters = { item_id: 'teapot', quantity: 1, colour: 'red' }
      const body = JSON.stringify({ eventType: 'addToBasket', eventId: 'one', parameters })
      const headers = { 'Content-Type': 'application/json' }
      return await fetch(`${url}/events`, { method: 'POST', headers, body })
    }
    let running = await startMillrace(options)
    try {
      const { results } = (await (await send(running.collectorUrl)).json()) as {
        results: { status: string; error: { code: string; message: string } }[]
      }
      assert.equal(results[0]?.status, 'rejected')
      assert.equal(results[0]?.error.code, 'event_schema')
      assert.match(
        results[0]?.error.message ?? '',
        /addToBasket: .*additional properties: "colour"/,
      )
      await untilStored(running)
      await running.stop()
      writeSchemas({ addToBasket: { ...addToBasket, additionalProperties: true } })
      running = await startMillrace(options)
      await untilStored(running)
      const asked = async (path: string, init: RequestInit = {}) =>
        (await fetch(`${running.apiUrl}/api/${path}`, init)).json()
      const { deadLetters } = (await asked('dead-letters')) as DeadLettersAnswer
      assert.deepEqual(
        deadLetters.map(({ code }) => code),
        ['event_schema'],
      )
      const headers = {
        Authorization: `Bearer ${runToken(options.folder)}`,
        'Content-Type': 'application/json',
      }
      const replayed = (await asked('dead-letters/replay', {
        method: 'POST',
        headers,
        body: '{"all":true}',
      })) as DeadLettersReplayAnswer
      assert.equal(replayed.replayed, 1)
      await untilStored(running)
      const { events } = (await asked('events?last=1d&bots=include')) as EventsAnswer
      assert.deepEqual(
        events.map(({ eventId, parameters }) => [eventId, parameters]),
        [['one', { item_id: 'teapot', quantity: 1, colour: 'red' }]],
      )
    } finally {
      await running.stop()
      writeSchemas(schemas)
    }
  })
})
