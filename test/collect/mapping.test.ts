import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import avro from 'avsc'
import { createMapper } from '../../src/collect/mapping/mapper.ts'
import {
  cookie,
  digest,
  fromJson,
  headerValues,
  jsonPath,
  match,
  parameters,
  parameterText,
  parseBoolean,
  parseFloat32,
  parseFloat64,
  parseInt32,
  parseInt64,
  parseQuery,
  parseUri,
  seededDigest,
} from '../../src/collect/mapping/mapping.ts'
import { createRecordEncoder } from '../../src/collect/mapping/record.ts'
import { sampleEvents } from '../../src/collect/mapping/samples.ts'
import type { Event } from '../../src/event/event.ts'
import type { MapEvent, MappingRequest } from '../../src/event/mapping.ts'

const [sample] = sampleEvents()
const event = sample?.event as Event

function requestWith(headers: MappingRequest['headers']): MappingRequest {
  return { source: 'browser', headers }
}

describe('the pieces of mappings', () => {
  test('take URIs apart as java.net.URI does, and know what is none', () => {
    const parts = (text: string) => {
      const { scheme, host, port, path, query, fragment } = parseUri(text) ?? {}
      return [scheme, host, port, path, query, fragment]
    }
    assert.deepEqual(parts('HTTP://me@a-b.example:80/x%20y;z?q=%C3%A9#f%21'), [
      'HTTP',
      'a-b.example',
      80,
      '/x y;z',
      'q=é',
      'f!',
    ])
    assert.deepEqual(parts('http://[2001:db8::1]:8080?'), [
      'http',
      '[2001:db8::1]',
      8080,
      '',
      '',
      undefined,
    ])
    assert.deepEqual(parts('//my_host/x'), [
      undefined,
      undefined,
      undefined,
      '/x',
      undefined,
      undefined,
    ])
    assert.deepEqual(parts('mailto:me@example.org#x'), [
      'mailto',
      undefined,
      undefined,
      undefined,
      undefined,
      'x',
    ])
    assert.deepEqual(parts(''), [undefined, undefined, undefined, '', undefined, undefined])
    assert.equal(parseUri('/é?ü')?.rawQuery, 'ü')
    for (const bad of [
      '/a b',
      '/100%',
      '/%zz',
      'http://',
      '/<a>',
      '/a|b',
      '/\u00a0',
      'http://a/[',
      null,
    ]) {
      assert.equal(parseUri(bad), undefined, String(bad))
    }
  })

  test('read query strings in the order of their names, with every value', () => {
    const query = parseQuery('b=2&a=%C3%A9+x&b&=y&c=%ff')
    assert.deepEqual(
      [...(query ?? [])],
      [
        ['b', ['2', '']],
        ['a', ['é x']],
        ['', ['y']],
        ['c', ['\ufffd']],
      ],
    )
    assert.equal(parseQuery(undefined), undefined)
  })

  test('split headers at commas outside quotes, in any spelling of the name', () => {
    const request = requestWith({
      'x-test': 'a,, b , "c, \\"d\\""   e',
      empty: ' , ',
      cookie: 'n=1; m=a=b',
    })
    assert.deepEqual(headerValues(request, 'X-Test'), ['a', 'b', 'c, "d" e'])
    assert.deepEqual(headerValues(request, 'Empty'), [])
    assert.equal(headerValues(request, 'absent'), undefined)
    assert.equal(cookie(request, 'm'), 'a=b')
    assert.equal(cookie(request, 'N'), undefined)
    assert.equal(cookie(requestWith({}), 'n'), undefined)
  })

  test('match a whole text only', () => {
    assert.equal(match('ab', /a|ab/)?.[0], 'ab')
    assert.equal(match('xab', /ab/), undefined)
    assert.equal(match(null, /.*/), undefined)
    // The whole text, not a line of it; within the pattern the flag means what it says.
    assert.equal(match('a\nb', /a/m), undefined)
    assert.equal(match('a\nb', /a$\n^b/m)?.[0], 'a\nb')
    assert.equal(match('a\nb', /a$\n^b/), undefined)
    const global = /(?<n>\d)/g
    assert.equal(match('5', global)?.groups?.['n'], '5')
    assert.equal(match('5', global)?.groups?.['n'], '5')
  })

  test('digest a value as often as asked, and make the seeded digest of the original', () => {
    const party = '0:k1co3zug:yAGV1PjuaWIQEmZ1Yx~f8eHnB~Yr9Eqo'
    const expected = '68D4B8050600B58EEE716476F3AED60FA773251EF20B089148B9B136A137F209'
    for (let time = 0; time < 2; time++) {
      assert.equal(seededDigest('SHA-256', 'seed', party).toString('hex').toUpperCase(), expected)
    }
    assert.notEqual(seededDigest('SHA-256', 'other', party).toString('hex').toUpperCase(), expected)
    assert.equal(
      digest('MD5', 'a', null, undefined, 'b').toString('hex'),
      digest('md5', 'ab').toString('hex'),
    )
    assert.equal(digest('SHA-512/256', 'x').length, 32)
    assert.throws(() => digest('NONE', 'x'))
  })

  test('find parameters by name and by path, with all their digits', () => {
    const one = {
      ...event,
      parameters:
        '{"id":12345678901234567890,"list":[{"n":1},{"n":2}],"no":null,"t":"x","half":0.5}',
    }
    assert.equal(parameterText(one, 'id'), '12345678901234567890')
    assert.deepEqual(
      ['t', 'no', 'list', 'absent', 'half'].map((name) => parameterText(one, name)),
      ['x', 'null', '', '', '0.5'],
    )
    assert.equal(parameterText({ ...event, parameters: null }, 't'), undefined)
    const all = parameters(one)
    assert.deepEqual(jsonPath(all, '$.list[*].n'), [1, 2])
    assert.equal(jsonPath(all, '$.list[1].n'), 2)
    assert.equal(jsonPath(all, '$.absent'), undefined)
    assert.deepEqual(jsonPath(all, '$.absent[*]'), [])
    assert.equal(jsonPath(undefined, '$.list[*]'), undefined)
    assert.throws(() => jsonPath(all, 'list'))
  })

  test('convert what can be converted', () => {
    const texts = ['42', '-7', '2147483648', '9223372036854775808', '1.5', ' 3', '0x10', 'abc', '']
    assert.deepEqual(
      texts.map((text) => parseInt32(text)),
      [42, -7, ...new Array(7).fill(undefined)],
    )
    assert.equal(parseInt64('9223372036854775807'), 9_223_372_036_854_775_807n)
    assert.deepEqual(
      [parseInt64('2147483648'), parseInt64('9223372036854775808')],
      [2 ** 31, undefined],
    )
    assert.deepEqual(
      [parseInt32(1.5), parseInt32(2), parseInt64(2n ** 63n)],
      [undefined, 2, undefined],
    )
    assert.deepEqual(
      ['1e3', '.5', ' 3 ', 'Infinity', '1,5', ''].map((text) => parseFloat64(text)),
      [1_000, 0.5, 3, Number.POSITIVE_INFINITY, undefined, undefined],
    )
    assert.equal(parseFloat32('0.1'), Math.fround(0.1))
    assert.deepEqual(
      ['TRUE', 'yes', '', undefined].map((text) => parseBoolean(text)),
      [true, false, false, undefined],
    )
  })
})

/** Every kind of field, by whose names the cases below are. */
const schema = {
  type: 'record',
  name: 'All',
  fields: [
    { name: 'id', type: 'string' },
    { name: 'count', type: ['null', 'int'], default: null },
    { name: 'big', type: ['null', 'long'], default: null },
    { name: 'ratio', type: ['null', 'double'], default: null },
    { name: 'isIt', type: 'boolean', default: true },
    { name: 'raw', type: ['null', 'bytes'], default: null },
    { name: 'hash', type: ['null', { type: 'fixed', name: 'Four', size: 4 }], default: null },
    {
      name: 'kind',
      type: ['null', { type: 'enum', name: 'Kind', symbols: ['A', 'B'] }],
      default: null,
    },
    { name: 'list', type: ['null', { type: 'array', items: 'string' }], default: null },
    { name: 'map', type: ['null', { type: 'map', values: 'int' }], default: null },
    {
      name: 'inner',
      type: [
        'null',
        {
          type: 'record',
          name: 'Inner',
          fields: [
            { name: 'n', type: 'int' },
            { name: 's', type: 'string', default: 'x' },
          ],
        },
      ],
      default: null,
    },
    { name: 'any', type: ['null', 'string', 'long'], default: null },
  ],
} as const
const encoder = createRecordEncoder(JSON.stringify(schema))
const reader = avro.Type.forSchema(schema as never, { wrapUnions: 'never' as never })

function written(record: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return { ...(reader.fromBuffer(encoder.encode({ id: 'x', ...record })) as object) }
}

describe('a mapped record', () => {
  test('is what its schema says, absent fields by their defaults', () => {
    const bare = written({ isIt: null, count: undefined })
    assert.deepEqual([bare['isIt'], bare['count'], bare['any']], [true, null, null])
    const full = written({
      count: 5,
      big: 2n ** 40n,
      ratio: 0.5,
      isIt: false,
      raw: new Uint8Array([1, 2]),
      hash: Buffer.from('abcd'),
      kind: 'B',
      list: ['a'],
      map: { a: 1 },
      inner: { n: 1 },
      any: 7,
    })
    assert.deepEqual([full['count'], full['big'], full['isIt']], [5, 2 ** 40, false])
    assert.deepEqual([full['kind'], full['any']], ['B', 7])
    assert.deepEqual({ ...(full['inner'] as object) }, { n: 1, s: 'x' })
    assert.equal(written({ any: 'text' })['any'], 'text')
  })

  test('is refused with the name of the field that is wrong', () => {
    const cases: [Record<string, unknown>, RegExp][] = [
      [{ id: undefined }, /the field id is required and has no value/],
      [{ id: null }, /the field id is required and has no value/],
      [{ id: 5 }, /the field id is string and cannot be 5/],
      [{ count: 2 ** 31 }, /the field count is int and cannot be 2147483648/],
      [{ count: 1.5 }, /the field count is int/],
      [{ big: 2n ** 63n }, /the field big is long/],
      [{ ratio: '1' }, /the field ratio is double and cannot be "1"/],
      [{ hash: Buffer.alloc(3) }, /the field hash is 4 bytes/],
      [{ kind: 'C' }, /the field kind is one of A, B and cannot be "C"/],
      [{ list: ['a', 1] }, /the field list\[1\] is string and cannot be 1/],
      [{ map: { a: 'b' } }, /the field map\.a is int/],
      [{ inner: { s: 'x' } }, /the field inner\.n is required/],
      [{ inner: { n: 1, o: 2 } }, /there is no field inner\.o/],
      [{ any: true }, /the field any is any of its types and cannot be true/],
      [{ conut: 1 }, /there is no field conut; did you mean count\?/],
    ]
    for (const [record, message] of cases) {
      assert.throws(() => written(record), { code: 'event_unmapped', message })
    }
  })

  test("takes JSON by Divolte's rules; what does not fit is absent", () => {
    const taken = written({
      count: fromJson('77'),
      big: fromJson(12_345_678_901n),
      ratio: fromJson(['2.5']),
      kind: fromJson(['A']),
      list: fromJson(5),
      map: fromJson({ a: '1' }),
      inner: fromJson({ n: 2.9, unknown: true }),
      isIt: fromJson('false'),
    })
    assert.deepEqual([taken['count'], taken['big'], taken['ratio']], [77, 12_345_678_901, 2.5])
    assert.deepEqual([taken['kind'], taken['list'], taken['isIt']], ['A', ['5'], false])
    assert.deepEqual({ ...(taken['map'] as object) }, { a: 1 })
    assert.deepEqual({ ...(taken['inner'] as object) }, { n: 2, s: 'x' })
    const absent = written({
      count: fromJson('many'),
      kind: fromJson('C'),
      list: fromJson([{}]),
      inner: fromJson({ n: 'z' }),
      ratio: fromJson({}),
      isIt: fromJson('perhaps'),
    })
    for (const name of ['count', 'kind', 'list', 'inner', 'ratio']) assert.equal(absent[name], null)
    assert.equal(absent['isIt'], true)
    assert.throws(() => written({ id: fromJson({}) }), /the field id is required/)
  })
})

describe('mappings at the start', () => {
  const open = (map: MapEvent, text: string = JSON.stringify(schema)) =>
    createMapper([{ name: 'mine', schemaText: text, map }])

  test('are refused for what no event could make right', () => {
    const cases: [MapEvent, RegExp][] = [
      [() => ({}), /mappings\.mine: the field id is required and the mapping never sets it/],
      [() => ({ id: 1 }), /the field id is string and cannot be 1/],
      [({ eventId }) => ({ id: eventId, cuont: 1 }), /there is no field cuont; did you mean count/],
      [({ eventId, location }) => ({ id: location?.at(0) && eventId, count: 'x' }), /count is int/],
      [
        () => {
          throw new Error('no luck')
        },
        /it throws: no luck/,
      ],
      [(() => 'text') as never, /what it returns is no object/],
    ]
    for (const [map, message] of cases) {
      assert.throws(() => open(map), { code: 'config_invalid', message })
    }
    const good: MapEvent = ({ eventId }) => ({ id: eventId })
    assert.throws(() => open(good, '{"type":"int"}'), /the schema: .*it is no record but int/)
    assert.throws(() => open(good, '{"type":"record","name":"A"}'), /mappings\.mine: the schema/)
    const own = JSON.stringify({ ...schema, namespace: 'millrace' })
    assert.throws(() => open(good, own), /a record of ours/)
  })

  test('pass when only some events lack what they need', () => {
    const recordsOf = open(({ itemId }) => ({ id: itemId }))
    const request = requestWith({})
    assert.equal(recordsOf(event, request).length, 1)
    assert.throws(() => recordsOf({ ...event, itemId: null }, request), {
      code: 'event_unmapped',
      message: /mine: the field id is required/,
    })
    assert.deepEqual(
      open(({ corrupt, eventId }) => (corrupt ? null : { id: eventId }))(
        { ...event, corrupt: true },
        request,
      ),
      [],
    )
  })

  test('give each source its record, and copies their topics', () => {
    const map: MapEvent = ({ eventId }) => ({ id: eventId })
    const schemaText = JSON.stringify(schema)
    const recordsOf = createMapper([
      { name: 'a', schemaText, map, sources: ['app'] },
      { name: 'b', schemaText, map, topic: 'copies' },
    ])
    const shapes = (source: string) =>
      recordsOf(event, { source, headers: {} }).map(({ headers, copyTo }) => [
        headers !== undefined,
        copyTo,
      ])
    assert.deepEqual(shapes('app'), [
      [true, undefined],
      [true, 'copies'],
    ])
    assert.deepEqual(shapes('browser'), [
      [false, undefined],
      [true, 'copies'],
    ])
  })
})
