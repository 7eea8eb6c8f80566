import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { DuckDBInstance } from '@duckdb/node-api'
import { parse } from 'csv-parse/sync'
import { exportColumns } from '../../src/export/columns.ts'
import { csvHeader, csvLines } from '../../src/export/csv.ts'
import { exportPages, parseExport } from '../../src/export/export.ts'
import { partOfDay, writeParquet } from '../../src/export/parquet.ts'
import { dayMs } from '../../src/lib/clock.ts'
import type { Row } from '../../src/store/store.ts'
import { createMemoryStore, rowOf } from '../query/memory-store.ts'

const folder = mkdtempSync(join(tmpdir(), 'millrace-export-'))
after(() => rmSync(folder, { recursive: true, force: true }))

const now = Date.parse('2026-03-10T15:30:00.123Z')

const full = rowOf(1, now, {
  partyId: `0:iq8k:O'Brien "x", é🎉` as Row['partyId'],
  parameters: '{"n":9007199254740993,"text":"a\\nb"}',
  location: '=HYPERLINK("https://evil.example","x")\r\nsecond line',
  itemId: '',
  devicePixelRatio: 1.25,
  clientTime: 2 ** 52,
  importedAt: now + 1,
  firstInSession: true,
})
const empty = rowOf(2, -1, {
  partyId: null,
  sessionId: null,
  pageViewId: null,
  location: null,
  sequence: null,
  userAgent: null,
  devicePixelRatio: null,
  bot: 'Googlebot',
})

async function* pagesOf(...pages: Row[][]): AsyncGenerator<readonly Row[]> {
  yield* pages
}

async function askFile(sql: string): Promise<unknown[][]> {
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  try {
    return (await connection.runAndReadAll(sql)).getRowsJson()
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

describe('CSV', () => {
  it('gives every value back to another reader of RFC 4180', () => {
    const text = csvHeader + csvLines([full, empty])
    assert.ok(text.endsWith('\r\n'))
    const [first, second] = parse(text, { columns: true }) as Record<string, string>[]
    assert.equal(first?.['partyId'], full.partyId)
    assert.equal(first?.['parameters'], full.parameters)
    assert.equal(first?.['location'], full.location)
    assert.equal(first?.['eventTime'], '2026-03-10T15:30:00.123Z')
    assert.equal(first?.['day'], '2026-03-10')
    assert.equal(first?.['devicePixelRatio'], '1.25')
    assert.equal(first?.['firstInSession'], 'true')
    assert.equal(first?.['agentName'], 'Chrome')
    assert.equal(second?.['day'], '1969-12-31')
    assert.equal(second?.['partyId'], '')
  })

  it('tells an empty text from nothing, and leaves out a time that no calendar has', () => {
    const names = csvHeader.trimEnd().split(',')
    const row = { ...full, location: null, partyId: null, parameters: null, clientTime: 9e15 }
    const fields = csvLines([row]).trimEnd().split(',')
    assert.equal(fields[names.indexOf('itemId')], '""')
    assert.equal(fields[names.indexOf('location')], '')
    assert.equal(fields[names.indexOf('clientTime')], '')
  })

  it('has every field of the row but the position on the log', () => {
    const { position, agent, ...fields } = full
    const agentNames = Object.keys(agent).map(
      (name) => `agent${name[0]?.toUpperCase()}${name.slice(1)}`,
    )
    const expected = [...Object.keys(fields), ...agentNames, 'day'].sort()
    assert.deepEqual(exportColumns.map(({ name }) => name).toSorted(), expected)
    assert.ok(position)
  })
})

describe('Parquet', () => {
  it('gives every value back to DuckDB, times as instants', async () => {
    const file = join(folder, `o'file.parquet`)
    assert.equal(await writeParquet(file, pagesOf([full], [empty])), 2)
    const from = `read_parquet('${file.replaceAll("'", "''")}')`
    const rows = await askFile(
      `SELECT "partyId", parameters, location, "itemId", epoch_ms("eventTime"), epoch_ms("clientTime"),
        day::VARCHAR, "devicePixelRatio", "firstInSession", sequence, "agentName", epoch_ms("importedAt"), bot
       FROM ${from}`,
    )
    assert.deepEqual(rows, [
      [
        full.partyId,
        full.parameters,
        full.location,
        '',
        String(now),
        String(2 ** 52),
        '2026-03-10',
        1.25,
        true,
        '1',
        'Chrome',
        String(now + 1),
        null,
      ],
      [
        null,
        null,
        null,
        null,
        '-1',
        '-1',
        '1969-12-31',
        null,
        false,
        null,
        'Chrome',
        null,
        'Googlebot',
      ],
    ])
    const schema = await askFile(
      `SELECT name, logical_type FROM parquet_schema('${file.replaceAll("'", "''")}') WHERE name = 'eventTime'`,
    )
    assert.match(String(schema[0]?.[1]), /isAdjustedToUTC=1/)
    const compression = await askFile(
      `SELECT DISTINCT compression FROM parquet_metadata('${file.replaceAll("'", "''")}')`,
    )
    assert.deepEqual(compression, [['ZSTD']])
  })

  it('is read as one table by day from a folder', async () => {
    for (const [day, row] of [
      ['2026-03-09', rowOf(3, now - dayMs)],
      ['2026-03-10', full],
    ] as const) {
      const file = join(folder, `set-${partOfDay(day).replace('/', '-')}`)
      await writeParquet(file, pagesOf([row]))
    }
    const rows = await askFile(
      `SELECT day::VARCHAR, count(*)::INT FROM read_parquet('${folder}/set-*.parquet') GROUP BY ALL ORDER BY 1`,
    )
    assert.deepEqual(rows, [
      ['2026-03-09', 1],
      ['2026-03-10', 1],
    ])
  })

  it('needs no more memory than it is given, and leaves nothing beside the file', async () => {
    const file = join(folder, 'large.parquet')
    const random = (n: number): string => ((n * 2654435761) % 2 ** 32).toString(36).repeat(400)
    const pages = async function* (): AsyncGenerator<readonly Row[]> {
      for (let page = 0; page < 12; page++) {
        yield Array.from({ length: 5_000 }, (_, n) =>
          rowOf(page * 5_000 + n, now + page * 5_000 + n, { location: random(page * 5_000 + n) }),
        )
      }
    }
    // 60,000 rows of some 2,900 bytes: more than the memory.
    assert.equal(await writeParquet(file, pages(), 96 * 1024 * 1024), 60_000)
    const found = await askFile(
      `SELECT count(*)::INT, bool_and(is_next) FROM (
         SELECT file_row_number = row_number() OVER (ORDER BY "eventTime", "eventId") - 1 AS is_next
         FROM read_parquet('${file}', file_row_number = true))`,
    )
    assert.deepEqual(found, [[60_000, true]])
    assert.ok(!existsSync(`${file}.temp`))
  })

  it('leaves no half file when the store fails on the way', async () => {
    const file = join(folder, 'half.parquet')
    const failing = async function* (): AsyncGenerator<readonly Row[]> {
      yield [full]
      throw new Error('the store is away')
    }
    await assert.rejects(writeParquet(file, failing()), /the store is away/)
    assert.ok(!existsSync(file) && !existsSync(`${file}.temp`))
  })
})

describe('which events', () => {
  it('are those of a day, bots too unless they are left out', async () => {
    const store = createMemoryStore()
    store.rows.push(rowOf(1, now), rowOf(2, now - dayMs), rowOf(3, now, { bot: 'b' }))
    const count = async (query: string): Promise<number> => {
      let rows = 0
      for await (const page of exportPages(store, parseExport(query, now))) rows += page.length
      return rows
    }
    assert.equal(await count('format=csv&day=2026-03-10'), 2)
    assert.equal(await count('format=csv&day=2026-03-10&bots=exclude'), 1)
    assert.equal(await count('format=csv&last=2d'), 3)
    assert.equal(await count('format=csv&day=2026-03-08'), 0)
  })

  it('must be said rightly', () => {
    for (const query of [
      '',
      'format=xls',
      'format=csv&day=2026-02-30',
      'format=csv&day=today',
      'format=csv&day=2026-03-10T00:00:00Z',
      'format=csv&day=2026-03-10&last=30d',
      'format=csv&dai=2026-03-10',
    ]) {
      assert.throws(() => parseExport(query, now), { code: 'question_invalid' }, query)
    }
    assert.throws(() => parseExport('format=csv&last=9999d', now), { code: 'question_too_large' })
  })
})
