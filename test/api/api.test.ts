import assert from 'node:assert/strict'
import { connect, createServer } from 'node:net'
import { describe, it } from 'node:test'
import { z } from 'zod'
import { type AnswerName, answerSchemas } from '../../src/api/schema.ts'
import { isMillraceError } from '../../src/event/error.ts'
import type { PartyId } from '../../src/event/identifier.ts'
import { encodeRejection, rejectionRecordSchema } from '../../src/event/record.ts'
import { dayMs } from '../../src/lib/clock.ts'
import type { StoredDeadLetter } from '../../src/store/store.ts'
import { positionOf, rowOf } from '../query/memory-store.ts'
import { now, type Scene, sceneOf } from './scene.ts'

function assertShape(name: AnswerName, answer: unknown): void {
  const schema = z.fromJSONSchema(answerSchemas[name] as Parameters<typeof z.fromJSONSchema>[0])
  const result = schema.safeParse(answer)
  assert.ok(result.success, JSON.stringify(result.error?.issues))
}

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

describe('GET /api/events', () => {
  it('answers events in the order of their time, with every field and ISO times', async (t) => {
    const { ask, store } = await sceneOf(t)
    store.rows.push(
      rowOf(1, now - 1_000, { parameters: '{"item_id":101321}', itemId: '101321' }),
      rowOf(0, now - 2_000, { partyId: null, sessionId: null, privacy: 'gpc' }),
    )
    const { status, headers, json } = await ask('/api/events')
    assert.equal(status, 200)
    assert.equal(headers['content-type'], 'application/json; charset=utf-8')
    assert.equal(headers['cache-control'], 'no-store')
    assertShape('events', json)
    assert.equal(json.next, null)
    assert.deepEqual(
      json.events.map((event: { eventTime: string }) => event.eventTime),
      ['2026-03-10T15:29:58.000Z', '2026-03-10T15:29:59.000Z'],
    )
    assert.equal(json.events[0].partyId, null)
    assert.equal(json.events[0].privacy, 'gpc')
    assert.equal(json.events[1].itemId, '101321')
    assert.deepEqual(json.events[1].parameters, { item_id: 101321 })
    assert.equal(json.events[1].agent.osFamily, 'Linux')
  })

  it('keeps every digit of a number, and shows text that is no JSON as text', async (t) => {
    const { ask, store } = await sceneOf(t)
    const texts = [
      '{"n":9007199254740993,"deep":[12345678901234567890.125]}',
      '{"a":\n 1e400,\r\n"__proto__":{"x":1}}',
      'not JSON "',
      '"\\ud83d\\ude00 </script>\u2028"',
    ]
    texts.forEach((parameters, n) => {
      store.rows.push(rowOf(n, now + n, { parameters }))
    })
    const { text, json } = await ask('/api/events')
    assert.ok(
      text.includes('"parameters":{"n":9007199254740993,"deep":[12345678901234567890.125]}'),
    )
    assert.ok(text.includes('1e400'))
    assert.equal(json.events[2].parameters, 'not JSON "')
    assert.equal(json.events[3].parameters, '😀 </script>\u2028')
  })

  it('shows a client clock that no calendar has as null', async (t) => {
    const { ask, store } = await sceneOf(t)
    store.rows.push(rowOf(0, now, { clockSource: 'wrong', clientTime: 9e15 }))
    const { json } = await ask('/api/events')
    assert.equal(json.events[0].clientTime, null)
    assertShape('events', json)
  })

  it('goes on where the page before ended, without loss or repeat while events arrive', async (t) => {
    const { ask, store } = await sceneOf(t)
    for (let n = 0; n < 45; n++) store.rows.push(rowOf(n, now - 100_000 + n * 1_000))
    const seen: string[] = []
    let after = ''
    let pages = 0
    while (pages < 20) {
      const { json } = await ask(`/api/events?limit=10&order=desc${after}`)
      for (const event of json.events) seen.push(event.eventId)
      pages++
      // Behind the cursor and before it.
      store.rows.push(rowOf(1_000 + pages, now + pages), rowOf(2_000 + pages, now - 200_000))
      if (json.next === null) break
      after = `&after=${json.next}`
    }
    assert.equal(new Set(seen).size, seen.length)
    const first = Array.from({ length: 45 }, (_, n) => rowOf(n, now).eventId)
    assert.deepEqual(
      first.filter((id) => !seen.includes(id)),
      [],
    )
    assert.ok(
      !seen.includes(rowOf(1_001, now).eventId),
      'what arrived in front is another question',
    )
  })

  it('says that nothing follows when the last page is full', async (t) => {
    const { ask, store } = await sceneOf(t)
    for (let n = 0; n < 20; n++) store.rows.push(rowOf(n, now + n))
    const first = (await ask('/api/events?limit=10')).json
    const second = (await ask(`/api/events?limit=10&after=${first.next}`)).json
    assert.equal(second.events.length, 10)
    assert.equal(second.next, null)
  })

  it('leaves bots out unless asked, and filters', async (t) => {
    const { ask, store } = await sceneOf(t)
    const party = '0:a:x' as PartyId
    store.rows.push(
      rowOf(0, now, { bot: 'crawler' }),
      rowOf(1, now, { partyId: party, itemId: 'ä 1', eventType: 'a&b' }),
      rowOf(2, now - 40 * dayMs),
    )
    const count = async (query: string): Promise<number> =>
      (await ask(`/api/events?${query}`)).json.events.length
    assert.equal(await count(''), 1)
    assert.equal(await count('bots=include'), 2)
    assert.equal(await count('last=60d'), 2)
    assert.equal(await count('party=0:a:x&eventType=a%26b&item=%C3%A4+1'), 1)
    assert.equal(await count('party=0:a:y'), 0)
  })

  it('ends a page early when its events are very large, and goes on', async (t) => {
    const { ask, store } = await sceneOf(t)
    const parameters = JSON.stringify({ text: 'x'.repeat(1024 * 1024) })
    for (let n = 0; n < 20; n++) store.rows.push(rowOf(n, now + n, { parameters }))
    const first = (await ask('/api/events?limit=20')).json
    assert.ok(first.events.length < 20 && first.events.length > 10)
    const second = (await ask(`/api/events?limit=20&after=${first.next}`)).json
    assert.equal(first.events.length + second.events.length, 20)
    assert.equal(second.next, null)
  })
})

describe('GET /api/events as NDJSON', () => {
  const lines = { headers: { accept: 'application/x-ndjson' } }

  it('streams every event of the range, a line each, whatever the page size', async (t) => {
    const { ask, store } = await sceneOf(t, { eventsMax: 10 })
    for (let n = 0; n < 2_345; n++) {
      store.rows.push(rowOf(n, now + n, { parameters: '{\n"n":9007199254740993}' }))
    }
    const { status, headers, text } = await ask('/api/events', lines)
    assert.equal(status, 200)
    assert.match(headers['content-type'] ?? '', /^application\/x-ndjson/)
    const rows = text.trimEnd().split('\n')
    assert.equal(rows.length, 2_345)
    assert.equal(new Set(rows.map((row) => JSON.parse(row).eventId)).size, 2_345)
    assert.ok(rows.every((row) => row.includes('9007199254740993')))
    const some = await ask('/api/events?limit=1500', lines)
    assert.equal(some.text.trimEnd().split('\n').length, 1_500)
    const none = await ask('/api/events?party=0:a:nobody', lines)
    assert.equal(none.text, '')
  })

  it('reads from the store only as fast as the client reads', async (t) => {
    const { open, store } = await sceneOf(t)
    const parameters = JSON.stringify({ text: 'x'.repeat(4_000) })
    for (let n = 0; n < 20_000; n++) store.rows.push(rowOf(n, now + n, { parameters }))
    let pages = 0
    store.beforePage = () => {
      pages++
    }
    const incoming = await open('/api/events', lines)
    await new Promise((resolve) => setTimeout(resolve, 300))
    const pagesBefore = pages
    assert.ok(pagesBefore < 12, `${pagesBefore} of 20 pages were read for a client that reads none`)
    let received = 0
    for await (const chunk of incoming) received += (chunk as Buffer).length
    assert.ok(received > 20_000 * 4_000)
    assert.equal(pages, 21)
  })

  it('answers an error with its status before the first line, and cuts the answer after it', async (t) => {
    const { ask, store, errors } = await sceneOf(t)
    assert.equal((await ask('/api/events?last=1w', lines)).json.error.code, 'question_invalid')
    for (let n = 0; n < 1_500; n++) store.rows.push(rowOf(n, now + n))
    let pages = 0
    store.beforePage = () => {
      if (++pages === 2) throw new Error('the disk is gone')
    }
    await assert.rejects(ask('/api/events', lines), /aborted/)
    assert.equal(errors.length, 1)
  })

  it('is asked for by its media type, not by others', async (t) => {
    const { ask } = await sceneOf(t)
    for (const accept of ['text/html, application/x-ndjson;q=0.9', 'application/ndjson']) {
      const { headers } = await ask('/api/events', { headers: { accept } })
      assert.match(headers['content-type'] ?? '', /ndjson/, accept)
    }
    for (const accept of ['*/*', 'application/json', 'application/x-ndjson;q=0', '']) {
      const { headers } = await ask('/api/events', { headers: { accept } })
      assert.match(headers['content-type'] ?? '', /application\/json/, accept)
    }
  })
})

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
      '/api/counts',
      '/api/dead-letters',
      '/api/dead-letters/replay',
      '/api/events',
      '/api/health',
      '/api/live',
      '/api/replay',
    ])
    const events = json.paths['/api/events'].get
    const names = events.parameters.map((parameter: { name: string }) => parameter.name)
    assert.deepEqual(names.sort(), [
      'after',
      'bots',
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
  })
})
