import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parseConfig } from '../../src/config.ts'
import type { MapEvent } from '../../src/event/mapping.ts'

describe('sources and mappings in the configuration', () => {
  const map: MapEvent = () => ({})
  const refused = (input: object, message: RegExp) =>
    assert.throws(() => parseConfig(input), { code: 'config_invalid', message })

  test('have names, paths and topics that do not collide', () => {
    const json = { type: 'json', path: '/mob-event' }
    refused({ sources: { browser: json } }, /sources\.browser is there already/)
    refused({ sources: { a: { ...json, path: '/events' } } }, /\/events belongs to Millrace/)
    refused({ sources: { a: json, b: json } }, /sources\.b: \/mob-event belongs to sources\.a/)
    refused({ sources: { a: { type: 'browser', prefix: '/x' } } }, /it must look like \/shop\//)
    refused({ sources: { a: { ...json, path: '/favicon.ico' } } }, /belongs to Millrace/)
    refused({ mappings: { m: { schema: 'x', map, sources: ['app'] } } }, /there is no app/)
    refused({ mappings: { m: { schema: 'x', map: 5 } } }, /it must be a function/)
    refused(
      { mappings: { m: { schema: 'x', map, shcema: 1 } } },
      /mappings\.m\.shcema; did you mean schema/,
    )
    refused({ mappings: { m: { schema: 'x', map, topic: 'a' } } }, /needs log\.backend kafka/)
    const two = { m: { schema: 'x', map }, n: { schema: 'y', map, sources: ['json'] } }
    refused({ mappings: two }, /mappings\.m and n both map json/)
    const mixed = { m: { schema: 'x', map, sources: ['json'] } }
    const kafka = { framing: 'confluent', schemaRegistryUrl: 'http://127.0.0.1:1' }
    refused({ mappings: mixed, log: { backend: 'kafka' }, kafka }, /takes all sources/)
    const { sources, mappings } = parseConfig({
      sources: { app: json, shop: { type: 'browser', prefix: '/shop2/' } },
      mappings: { m: { schema: 'x', map, sources: ['app', 'shop'] } },
    })
    assert.deepEqual(sources['app'], { ...json, partyIdParameter: 'p', bodyBytesMax: 4_096 })
    assert.equal(sources['shop']?.type, 'browser')
    assert.equal(mappings['m']?.map, map)
  })

  test('may have the paths that Divolte takes: the root, and dots in names', () => {
    for (const path of ['/', '/mob.event', '/v1.2/e', '/.well-known/e', '/a..b']) {
      const { sources } = parseConfig({ sources: { app: { type: 'json', path } } })
      assert.equal((sources['app'] as { path: string }).path, path)
    }
    for (const path of ['', '//', '/a/', '/.', '/..', '/a/../b', '/a?b', '/a b']) {
      refused({ sources: { app: { type: 'json', path } } }, /sources\.app\.path/)
    }
    const dotted = { type: 'browser', prefix: '/v1.2/', eventSuffix: 'event.gif' } as const
    assert.ok(parseConfig({ tag: { eventSuffix: 'event.gif' }, sources: { shop: dotted } }))
    refused({ tag: { eventSuffix: '..' } }, /tag\.eventSuffix: no part of it may be/)
    refused({ sources: { shop: { ...dotted, prefix: '/../' } } }, /sources\.shop\.prefix/)
  })
})
