import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import {
  answerScript,
  buildTagScript,
  openTagScripts,
  tagModules,
} from '../../src/collect/script.ts'
import { parseConfig } from '../../src/config.ts'
import { isMillraceError } from '../../src/event/error.ts'

const script = await buildTagScript(parseConfig({}).tag)
const plainTag = script.etag
const gzipTag = plainTag.replace('"', '"gz+')
const brotliTag = plainTag.replace('"', '"br+')

describe('the built script', () => {
  test('is one text in three codings, tagged by its SHA-256', () => {
    assert.deepEqual(gunzipSync(script.gzip), script.body)
    assert.deepEqual(brotliDecompressSync(script.brotli), script.body)
    const digest = createHash('sha256').update(script.body).digest('base64')
    assert.equal(plainTag, `"${digest}"`)
  })

  test('is the same bytes for the same settings in any order, and others for other settings', async () => {
    const { tag } = parseConfig({})
    const reversed = Object.fromEntries(Object.entries(tag).reverse()) as typeof tag
    assert.equal((await buildTagScript(reversed)).etag, plainTag)
    const other = await buildTagScript({ ...tag, partyCookie: 'my "cookie"' })
    assert.notEqual(other.etag, plainTag)
    assert.ok(other.body.includes('my "cookie"'))
  })

  test('has nothing but ASCII, so that no page reads it in a wrong character set', () => {
    assert.ok(script.body.every((byte) => byte < 128))
  })

  test('builds side by side do not disturb each other', async () => {
    const { tag } = parseConfig({})
    const built = await Promise.all(
      ['a', 'b', 'c'].map((name) => buildTagScript({ ...tag, partyCookie: name })),
    )
    assert.equal(new Set(built.map(({ etag }) => etag)).size, 3)
  })
})

describe('a build', () => {
  test('leaves no process behind, which would hold the files of the log', async (t) => {
    if (process.platform !== 'linux') return t.skip('needs /proc: run it on Linux')
    await buildTagScript(parseConfig({}).tag)
    const deadline = performance.now() + 10_000
    while (childrenOfThisProcess().length > 0 && performance.now() < deadline) await sleep(10)
    assert.deepEqual(childrenOfThisProcess(), [])
  })

  function childrenOfThisProcess(): string[] {
    return readdirSync('/proc/self/task').flatMap((task) => {
      const text = readFileSync(`/proc/self/task/${task}/children`, 'utf8')
      return text.split(' ').filter((pid) => pid !== '')
    })
  }
})

describe('the answer to a request for the script', () => {
  const codingCases: readonly [accept: string | undefined, coding: string | undefined][] = [
    [undefined, undefined],
    ['', undefined],
    ['identity', undefined],
    ['gzip', 'gzip'],
    ['GZIP', 'gzip'],
    ['gzip, deflate, br, zstd', 'br'],
    ['gzip;q=1, br;q=0.1', 'br'],
    ['br;q=0, gzip', 'gzip'],
    ['br; q=0.0 , gzip;q=0', undefined],
    ['*', 'br'],
    ['*, br;q=0', 'gzip'],
    ['gzip, *;q=0', 'gzip'],
    ['br;q=nonsense, gzip', 'gzip'],
    ['brx, xgzip', undefined],
    ['identity;q=0', undefined],
  ]
  for (const [accept, coding] of codingCases) {
    test(`Accept-Encoding ${accept ?? 'absent'} gets ${coding ?? 'the plain script'}`, () => {
      const { status, headers, body } = answerScript(script, { 'accept-encoding': accept })
      const bodies = { br: script.brotli, gzip: script.gzip, plain: script.body }
      const etags = { br: brotliTag, gzip: gzipTag, plain: plainTag }
      const key = (coding ?? 'plain') as keyof typeof bodies
      assert.equal(status, 200)
      assert.equal(body, bodies[key])
      assert.deepEqual(headers, {
        'Content-Type': 'application/javascript',
        'Cache-Control': 'public, max-age=3600',
        ETag: etags[key],
        Vary: 'Accept-Encoding',
        ...(coding && { 'Content-Encoding': coding }),
        'Content-Length': String(bodies[key].length),
      })
    })
  }

  const conditions: readonly [ifNoneMatch: string, status: 200 | 304][] = [
    [gzipTag, 304],
    [`W/${gzipTag}`, 304],
    [`"other", ${gzipTag}`, 304],
    [`"a,b",W/${gzipTag} , "c"`, 304],
    ['*', 304],
    [plainTag, 200],
    [brotliTag, 200],
    ['"other"', 200],
    [gzipTag.slice(1, -1), 200],
    ['', 200],
  ]
  for (const [header, status] of conditions) {
    test(`If-None-Match ${header || 'empty'} gets ${status}`, () => {
      const answer = answerScript(script, { 'accept-encoding': 'gzip', 'if-none-match': header })
      assert.equal(answer.status, status)
      assert.equal(answer.headers['ETag'], gzipTag)
      assert.equal(answer.headers['Vary'], 'Accept-Encoding')
      assert.equal(answer.body.length, status === 304 ? 0 : script.gzip.length)
      assert.equal('Content-Length' in answer.headers, status === 200)
    })
  }
})

describe('the modules of the script', () => {
  const { tag } = parseConfig({})

  test('those of the settings, unless the address of the script says otherwise', async () => {
    const scripts = await openTagScripts({ ...tag, modules: ['spa'] })
    const etag = async (query: string) => (await scripts.answer(query, {})).headers['ETag']
    const etagOf = async (modules: typeof tag.modules) =>
      (await buildTagScript({ ...tag, modules })).etag
    assert.equal(await etag(''), await etagOf(['spa']))
    assert.equal(await etag('v=7'), await etagOf(['spa']))
    assert.equal(await etag('modules='), plainTag)
    assert.equal(await etag('v=7&modules=spa,delivery'), await etagOf(['delivery', 'spa']))
    assert.equal(await etag('modules=delivery%2Cspa,spa'), await etagOf(['delivery', 'spa']))
  })

  test('in any order are one script, which is built once', async () => {
    const scripts = await openTagScripts(tag)
    const first = await scripts.answer('modules=spa,consent', {})
    const second = await scripts.answer('modules=,consent,spa,consent', {})
    assert.equal(first.body, second.body)
  })

  for (const name of ['nonsense', 'Spa', '../spa', 'toString', '"]']) {
    test(`without ${name}: 404 with the list`, async () => {
      const scripts = await openTagScripts(tag)
      await assert.rejects(scripts.answer(`modules=spa,${name}`, {}), (error: Error) => {
        assert.ok(isMillraceError(error))
        assert.deepEqual([error.code, error.status], ['module_unknown', 404])
        assert.ok(error.message.includes(tagModules.join(', ')))
        return true
      })
    })
  }

  test('are those that the configuration knows, and no other', () => {
    const modules = [...tagModules]
    assert.deepEqual(parseConfig({ tag: { modules } }).tag.modules, modules)
    assert.throws(() => parseConfig({ tag: { modules: ['nonsense' as 'spa'] } }), /consent.*links/)
  })
})
