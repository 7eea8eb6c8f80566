import assert from 'node:assert/strict'
import { connect, createServer } from 'node:net'
import { describe, it } from 'node:test'
import { isMillraceError } from '../../src/event/error.ts'
import { encodeRejection, rejectionRecordSchema } from '../../src/event/record.ts'
import { dayMs } from '../../src/lib/clock.ts'
import type { StoredDeadLetter } from '../../src/store/store.ts'
import { positionOf, rowOf } from '../query/memory-store.ts'
import { assertShape, bearer, now, type Scene, sceneOf } from './scene.ts'

function letterOf(offset: number, over: Partial<StoredDeadLetter> = {}): StoredDeadLetter {
  const value = encodeRejection({
    receivedAt: now,
    code: 'parameter_missing',
    message: 'A required parameter is missing: e',
    source: 'tag',
    body: `p=0%3Aiq8k%3A${offset}&t=<b>`,
    truncated: false,
    remoteAddress: '192.0.2.0',
    userAgent: null,
    privacy: null,
    country: null,
  })
  return {
    position: positionOf(offset, 'rejected'),
    receivedAt: now,
    code: 'parameter_missing',
    message: 'A required parameter is missing: e',
    source: 'tag',
    value,
    schema: rejectionRecordSchema.fingerprint,
    replayable: true,
    replayedAt: null,
    ...over,
  }
}

describe('GET /api/counts', () => {
  it('answers events by day and event type', async (t) => {
    const { ask, store } = await sceneOf(t)
    for (let n = 0; n < 6; n++) store.rows.push(rowOf(n, now - (n % 3) * dayMs))
    store.rows.push(rowOf(9, now, { bot: 'crawler' }))
    const { json } = await ask('/api/counts?last=90d')
    assertShape('counts', json)
    assert.deepEqual(json.rows.at(-1), { day: '2026-03-10', eventType: 'pageView', count: 1 })
    assert.equal(json.rows.length, 6)
    const withBots = (await ask('/api/counts?last=1d&bots=include')).json
    assert.equal(
      withBots.rows.reduce((sum: number, row: { count: number }) => sum + row.count, 0),
      3,
    )
  })
})

describe('GET /api/dead-letters', () => {
  it('answers what was refused, readable, with its reason, place and hint', async (t) => {
    const { ask, store } = await sceneOf(t)
    store.letters.push(
      letterOf(1),
      letterOf(2, {
        source: 'log',
        code: 'record_undecodable',
        value: Buffer.of(0, 255),
        schema: '',
      }),
      letterOf(3, { code: 'from_the_future', schema: 'unknown', replayedAt: now }),
    )
    const { json } = await ask('/api/dead-letters')
    assertShape('deadLetters', json)
    const [third, second, first] = json.deadLetters
    assert.equal(first.body, 'p=0%3Aiq8k%3A1&t=<b>')
    assert.equal(first.bodyEncoding, 'text')
    assert.match(first.hint, /The tag sends/)
    assert.deepEqual(first.position, positionOf(1, 'rejected'))
    assert.equal(second.body, '00ff')
    assert.equal(second.bodyEncoding, 'hex')
    assert.equal(third.hint, null)
    assert.equal(third.bodyEncoding, 'hex')
    assert.equal(third.replayedAt, '2026-03-10T15:30:00.000Z')
  })

  it('reads a body by the schema of an older version', async (t) => {
    const text = rejectionRecordSchema.text.replace(/\{/, '{ ')
    const schemaText = async (fingerprint: string): Promise<string | undefined> =>
      fingerprint === 'older' ? text : undefined
    const { ask, store } = await sceneOf(t, {}, { schemaText })
    store.letters.push(letterOf(1, { schema: 'older' }))
    assert.equal((await ask('/api/dead-letters')).json.deadLetters[0].body, 'p=0%3Aiq8k%3A1&t=<b>')
  })

  it('goes page by page, and by code', async (t) => {
    const { ask, store } = await sceneOf(t)
    for (let n = 0; n < 25; n++) store.letters.push(letterOf(n, n % 5 === 0 ? { code: 'x' } : {}))
    const offsets: number[] = []
    let next: string | null = ''
    while (next !== null) {
      const { json } = await ask(`/api/dead-letters?limit=10${next === '' ? '' : `&after=${next}`}`)
      for (const letter of json.deadLetters) offsets.push(letter.position.offset)
      next = json.next
    }
    assert.deepEqual(
      offsets,
      Array.from({ length: 25 }, (_, n) => 24 - n),
    )
    const byCode = (await ask('/api/dead-letters?code=x&limit=2')).json
    assert.equal(byCode.deadLetters.length, 2)
    const foreign = await ask(`/api/dead-letters?after=${byCode.next}`)
    assert.equal(foreign.json.error.code, 'token_foreign')
  })
})

describe('GET /api/health', () => {
  it('answers how everything is', async (t) => {
    const { ask, store } = await sceneOf(t)
    store.rows.push(rowOf(1, now - 5_000))
    const { status, json } = await ask('/api/health')
    assert.equal(status, 200)
    assertShape('health', json)
    assert.deepEqual(
      { ...json },
      {
        ok: true,
        problem: null,
        lag: 0,
        consumer: 'running',
        lastStoredAt: '2026-03-10T15:29:55.000Z',
        lastWrittenAt: null,
        events: 1,
        duplicates: 0,
        deadLetters: 0,
        storeBytes: 0,
        fullestBucket: null,
        liveStreams: 0,
        collectorUrl: null,
        version: '1.2.3',
        now: '2026-03-10T15:30:00.000Z',
      },
    )
  })

  it('answers 503 with the same fields when events are not stored', async (t) => {
    const { ask } = await sceneOf(
      t,
      {},
      {
        health: async () => ({ lag: 7, consumer: 'waiting', problem: 'disk', collectorUrl: null }),
      },
    )
    const { status, json } = await ask('/api/health')
    assert.equal(status, 503)
    assertShape('health', json)
    assert.equal(json.ok, false)
    assert.equal(json.lag, 7)
    assert.equal(json.problem, 'disk')
  })

  it('answers also when neither store nor log can be asked', async (t) => {
    const fails = async (): Promise<never> => {
      throw new Error('gone')
    }
    const scene = await sceneOf(t, {}, { health: fails })
    scene.store.health = fails
    const { status, json } = await scene.ask('/api/health')
    assert.equal(status, 503)
    assertShape('health', json)
    assert.equal(json.problem, 'gone; gone')
    assert.equal(json.events, null)
  })
})

describe('every error', () => {
  async function codeOf(scene: Scene, path: string, ask = {}): Promise<[number, string]> {
    const { status, json, headers } = await scene.ask(path, ask)
    assertShape('error', json)
    assert.equal(headers['cache-control'], 'no-store')
    return [status, json.error.code]
  }

  it('has the status of the table, a code, a message and a hint', async (t) => {
    const scene = await sceneOf(t)
    assert.deepEqual(await codeOf(scene, '/api/events?limit=1001'), [400, 'question_invalid'])
    assert.deepEqual(await codeOf(scene, '/api/counts?last=9999d'), [422, 'question_too_large'])
    assert.deepEqual(await codeOf(scene, '/api/health?x=1'), [400, 'question_invalid'])
    assert.deepEqual(await codeOf(scene, '/api/live?last=1d'), [400, 'question_invalid'])
    assert.deepEqual(await codeOf(scene, '/api/nothing'), [404, 'not_found'])
    assert.deepEqual(await codeOf(scene, '/../etc/passwd'), [404, 'not_found'])
    assert.deepEqual(await codeOf(scene, '/%zz'), [400, 'question_invalid'])
    const message = (await scene.ask('/api/events?lastt=30d')).json.error.message
    assert.equal(
      message,
      'The question is not valid: unknown parameter "lastt"; did you mean last?',
    )
  })

  it('is answered also to bytes that are no HTTP', async (t) => {
    const { api } = await sceneOf(t)
    const socket = connect(api.port, api.host).setEncoding('utf8')
    socket.end('GARBAGE\r\n\r\n')
    let text = ''
    for await (const chunk of socket) text += chunk
    assert.match(text, /^HTTP\/1\.1 400 /)
    assert.match(text, /\{"error":\{"code":"question_invalid"/)
  })

  it('says which method a path has', async (t) => {
    const scene = await sceneOf(t)
    const wrong = await scene.ask('/api/replay')
    assert.equal(wrong.status, 405)
    assert.equal(wrong.headers.allow, 'POST')
    assert.equal(wrong.json.error.code, 'method_not_allowed')
    for (const method of ['HEAD', 'OPTIONS', 'PUT', 'DELETE']) {
      const own = { 'sec-fetch-site': 'same-origin' }
      const { status } = await scene.ask('/api/live', { method, headers: own })
      assert.equal(status, 405, method)
    }
  })

  it('of which we know nothing is told to the process, never to the client', async (t) => {
    const scene = await sceneOf(t)
    scene.store.beforePage = () => {
      throw new Error('secret /path/of/the/disk')
    }
    const { status, text, json } = await scene.ask('/api/events')
    assert.equal(status, 500)
    assert.equal(json.error.code, 'internal')
    assert.doesNotMatch(text, /secret|\.ts|:\d+:/)
    assert.match(String(scene.errors[0]), /secret/)
  })
})

describe('/api/openapi.json', () => {
  it('describes every route with its parameters, bodies and answers', async (t) => {
    const { ask } = await sceneOf(t)
    const { json } = await ask('/api/openapi.json')
    assert.equal(json.openapi, '3.1.0')
    assert.deepEqual(Object.keys(json.paths).sort(), [
      '/api/accounting',
      '/api/countries',
      '/api/counts',
      '/api/dead-letters',
      '/api/dead-letters/replay',
      '/api/devices',
      '/api/events',
      '/api/funnel',
      '/api/health',
      '/api/live',
      '/api/parties/{partyId}',
      '/api/recommendations/click-through',
      '/api/replay',
      '/api/retention',
      '/api/sessions',
      '/api/top-items',
      '/api/top-pages',
      '/api/top-referrers',
      '/api/uniques',
    ])
    const events = json.paths['/api/events'].get
    const names = events.parameters.map((parameter: { name: string }) => parameter.name)
    assert.deepEqual(names.sort(), [
      'after',
      'bots',
      'country',
      'device',
      'eventType',
      'from',
      'item',
      'last',
      'limit',
      'order',
      'party',
      'session',
      'to',
    ])
    const answer = events.responses['200'].content['application/json'].schema
    assert.deepEqual(answer.required, ['events', 'next'])
    const funnel = json.paths['/api/funnel'].get
    const [steps] = funnel.parameters
    assert.deepEqual([steps.name, steps.in], ['steps', 'query'])
    const party = json.paths['/api/parties/{partyId}'].get
    const inPath = party.parameters.filter((parameter: { in: string }) => parameter.in === 'path')
    assert.deepEqual(
      inPath.map(({ name, required }: { name: string; required: boolean }) => [name, required]),
      [['partyId', true]],
    )
    const replay = json.paths['/api/replay'].post
    assert.ok(replay.requestBody.content['application/json'].schema.required.includes('from'))
  })
})

describe('openApi', () => {
  it('refuses an address that others reach without a token', async (t) => {
    await assert.rejects(sceneOf(t, { host: '0.0.0.0' }), (thrown) =>
      isMillraceError(thrown, 'config_invalid'),
    )
  })

  it('says that a port is taken, or an address not ours', async (t) => {
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    t.after(() => taken.close())
    const address = taken.address()
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0
    await assert.rejects(sceneOf(t, { port }), (thrown) =>
      isMillraceError(thrown, 'address_in_use'),
    )
    const token = 'x'.repeat(32)
    await assert.rejects(sceneOf(t, { host: '192.0.2.1', token }), (thrown) =>
      isMillraceError(thrown, 'address_unavailable'),
    )
  })

  it('frees its port when it stops, also while answers are read slowly', async (t) => {
    const { api, open, store } = await sceneOf(t)
    const parameters = JSON.stringify({ text: 'x'.repeat(4_000) })
    for (let n = 0; n < 20_000; n++) store.rows.push(rowOf(n, now + n, { parameters }))
    const incoming = await open('/api/events', { headers: { accept: 'application/x-ndjson' } })
    incoming.on('error', () => {})
    await api.stop()
    const again = await sceneOf(t, { port: api.port })
    assert.equal((await again.ask('/api/health')).status, 200)
  })

  it('names the address as a URL that can be opened', async (t) => {
    const { api } = await sceneOf(t, { host: '::1' })
    assert.equal(api.url, `http://[::1]:${api.port}`)
    const everywhere = await sceneOf(t, { host: '0.0.0.0', token: 'x'.repeat(32) })
    assert.equal(everywhere.api.url, `http://127.0.0.1:${everywhere.api.port}`)
    assert.equal((await fetch(`${everywhere.api.url}/login`)).status, 200)
  })

  it('answers metrics in the format of Prometheus where it has some', async (t) => {
    const { ask } = await sceneOf(t, {}, { metrics: async () => 'millrace_x 1\n' })
    const { headers, text } = await ask('/api/metrics')
    assert.match(headers['content-type'] ?? '', /version=0\.0\.4/)
    assert.equal(text, 'millrace_x 1\n')
    assert.equal((await (await sceneOf(t)).ask('/api/metrics')).status, 404)
    assert.equal((await ask('/metrics')).text, text)
    const guarded = await sceneOf(t, { token: 'x'.repeat(32) }, { metrics: async () => text })
    for (const path of ['/metrics', '/api/metrics']) {
      assert.equal((await guarded.ask(path)).status, 401)
      assert.equal((await guarded.ask(path, { headers: bearer('x'.repeat(32)) })).status, 200)
    }
  })
})
