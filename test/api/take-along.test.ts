import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { emptyTemp, type TakeAlong } from '../../src/export/take-along.ts'
import { createMemoryStore, type MemoryStore, rowOf } from '../query/memory-store.ts'
import { assertShape, bearer, now, runToken, type Scene, sceneOf, until } from './scene.ts'

const erasure = {
  party: 'ab12',
  at: now - 1_000,
  deleted: { events: 3, repeats: 1, claims: 0, deadLetters: 2 },
  dropped: 4,
  finalAt: null,
}

interface TakeAlongScene extends Scene {
  readonly temp: string
  readonly erased: string[]
  readonly memory: MemoryStore
}

async function takeAlongScene(
  t: TestContext,
  over: Partial<TakeAlong> = {},
): Promise<TakeAlongScene> {
  const temp = mkdtempSync(join(tmpdir(), 'millrace-temp-'))
  const erased: string[] = []
  const memory = createMemoryStore()
  const store = {
    ...memory,
    events: memory.events,
    partyRows: async () => erasure.deleted,
    erasures: async () => [erasure, { ...erasure, finalAt: now }],
    snapshot: async (folder: string) => writeFileSync(join(folder, 'store.duckdb'), 'data'),
  }
  const takeAlong: TakeAlong = {
    temp,
    store,
    clock: () => now,
    version: '1.2.3',
    caughtUp: async () => {},
    schemaText: async () => undefined,
    erase: async (partyId) => {
      erased.push(partyId)
      return erasure
    },
    logExpiresAt: (at) => at + 1_000_000,
    ...over,
  }
  const scene = await sceneOf(t, {}, { takeAlong, store: memory })
  t.after(() => rmSync(temp, { recursive: true, force: true }))
  return { ...scene, temp, erased, memory }
}

describe('taking along over the API', () => {
  it('streams an export, and says what is wrong with the question before it begins', async (t) => {
    const { ask, memory } = await takeAlongScene(t)
    memory.rows.push(rowOf(1, now), rowOf(2, now, { bot: 'b' }))
    const csv = await ask('/api/export?format=csv&last=1d')
    assert.match(csv.headers['content-type'] ?? '', /^text\/csv/)
    assert.equal(csv.text.trimEnd().split('\r\n').length, 3)
    const lines = await ask('/api/export?format=ndjson&last=1d&bots=exclude')
    const events = await ask('/api/events?last=1d', { headers: { accept: 'application/x-ndjson' } })
    assert.equal(lines.text, events.text)
    const parquet = await ask('/api/export?format=parquet&last=1d')
    assert.equal(parquet.text.slice(0, 4), 'PAR1')
    for (const query of ['', '?format=xls', '?format=csv&day=x', '?format=csv&nonsense=1']) {
      assert.equal((await ask(`/api/export${query}`)).json.error.code, 'question_invalid')
    }
    memory.beforePage = () => {
      throw new Error('the disk is gone')
    }
    assert.equal((await ask('/api/export?format=csv')).status, 500)
  })

  it('makes one file at a time, and gives back its place and its disk when the client goes', async (t) => {
    const { ask, open, memory, temp } = await takeAlongScene(t)
    memory.rows.push(rowOf(1, now))
    let asked = 0
    const { promise: held, resolve: release } = Promise.withResolvers<void>()
    memory.beforePage = async () => {
      asked++
      await held
    }
    const answer = open('/api/export?format=parquet&last=1d')
    await until(() => asked > 0, 'the export to begin')
    assert.equal((await ask('/api/backup')).json.error.code, 'export_running')
    assert.equal((await ask('/api/export?format=parquet')).status, 409)
    release()
    const incoming = await answer
    incoming.destroy()
    await until(() => readdirSync(temp).length === 0, 'the file to go')
    memory.beforePage = () => {}
    assert.equal((await ask('/api/export?format=parquet&last=1d')).status, 200)
  })

  it('sends a backup of the length that it says, and leaves nothing behind', async (t) => {
    const { open, temp } = await takeAlongScene(t)
    const incoming = await open('/api/backup')
    let bytes = 0
    incoming.on('data', (chunk: Buffer) => {
      bytes += chunk.length
    })
    await once(incoming, 'end')
    assert.equal(bytes, Number(incoming.headers['content-length']))
    await until(() => readdirSync(temp).length === 0, 'the folder to go')
  })

  it('answers a receipt that says for each place what became of the party', async (t) => {
    const { ask, erased } = await takeAlongScene(t)
    const headers = bearer(runToken)
    const party = `o'neil "x" é/${'🎉'.repeat(100)}`
    const path = `/api/parties/${encodeURIComponent(party)}/erase`
    assert.equal((await ask(path, { method: 'POST' })).status, 401)
    const { json } = await ask(path, { method: 'POST', headers })
    assert.deepEqual(erased, [party])
    assertShape('erasure', json)
    assert.equal(json.state, 'pending')
    assert.deepEqual(
      json.places.map(({ place, state, rows }: Record<string, unknown>) => [place, state, rows]),
      [
        ['events', 'deleted', 3],
        ['repeats', 'deleted', 1],
        ['claims', 'deleted', 0],
        ['deadLetters', 'deleted', 2],
        ['log', 'expires', null],
        ['backups', 'yours', null],
      ],
    )
    // Ids of the tag have one form, however they are written.
    await ask('/api/parties/0%3A00IQ8K%3Aabc/erase', { method: 'POST', headers })
    assert.equal(erased[1], '0:iq8k:abc')
    const all = await ask('/api/erasures')
    assertShape('erasures', all.json)
    assert.deepEqual(
      all.json.erasures.map(({ state }: { state: string }) => state),
      ['pending', 'final'],
    )
    assert.equal((await ask('/api/erasures?nobody=1')).status, 400)
    assert.equal((await ask(path)).status, 404)
  })

  it('begins with an empty folder for its files, whatever a killed process left', async (t) => {
    const temp = mkdtempSync(join(tmpdir(), 'millrace-temp-'))
    t.after(() => rmSync(temp, { recursive: true, force: true }))
    mkdirSync(join(temp, 'half', 'store'), { recursive: true })
    await emptyTemp(temp)
    assert.deepEqual(readdirSync(temp), [])
  })

  it('is not served where nobody owns a store', async (t) => {
    const { ask } = await sceneOf(t)
    for (const path of ['/api/export?format=csv', '/api/backup', '/api/erasures']) {
      assert.equal((await ask(path)).status, 404)
    }
  })
})
