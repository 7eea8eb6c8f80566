import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { renderEvent } from '../../src/api/render.ts'
import { formatOf } from '../../src/import/file.ts'
import { makeRow } from '../store/rows.ts'
import { type Reading, readAll, sourceOf } from './scene.ts'

/** Files: compression, identity, what is broken as a whole, lines of JSON. */

const table = { format: 'tsv', columns: 'session=s,time=t' } as const

/** Digests make a text that gzip cannot shrink to nothing. */
function tableOf(rows: number): string {
  const lines = Array.from(
    { length: rows },
    (_, row) => `${((row * 2_654_435_761) >>> 0).toString(36)}\t${1_396_437_466 + row}`,
  )
  return `s\tt\n${lines.join('\n')}\n`
}

test('the format is known by the name, compressed or not', () => {
  const names = ['a.tsv', 'b.CSV.gz', 'c.ndjson.zst', 'd.jsonl', 'e.avro', 'f.json.gz', 'x.tab']
  assert.deepEqual(names.map(formatOf), ['tsv', 'csv', 'ndjson', 'ndjson', 'avro', 'ndjson', 'tsv'])
  for (const name of ['data', 'data.txt', 'data.gz']) {
    assert.throws(() => formatOf(name), { code: 'import_format' })
  }
})

test('compression is known by the bytes, and changes neither rows nor identity', async (t) => {
  const text = tableOf(5_000)
  const plain = await readAll(sourceOf(t, text, { ...table, name: 'a.gz' }))
  assert.equal(plain.events.length, 5_000)
  for (const bytes of [gzipSync(text), zstdCompressSync(text)]) {
    const again = await readAll(sourceOf(t, bytes, { ...table, name: 'b.tsv' }))
    assert.equal(again.log, plain.log)
    assert.deepEqual(again.events, plain.events)
  }
  const [first, second] = [gzipSync(text.slice(0, 999)), gzipSync(text.slice(999))]
  const members = await readAll(sourceOf(t, Buffer.concat([first, second]), table))
  assert.equal(members.log, plain.log, 'a gzip file may have several members')
})

test('other columns or other content are another log', async (t) => {
  const text = 's\tt\tu\na\t1396437466\t1396437466\n'
  const logs = [
    await readAll(sourceOf(t, text, { format: 'tsv', columns: 'session=s,time=t' })),
    await readAll(sourceOf(t, text, { format: 'tsv', columns: 'session=s,time=u' })),
    await readAll(sourceOf(t, text, { format: 'csv', columns: 'session=s,time=t' })),
    await readAll(sourceOf(t, `${text}b\t1\t1\n`, { format: 'tsv', columns: 'session=s,time=t' })),
  ].map(({ log }) => log)
  assert.equal(new Set(logs).size, 4)
  const same = await readAll(sourceOf(t, text, { format: 'tsv', columns: 'time=t,session=s' }))
  assert.equal(same.log, logs[0], 'the order of the map says nothing')
})

test('a truncated file says so, and each reading has the same rows before the break', async (t) => {
  const text = tableOf(12_000)
  const bytes = gzipSync(text)
  const whole = await readAll(sourceOf(t, text, table))
  for (const broken of [
    bytes.subarray(0, bytes.length >> 1),
    bytes.subarray(0, -4),
    zstdCompressSync(text).subarray(0, -1_000),
  ]) {
    const source = sourceOf(t, broken, table)
    const first = await readAll(source)
    const second = await readAll(source)
    assert.equal(first.fault?.code, 'import_broken')
    assert.ok(first.events.length > 3_000, `${first.events.length} rows`)
    assert.equal(second.log, first.log)
    assert.deepEqual(idsOf(second), idsOf(first))
    assert.equal(first.refused.length, 0, 'a row that was cut is none')
    // So the whole file, when it comes, finds them as its own.
    assert.deepEqual(idsOf(first), idsOf(whole).slice(0, first.events.length))
  }
})

function idsOf({ events }: Reading): string[] {
  return events.map(({ eventId }) => eventId)
}

test('a damaged file is refused: its bytes up to the damage may be others than were packed', async (t) => {
  const bytes = gzipSync(tableOf(12_000))
  for (const [at, length] of [
    [bytes.length >> 1, 64],
    [bytes.length - 8, 4],
  ] as const) {
    const damaged = Buffer.from(bytes)
    damaged.fill(0xff, at, at + length)
    await assert.rejects(readAll(sourceOf(t, damaged, table)), { code: 'import_damaged' })
  }
})

test('equal rows are as many events as there are rows', async (t) => {
  const { events } = await readAll(sourceOf(t, 's\tt\na\t1396437466\na\t1396437466\n', table))
  assert.equal(new Set(events.map(({ eventId }) => eventId)).size, 2)
})

test('a file that is not there, and one that is no text, are errors', async (t) => {
  const source = sourceOf(t, Buffer.from([0x1f, 0x8b, 8, 0, 1, 2, 3]), table)
  await assert.rejects(readAll(source), { code: 'import_broken' })
})

const exported = [
  makeRow({
    eventId: '0:page0',
    parameters: '{"a":12345678901234567890,"b":1.0,"t":",\\"parameters\\":1}"}',
    clockSource: 'wrong',
    clientTime: 1,
    receivedAt: Date.UTC(2026, 2, 10, 12, 0, 1),
    referer: 'https://x.example/?",\u2028',
    sequence: 7,
    devicePixelRatio: 1.25,
    viewportWidth: 390,
    firstInSession: true,
    bot: 'crawler',
    country: 'NL',
    userAgent: 'Mozilla/5.0',
  }),
  makeRow({ partyId: null, sessionId: null, privacy: 'gpc', eventId: 'x'.repeat(256) }),
]

test('what the API exports comes back as it was, ids, receipts and digits', async (t) => {
  const lines = exported.map((row) => `${renderEvent(row)}\n`).join('')
  const { events, refused } = await readAll(sourceOf(t, lines, { format: 'ndjson' }))
  assert.deepEqual(refused, [])
  const expected = exported.map(({ position: _position, importedAt: _at, ...event }) => event)
  assert.deepEqual(events, expected)
})

test('an exported line with a value that cannot be is refused, and names it', async (t) => {
  const line = renderEvent(exported[0] as (typeof exported)[0])
  const lines = [
    line.replace('"sequence":7', '"sequence":"7"'),
    line.replace('"clockSource":"wrong"', '"clockSource":"sundial"'),
    line.replace('"eventId":"0:page0"', '"eventId":null'),
    line.replace(/"eventTime":"[^"]*"/, '"eventTime":"never"'),
    line.slice(0, 100),
  ]
  const { refused } = await readAll(sourceOf(t, lines.join('\n'), { format: 'ndjson' }))
  assert.equal(refused.length, lines.length)
  const words = ['sequence', 'clockSource', 'event id', 'eventTime', 'no JSON']
  words.forEach((word, index) => {
    assert.ok(refused[index]?.reason.includes(word), `${refused[index]?.reason} names ${word}`)
  })
})

test('lines of JSON of others are read by the map, or by the names of fields', async (t) => {
  const lines = [
    '{"who": 17, "at": 1396437466.94, "what": {"item_id": 5, "deep": [1]}}',
    '[1]',
    'nonsense',
    '{"who": {"a": 1}, "at": 1396437466}',
    '{"who": "x"}',
    '',
    '{"__proto__": {"at": 1396437466}, "who": 1}',
  ].join('\n')
  const columns = 'party=who,time=at,parameters=what'
  const { events, refused } = await readAll(sourceOf(t, lines, { format: 'ndjson', columns }))
  assert.equal(events.length, 1)
  assert.equal(events[0]?.partyId, '17')
  assert.equal(events[0]?.eventTime, 1_396_437_466_940)
  assert.equal(events[0]?.parameters, '{"item_id":5,"deep":[1]}')
  assert.equal(events[0]?.itemId, '5')
  assert.deepEqual(
    refused.map(({ reason }) => reason.split(':')[0]),
    ['line 2', 'line 3', 'line 4', 'line 5', 'line 7'],
  )
  const own = '{"party":"p","time":"2026-03-10T12:00:00Z","eventType":"purchase"}'
  const byName = await readAll(sourceOf(t, own, { format: 'ndjson' }))
  assert.equal(byName.events[0]?.eventType, 'purchase')
})
