import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { openScene, openSocket, readAnswer, type Scene, tagPath } from './scene.ts'

/** After whatever came, the next event of somebody else is taken. */
async function checkAlive(scene: Scene): Promise<void> {
  assert.equal((await scene.get(tagPath({ e: 'after' }))).status, 200)
  const events = await scene.storedEvents()
  assert.equal(events.at(-1)?.eventId, 'after')
}

describe('a bad query', () => {
  test('without a required parameter, or with an invalid one, is a 400 and a dead letter', async (t) => {
    const scene = await openScene(t)
    const cases: [string, string][] = []
    for (const name of ['p', 's', 'v', 'e', 'c', 'n', 'f']) {
      cases.push([tagPath({ [name]: undefined }), 'parameter_missing'])
    }
    for (const changes of [
      { p: 'garbage' },
      { s: '' },
      { v: '' },
      { e: '' },
      { e: 'a\u0000b' },
      { e: 'x'.repeat(257) },
      { p: `0:1:${'x'.repeat(257)}` },
      { t: 'x'.repeat(257) },
      { c: '1.5' },
      { c: '1y2p0ij32e8e8' },
    ]) {
      cases.push([tagPath(changes), 'parameter_invalid'])
    }
    for (const end of ['&l=%', '&l=%zz', '&l=%ff', '&l=\u00e9', '&%=1', '&l=%ED%A0%80']) {
      cases.push([tagPath() + end, 'query_undecodable'])
    }
    cases.push(['/csc-event', 'parameter_missing'], ['/csc-event?', 'parameter_missing'])
    for (const [path, code] of cases) {
      const answer = await scene.get(path, { 'User-Agent': 'agent' })
      const { error } = answer.json()
      assert.deepEqual([answer.status, error.code], [400, code], path)
      assert.ok(error.message !== '' && error.hint !== '')
    }
    const rejections = await scene.storedRejections()
    assert.deepEqual(
      rejections.map(({ code, body }) => [code, body]),
      cases.map(([path, code]) => [code, path.split('?')[1] ?? '']),
    )
    for (const { userAgent, remoteAddress, source, truncated } of rejections) {
      assert.deepEqual(
        [userAgent, remoteAddress, source, truncated],
        ['agent', '127.0.0.0', 'tag', false],
      )
    }
    await checkAlive(scene)
  })

  test('that is too long is a 414 and a dead letter cut short; of 1 MB it is a 431', async (t) => {
    const scene = await openScene(t)
    const long = await scene.get(tagPath({ l: 'x'.repeat(20_000) }))
    assert.deepEqual([long.status, long.json().error.code], [414, 'query_too_long'])
    const [rejection] = await scene.storedRejections()
    assert.deepEqual([rejection?.truncated, rejection?.body.length], [true, 16 * 1024])
    const huge = await scene.get(tagPath({ l: 'x'.repeat(1_000_000) }))
    assert.deepEqual([huge.status, huge.json().error.code], [431, 'head_too_large'])
    await checkAlive(scene)
  })

  test('with parameters nested too deep or too large is a 413 and a dead letter', async (t) => {
    const scene = await openScene(t, { parametersBytesMax: 1000 })
    const deep = `${'a'.repeat(17)}${'.'.repeat(17)}`
    for (const u of [deep, 'a'.repeat(16_000), `s${'x'.repeat(1000)}!`, `s${'é'.repeat(500)}!`]) {
      const answer = await scene.get(tagPath({ u }))
      assert.deepEqual([answer.status, answer.json().error.code], [413, 'parameters_too_large'])
    }
    assert.equal((await scene.get(tagPath({ u: `s${'x'.repeat(990)}!` }))).status, 200)
    assert.equal((await scene.storedRejections()).length, 4)
  })

  test('keeps names, emoji, lone surrogates and large numbers of parameters as data', async (t) => {
    const scene = await openScene(t)
    await scene.get(tagPath({ u: '(s__proto__!x!sconstructor!😀!d2^!zzzzzzzzzzzzzz!)' }))
    const [event] = await scene.storedEvents()
    assert.equal(
      event?.parameters,
      '{"__proto__":"x","constructor":"😀","2^":6140942214464815497215}',
    )
  })
})

describe('a bad body', () => {
  test('that is not JSON, or no event, is a 400 and one dead letter', async (t) => {
    const scene = await openScene(t)
    const cases: [string, string][] = [
      ['', 'body_not_json'],
      ['{"events": [{"eventType": "a"}', 'body_not_json'],
      ['<xml/>', 'body_not_json'],
      ['{"events": {}}', 'body_invalid'],
      ['{"events": [], "more": 1}', 'body_invalid'],
      ['"text"', 'body_invalid'],
      ['null', 'body_invalid'],
      ['7', 'body_invalid'],
    ]
    for (const [body, code] of cases) {
      const answer = await scene.post(body)
      assert.deepEqual([answer.status, answer.json().error.code], [400, code], body)
    }
    const rejections = await scene.storedRejections()
    assert.deepEqual(
      rejections.map(({ body, code, source }) => [body, code, source]),
      cases.map(([body, code]) => [body, code, 'json']),
    )
    await checkAlive(scene)
  })

  test('of another type or coding is a 415', async (t) => {
    const scene = await openScene(t)
    for (const type of [
      '',
      'text/html',
      'application/jsonx',
      'application/x-www-form-urlencoded',
      'application/json; charset=utf-16',
    ]) {
      const answer = await scene.post({ eventType: 'a' }, { 'Content-Type': type })
      assert.deepEqual([answer.status, answer.json().error.code], [415, 'content_type_unsupported'])
    }
    const gzip = await scene.post({ eventType: 'a' }, { 'Content-Encoding': 'gzip' })
    assert.equal(gzip.status, 415)
    assert.deepEqual(await scene.storedEvents(), [])
  })

  test('by another method is a 405 that names the right ones', async (t) => {
    const scene = await openScene(t)
    for (const method of ['GET', 'PUT', 'DELETE', 'HEAD']) {
      const answer = await scene.send({ method, path: '/events' })
      assert.deepEqual([answer.status, answer.headers['allow']], [405, 'POST, OPTIONS'])
    }
  })

  test('that is too large is a 413, whether its length was declared or not', async (t) => {
    const scene = await openScene(t)
    const megabyte = Buffer.alloc(1_000_000, 0x20)
    const declared = await scene.post(megabyte)
    assert.deepEqual([declared.status, declared.json().error.code], [413, 'body_too_large'])
    const socket = await openSocket(scene.collector.port)
    socket.write('POST /events HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n')
    socket.write('Transfer-Encoding: chunked\r\n\r\n')
    const chunk = `4000\r\n${' '.repeat(0x4000)}\r\n`
    for (let sent = 0; sent < 1_000_000; sent += 0x4000) socket.write(chunk)
    const streamed = await readAnswer(socket)
    assert.deepEqual([streamed.status, streamed.json().error.code], [413, 'body_too_large'])
    const rejections = await scene.storedRejections()
    assert.deepEqual(
      rejections.map(({ code, truncated }) => [code, truncated]),
      [
        ['body_too_large', true],
        ['body_too_large', true],
      ],
    )
    await checkAlive(scene)
  })

  test('with too many events is a 413 and stores none of them', async (t) => {
    const scene = await openScene(t, { batchEventsMax: 3 })
    const events = Array.from({ length: 4 }, () => ({ eventType: 'a' }))
    const answer = await scene.post({ events })
    assert.deepEqual([answer.status, answer.json().error.code], [413, 'batch_too_large'])
    assert.deepEqual(await scene.storedEvents(), [])
    assert.equal((await scene.storedRejections())[0]?.code, 'batch_too_large')
  })

  test('that is not there is refused at once, whether its head says so or not', async (t) => {
    const scene = await openScene(t)
    for (const length of ['', 'Content-Length: 0\r\n']) {
      const socket = await openSocket(scene.collector.port)
      socket.write('POST /events HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n')
      socket.write(`${length}\r\n`)
      const answer = await readAnswer(socket)
      assert.deepEqual([answer.status, answer.json().error.code], [400, 'body_not_json'])
    }
  })

  test('that ends half way harms nobody', async (t) => {
    const scene = await openScene(t)
    const socket = await openSocket(scene.collector.port)
    socket.write('POST /events HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n')
    socket.write('Content-Length: 100\r\n\r\n{"eventType": ')
    await sleep(50)
    socket.destroy()
    await checkAlive(scene)
    assert.equal((await scene.storedEvents()).length, 1)
  })
})

describe('strange parameters in a batch', () => {
  test('are refused or kept exactly, each event by itself', async (t) => {
    const scene = await openScene(t)
    const events = [
      '{"eventType":"digits","parameters":{"a":12345678901234567890,"b":0.1234567890123456789,"c":1e999,"d":-9007199254740993,"e":1.5,"item_id":90071992547409931}}',
      `{"eventType":"deep","parameters":${'['.repeat(50_000)}${']'.repeat(50_000)}}`,
      `{"eventType":"deep","parameters":${'[1,'.repeat(16)}1${']'.repeat(16)}}`,
      `{"eventType":"deep","parameters":${'[1,'.repeat(17)}1${']'.repeat(17)}}`,
      '{"eventType":"proto","parameters":{"__proto__":{"x":1},"constructor":null,"hasOwnProperty":1}}',
      '{"eventType":"__proto__","__proto__":{"eventType":"x"}}',
      '{"eventType":"surrogate \\ud800","parameters":{"\\udc00":"\\ud800\\ud800 \\\\ud800 \\ud83d\\ude00"}}',
      `{"eventType":"large","parameters":{"text":"${'é'.repeat(20_000)}"}}`,
      '{"eventType":"last"}',
    ]
    const answer = await scene.post(`{"events":[${events.join(',')}]}`)
    assert.equal(answer.status, 200)
    assert.deepEqual(
      answer.json().results.map(({ status, error }) => error?.code ?? status),
      [
        'accepted',
        'parameters_too_large',
        'accepted',
        'parameters_too_large',
        'accepted',
        'event_invalid',
        'accepted',
        'parameters_too_large',
        'accepted',
      ],
    )
    const stored = await scene.storedEvents()
    assert.equal(
      stored[0]?.parameters,
      '{"a":12345678901234567890,"b":0.1234567890123456789,"c":1e999,"d":-9007199254740993,"e":1.5,"item_id":90071992547409931}',
    )
    assert.equal(stored[0]?.itemId, '90071992547409931')
    assert.equal(
      stored[2]?.parameters,
      '{"__proto__":{"x":1},"constructor":null,"hasOwnProperty":1}',
    )
    assert.equal(stored[3]?.eventType, 'surrogate \ufffd')
    assert.equal(stored[3]?.parameters, '{"\ufffd":"\ufffd\ufffd \\\\ud800 😀"}')
    assert.equal(stored[4]?.eventType, 'last')
    const [deep, deeper, proto, large] = await scene.storedRejections()
    assert.equal(deep?.truncated, true)
    assert.equal(deeper?.body, events[3])
    assert.equal(proto?.body, events[5])
    assert.equal(large?.truncated, false)
    assert.equal(({} as Record<string, unknown>)['x'], undefined)
  })
})

describe('a bad client', () => {
  test('that does not speak HTTP gets a 400', async (t) => {
    const scene = await openScene(t)
    const socket = await openSocket(scene.collector.port)
    socket.write('\u0016\u0003\u0001 hello\r\n\r\n')
    const answer = await readAnswer(socket)
    assert.deepEqual([answer.status, answer.json().error.code], [400, 'request_malformed'])
    await checkAlive(scene)
  })

  test('that sends nothing is closed in time, a thousand of them, and others are served meanwhile', async (t) => {
    const scene = await openScene(t, { requestTimeoutMs: 1_000 })
    const silent = await Promise.all(
      Array.from({ length: 1_000 }, () => openSocket(scene.collector.port)),
    )
    const closed = silent.map((socket) => once(socket.resume(), 'close'))
    await checkAlive(scene)
    await Promise.all(closed)
    await checkAlive(scene)
    const slow = await openSocket(scene.collector.port)
    slow.write('GET /csc-event?p=')
    const answer = await readAnswer(slow)
    assert.deepEqual([answer.status, answer.json().error.code], [408, 'request_timeout'])
  })

  test('beyond the most connections is turned away, and comes in when one is free', async (t) => {
    const scene = await openScene(t, { connectionsMax: 2 })
    const first = await openSocket(scene.collector.port)
    const second = await openSocket(scene.collector.port)
    const third = await openSocket(scene.collector.port)
    await once(third.resume(), 'close')
    first.destroy()
    second.destroy()
    await sleep(50)
    await checkAlive(scene)
  })

  test('that floods is refused by its address, with the time to wait', async (t) => {
    const now = Date.now()
    const scene = await openScene(
      t,
      { requestsPerSecondMax: 1, requestsBurstMax: 3, trustedProxies: ['127.0.0.1'] },
      { clock: () => now },
    )
    const from = (address: string) => scene.get(tagPath(), { 'X-Forwarded-For': address })
    const statuses: number[] = []
    for (let index = 0; index < 6; index++) statuses.push((await from('203.0.113.9')).status)
    assert.deepEqual(statuses.slice(0, 3), [200, 200, 200])
    const refused = await from('203.0.113.9')
    assert.deepEqual([refused.status, refused.json().error.code], [429, 'rate_limited'])
    assert.ok(Number(refused.headers['retry-after']) >= 1)
    assert.equal((await from('203.0.113.10')).status, 200)
    const post = await scene.post({ eventType: 'a' }, { 'X-Forwarded-For': '203.0.113.9' })
    assert.equal(post.status, 429)
    assert.ok(Number(post.headers['retry-after']) >= 1)
    assert.deepEqual(await scene.storedRejections(), [])
  })

  test('that floods with refused requests fills no disk: past the budget they are counted', async (t) => {
    const now = 1_700_000_000_000
    const scene = await openScene(t, { rejectionsPerSecondMax: 5 }, { clock: () => now })
    const answers = await Promise.all(Array.from({ length: 50 }, () => scene.get('/csc-event?p=1')))
    assert.ok(answers.every(({ status }) => status === 400))
    assert.equal((await scene.storedRejections()).length, 5)
    const metrics = String((await scene.get('/metrics')).body)
    assert.match(metrics, /rejections_total\{code="parameter_missing"\} 50\n/)
    assert.match(metrics, /rejections_not_kept_total\{reason="budget"\} 45\n/)
  })

  test('gets a clear answer where there is nothing', async (t) => {
    const scene = await openScene(t)
    const answer = await scene.get('/nothing')
    assert.deepEqual([answer.status, answer.json().error.code], [404, 'not_found'])
    assert.equal((await scene.get('/favicon.ico')).status, 204)
  })
})
