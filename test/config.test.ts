import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { tagModules } from '../src/collect/script.ts'
import { tagSchema } from '../src/config/tag.ts'
import {
  apiUrlOverride,
  type ConfigSources,
  configPath,
  loadConfig,
  parseConfig,
} from '../src/config.ts'

const folder = mkdtempSync(join(tmpdir(), 'millrace-config-'))
after(() => rmSync(folder, { recursive: true, force: true }))

function load(sources: Partial<ConfigSources> = {}): ReturnType<typeof loadConfig> {
  return loadConfig({ env: {}, folder, ...sources })
}

function writeConfig(name: string, text: string): string {
  writeFileSync(join(folder, name), text)
  return name
}

test('the tag has the modules that may be configured', () => {
  const { modules } = parseConfig({ tag: { modules: [...tagModules] } }).tag
  assert.deepEqual(modules, tagModules)
  const known = tagSchema.shape.modules.unwrap().element.options
  assert.deepEqual(known, [...tagModules])
})

test('the defaults are those that others rely on', async () => {
  const config = await load()
  assert.deepEqual([config.collect.host, config.collect.port], ['127.0.0.1', 8290])
  assert.deepEqual([config.api.host, config.api.port], ['127.0.0.1', 8291])
  assert.deepEqual([config.log.backend, config.store.backend], ['embedded', 'embedded'])
  assert.deepEqual([config.store.retentionDays, config.log.retentionDays], [92, 7])
  assert.equal(config.log.maxBytes, 10 * 1024 ** 3)
  assert.equal(config.collect.address, 'masked')
})

test('a flag wins over the environment, the environment over the file, the file over the default', async () => {
  const file = writeConfig(
    'order.config.ts',
    'export default { collect: { port: 1001, host: "::1", batchEventsMax: 7 }, store: { retentionDays: 5 } }',
  )
  const env = { MILLRACE_COLLECT_PORT: '1002', MILLRACE_RETENTION_DAYS: '6' }
  const config = await load({ file, env, flags: { collect: { port: 1003 } } })
  assert.equal(config.collect.port, 1003)
  assert.equal(config.store.retentionDays, 6)
  assert.equal(config.collect.host, '::1')
  assert.equal(config.collect.batchEventsMax, 7)
  assert.equal(config.collect.bodyBytesMax, 256 * 1024)
})

test('an empty environment variable is an empty list, as composition files write it', async () => {
  const config = await load({
    env: { MILLRACE_COLLECT_TRUSTED_PROXIES: '', MILLRACE_API_ALLOWED_HOSTS: 'one.example,' },
  })
  assert.deepEqual(config.collect.trustedProxies, [])
  assert.deepEqual(config.api.allowedHosts, ['one.example'])
})

test('every setting has an environment variable, numbers, lists and switches included', async () => {
  const config = await load({
    env: {
      MILLRACE_COLLECT_BODY_BYTES_MAX: '4096',
      MILLRACE_COLLECT_TRUSTED_PROXIES: '10.0.0.0/8, ::1',
      MILLRACE_COLLECT_COOKIELESS: 'true',
      MILLRACE_API_ALLOWED_HOSTS: 'millrace.example',
      MILLRACE_TAG_COOKIE_DOMAIN: 'example.com',
      MILLRACE_LOG: 'embedded',
      MILLRACE_DATA: '/somewhere',
      PATH: 'not ours',
    },
  })
  assert.equal(config.collect.bodyBytesMax, 4096)
  assert.deepEqual(config.collect.trustedProxies, ['10.0.0.0/8', '::1'])
  assert.equal(config.collect.cookieless, true)
  assert.deepEqual(config.api.allowedHosts, ['millrace.example'])
  assert.equal(config.tag.cookieDomain, 'example.com')
  assert.equal(config.data, '/somewhere')
})

test('an unknown name is refused with the nearest known one', async () => {
  const refused = async (sources: Partial<ConfigSources>, message: RegExp): Promise<void> => {
    await assert.rejects(load(sources), { code: 'config_invalid', message })
  }
  await refused(
    { flags: { colect: {} } as never },
    /unknown setting colect; did you mean collect\?/,
  )
  await refused({ flags: { collect: { prot: 1 } } as never }, /collect\.prot; did you mean port\?/)
  await refused(
    { env: { MILLRACE_API_TOKE: 'x' } },
    /MILLRACE_API_TOKE; did you mean MILLRACE_API_TOKEN\?/,
  )
  await refused({ env: { MILLRACE_NONSENSE_AT_ALL_XYZ: 'x' } }, /unknown environment variable/)
})

test('values out of range and combinations that cannot work are refused by name', () => {
  const cases: [input: object, message: RegExp][] = [
    [{ collect: { port: 70_000 } }, /collect\.port/],
    [{ collect: { bodyBytesMax: '1' } }, /collect\.bodyBytesMax/],
    [{ collect: { address: 'some' } }, /collect\.address/],
    [{ api: { host: '0.0.0.0' } }, /api\.token.*at least 32 characters/],
    [{ api: { host: '0.0.0.0', token: 'short' } }, /at least 32 characters/],
    [{ api: { port: 8290 } }, /both 8290/],
    [{ log: { maxBytes: 2_000 } }, /log\.maxBytes/],
    [
      { collect: { trustedProxies: ['proxy.example'] } },
      /no address or CIDR range: proxy\.example/,
    ],
    [{ tag: { name: '../x.js' } }, /tag\.name/],
  ]
  for (const [input, message] of cases) {
    assert.throws(
      () => parseConfig(input),
      { code: 'config_invalid', message },
      JSON.stringify(input),
    )
  }
  assert.ok(parseConfig({ api: { host: '0.0.0.0', token: 'x'.repeat(32) } }))
})

test("the documents' example works from any folder", async () => {
  const docs = readFileSync(new URL('../docs/configuration.md', import.meta.url), 'utf8')
  const example = /```ts\n([\s\S]*?)```/.exec(docs)?.[1] ?? ''
  assert.match(example, /millrace\/config/)
  const config = await load({ file: writeConfig('example.config.ts', example) })
  assert.equal(config.data, '/var/lib/millrace')
  assert.deepEqual(config.collect.trustedProxies, ['10.0.0.0/8'])
})

test('addresses that are set to nothing, as compose files do, are not set', async () => {
  const env = { MILLRACE_API_URL: '', MILLRACE_CONFIG: '' }
  assert.equal(apiUrlOverride(env), undefined)
  assert.equal(configPath({ folder, env }), join(folder, 'millrace.config.ts'))
  assert.equal((await load({ env })).data, (await load()).data)
})

test('a file that is absent, broken or exports nothing is refused by its name', async () => {
  await assert.rejects(load({ file: 'absent.config.ts' }), /absent\.config\.ts does not exist/)
  const broken = writeConfig('broken.config.ts', 'export default {')
  await assert.rejects(load({ file: broken }), /broken\.config\.ts/)
  const empty = writeConfig('empty.config.ts', 'export const config = {}')
  await assert.rejects(load({ file: empty }), /no default export/)
})

test('the configuration is frozen', async () => {
  const config = await load()
  assert.throws(() => {
    ;(config.collect as { port: number }).port = 1
  }, TypeError)
  assert.throws(() => {
    ;(config.collect.allowedOrigins as string[]).push('x')
  }, TypeError)
})
