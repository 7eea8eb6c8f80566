import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createConfluentFraming, nakedFraming } from '../../src/log/kafka/framing.ts'
import { createSchemaRegistry } from '../../src/log/kafka/registry.ts'
import { startRegistryServer } from './registry-server.ts'

/** `kafka/framing.ts` and `kafka/registry.ts`, which need no broker. */

const timeoutMs = 1_000

test('the confluent frame is a zero byte, the id in 4 bytes and the value', async (t) => {
  const server = await startRegistryServer()
  t.after(() => server.close())
  for (let id = 1; id <= 0x0102; id++) server.schemas.set(id, `"${id}"`)
  const registry = createSchemaRegistry({ url: server.url, timeoutMs })
  const framing = createConfluentFraming(registry, 'clicks-value')
  await framing.addSchema('abc', '{"type":"string"}')
  const framed = framing.wrap(Uint8Array.of(7, 8), 'abc')
  assert.equal(framed.toString('hex'), '00000001030708')
  const { value, schema = '' } = framing.unwrap(framed)
  assert.deepEqual([...value], [7, 8])
  assert.equal(await framing.schema(schema), '{"type":"string"}')
  assert.ok(server.asked.includes('POST /subjects/clicks-value/versions'))
})

test('a value that has no frame, or whose id nobody knows, has no schema', async (t) => {
  const server = await startRegistryServer()
  t.after(() => server.close())
  const framing = createConfluentFraming(createSchemaRegistry({ url: server.url, timeoutMs }), 's')
  for (const hex of ['', '00', '00000001', '0100000001ff']) {
    const bytes = Buffer.from(hex, 'hex')
    const { value, schema } = framing.unwrap(bytes)
    assert.equal(schema, '', hex)
    assert.deepEqual(value, bytes)
  }
  const { schema = '' } = framing.unwrap(Buffer.from('00ffffffff07', 'hex'))
  assert.equal(await framing.schema(schema), undefined)
  // A later question asks again: the schema may have been registered in the meantime.
  server.schemas.set(0xffffffff, '"long"')
  assert.equal(await framing.schema(schema), '"long"')
  assert.equal(await framing.schema('0123456789abcdef'), undefined)
  assert.throws(() => framing.wrap(Buffer.alloc(1), 'never added'), { code: 'schema_unknown' })
})

test('naked is the value and nothing else', () => {
  const bytes = Uint8Array.of(0, 0, 0, 0, 1, 9).subarray(1)
  assert.deepEqual([...nakedFraming.wrap(bytes, 'any')], [0, 0, 0, 1, 9])
  assert.deepEqual(nakedFraming.unwrap(Buffer.from([0, 1])), { value: Buffer.from([0, 1]) })
})

test('the registry is asked once for an id and once for a text', async (t) => {
  const server = await startRegistryServer()
  t.after(() => server.close())
  const registry = createSchemaRegistry({ url: `${server.url}/`, timeoutMs })
  const id = await registry.register('a/b', '"int"')
  await registry.register('a/b', '"int"')
  assert.equal(await registry.schema(id), '"int"')
  await registry.schema(id)
  assert.deepEqual(server.asked, ['POST /subjects/a%2Fb/versions', 'GET /schemas/ids/1'])
})

test('a registry that is away or broken is waited for, one that refuses is not', async (t) => {
  const server = await startRegistryServer()
  t.after(() => server.close())
  const registry = createSchemaRegistry({ url: server.url, timeoutMs })
  for (const status of [500, 503, 429, 408]) {
    server.failWith = status
    await assert.rejects(registry.schema(1), {
      code: 'registry_unavailable',
      message: RegExp(`${status}`),
    })
  }
  server.failWith = undefined
  await assert.rejects(registry.register('s', '"incompatible"'), {
    code: 'registry_refused',
    message: /409 Schema being registered is incompatible/,
  })
  await server.close()
  await assert.rejects(registry.schema(1), {
    code: 'registry_unavailable',
    message: /127\.0\.0\.1/,
  })
})

test('a user and a password in the address become basic authentication and are in no message', async (t) => {
  const right = `Basic ${Buffer.from('us er:p@ss').toString('base64')}`
  const server = await startRegistryServer(right)
  t.after(() => server.close())
  const url = server.url.replace('http://', 'http://us%20er:p%40ss@')
  assert.equal(await createSchemaRegistry({ url, timeoutMs }).register('s', '"int"'), 1)
  const wrong = createSchemaRegistry({
    url: server.url.replace('http://', 'http://us:secret@'),
    timeoutMs,
  })
  await assert.rejects(wrong.schema(1), (error: Error & { code: string }) => {
    assert.equal(error.code, 'registry_refused')
    assert.doesNotMatch(error.message, /secret/)
    return true
  })
})
