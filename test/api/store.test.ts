import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import type { PartyId } from '../../src/event/identifier.ts'
import { encodeRejection, rejectionRecordSchema } from '../../src/event/record.ts'
import { dayMs } from '../../src/lib/clock.ts'
import { openEmbeddedStore } from '../../src/store/embedded/embedded.ts'
import type { DeadLetter, Row, Store } from '../../src/store/store.ts'
import { positionOf, rowOf } from '../query/memory-store.ts'
import { now, type Scene, sceneOf } from './scene.ts'

/** The same API over the store that people run. */
async function storedScene(t: TestContext): Promise<Omit<Scene, 'store'> & { store: Store }> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-api-'))
  const store = await openEmbeddedStore({ folder, memoryBytes: 128 * 1024 * 1024, threads: 1 })
  // Hooks run in the order of their registration: the API stops before its store is closed.
  const scene = await sceneOf(t, {}, { store })
  t.after(async () => {
    await store.close()
    await rm(folder, { recursive: true, force: true })
  })
  return { ...scene, store }
}

async function write(store: Store, rows: Row[], deadLetters: DeadLetter[] = []): Promise<void> {
  await store.write({ rows, deadLetters, positions: [] })
}

describe('the API over the embedded store', () => {
  it('answers what was written, field by field, with every digit', async (t) => {
    const { ask, store } = await storedScene(t)
    const row = rowOf(5, now, {
      partyId: '0:iq8k:<b>&"😀' as PartyId,
      location: 'javascript:alert(1)',
      parameters: '{"n":9007199254740993,"html":"<img src=x onerror=alert(1)>"}',
      itemId: '101321',
      devicePixelRatio: 1.25,
    })
    await write(store, [row])
    const { text, json } = await ask('/api/events')
    assert.ok(text.includes('"n":9007199254740993'))
    const { position, importedAt, agent, eventTime, receivedAt, clientTime, parameters, ...rest } =
      row
    const [event] = json.events
    for (const [name, value] of Object.entries(rest)) assert.deepEqual(event[name], value, name)
    assert.deepEqual(event.agent, { ...agent })
    for (const time of [event.eventTime, event.receivedAt, event.clientTime]) {
      assert.equal(time, new Date(eventTime).toISOString())
    }
    assert.equal(event.position, undefined, `${position.offset} is the log's, not the event's`)
    assert.equal(event.importedAt, undefined, `${importedAt} is no answer to a question`)
    assert.equal(receivedAt, clientTime)
    assert.equal(event.parameters.html, JSON.parse(parameters ?? '').html)
  })

  it('goes page by page without loss or repeat while events are written', async (t) => {
    for (const order of ['asc', 'desc']) {
      const { ask, store } = await storedScene(t)
      const rows = Array.from({ length: 300 }, (_, n) =>
        // Four events have one time each: pages end inside of them.
        rowOf(n, now - 600_000 + Math.floor(n / 4) * 1_000),
      )
      await write(store, rows)
      const seen: string[] = []
      let after = ''
      for (let page = 0; page < 100; page++) {
        const { json } = await ask(`/api/events?limit=37&order=${order}${after}`)
        for (const event of json.events) seen.push(`${event.eventId} ${event.partyId}`)
        const more = Array.from({ length: 5 }, (_, n) => rowOf(1_000 + page * 5 + n, now + page))
        const older = Array.from({ length: 5 }, (_, n) =>
          rowOf(5_000 + page * 5 + n, now - 700_000 + page),
        )
        await write(store, [...more, ...older])
        // Towards now the writer would be followed for ever.
        if (json.next === null || seen.length > 600) break
        after = `&after=${json.next}`
      }
      assert.equal(new Set(seen).size, seen.length, order)
      const missing = rows.filter((row) => !seen.includes(`${row.eventId} ${row.partyId}`))
      assert.equal(missing.length, 0, order)
    }
  })

  it('streams the same events as NDJSON, and counts as many', async (t) => {
    const { ask, store } = await storedScene(t)
    const rows = Array.from({ length: 3_000 }, (_, n) => rowOf(n, now - (n % 40) * dayMs))
    await write(store, rows)
    await write(store, rows.slice(0, 500))
    const headers = { accept: 'application/x-ndjson' }
    for (const last of ['30d', '60d', '90d']) {
      const { text } = await ask(`/api/events?last=${last}`, { headers })
      const ids = text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line).eventId)
      assert.equal(new Set(ids).size, ids.length)
      const { json } = await ask(`/api/counts?last=${last}`)
      const total = json.rows.reduce((sum: number, { count }: { count: number }) => sum + count, 0)
      assert.equal(ids.length, last === '30d' ? 2_250 : 3_000)
      assert.equal(total, ids.length)
    }
    const { json } = await ask('/api/health')
    assert.equal(json.ok, true)
    assert.equal(json.events, 3_000)
    assert.equal(json.lastStoredAt, '2026-03-10T15:30:00.000Z')
  })

  it('shows dead letters page by page', async (t) => {
    const { ask, store } = await storedScene(t)
    const letters = Array.from(
      { length: 25 },
      (_, n): DeadLetter => ({
        position: positionOf(n, 'rejected'),
        receivedAt: now - 1_000 + (n >> 2),
        code: n % 5 === 0 ? 'body_not_json' : 'parameter_missing',
        message: `number ${n}`,
        source: 'json',
        value: encodeRejection({
          receivedAt: now,
          code: '',
          message: '',
          source: 'json',
          body: `{"n":${n}}`,
          truncated: n === 3,
          remoteAddress: '',
          userAgent: null,
          privacy: null,
          country: null,
        }),
        schema: rejectionRecordSchema.fingerprint,
        replayable: n !== 3,
      }),
    )
    await write(store, [], letters)
    const bodies: string[] = []
    let next: string | null = ''
    while (next !== null) {
      const { json } = await ask(`/api/dead-letters?limit=7${next === '' ? '' : `&after=${next}`}`)
      for (const letter of json.deadLetters) bodies.push(letter.body)
      next = json.next
    }
    const expected = letters.map((_, n) => `{"n":${n}}`)
    assert.deepEqual(bodies.toSorted(), expected.toSorted())
    const { json } = await ask('/api/dead-letters?code=body_not_json')
    assert.equal(json.deadLetters.length, 5)
  })
})
