import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { isMillraceError, MillraceError } from '../../src/event/error.ts'
import type { AppendRecord, Log } from '../../src/log/log.ts'
import {
  changeLog,
  openScene,
  openSocket,
  readAnswer,
  scriptAnswer,
  sendRequest,
  tagPath,
} from './scene.ts'

/** A log whose appends wait until they are let through. */
function createGate() {
  const waiting: (() => void)[] = []
  return {
    waiting,
    wrap: (log: Log): Log =>
      log.topic === 'rejected'
        ? log
        : changeLog(log, {
            append: async (records: readonly AppendRecord[]) => {
              await new Promise<void>((resolve) => waiting.push(resolve))
              await log.append(records)
            },
          }),
    async seen(count: number): Promise<void> {
      while (waiting.length < count) await sleep(1)
    },
    open(): void {
      for (const resolve of waiting.splice(0)) resolve()
    },
  }
}

describe('a 2xx', () => {
  test('is sent only after the append has resolved, for a tag and for JSON', async (t) => {
    const gate = createGate()
    const scene = await openScene(t, {}, {}, gate.wrap)
    let answered = 0
    const answers = [scene.get(tagPath()), scene.post({ eventType: 'a' })]
    for (const answer of answers) void answer.then(() => answered++)
    await gate.seen(1)
    await sleep(50)
    assert.equal(answered, 0)
    assert.deepEqual(await scene.storedEvents(), [])
    const opening = setInterval(() => gate.open(), 5)
    t.after(() => clearInterval(opening))
    assert.deepEqual(
      (await Promise.all(answers)).map(({ status }) => status),
      [200, 200],
    )
    assert.equal((await scene.storedEvents()).length, 2)
  })

  test('is never sent when the append fails: 503, when to come again, and a line for the operator', async (t) => {
    for (const [thrown, code] of [
      [new MillraceError('log_full', '10 GiB'), 'log_full'],
      [new MillraceError('log_unwritable', 'no disk'), 'log_unwritable'],
      [new Error('something else'), 'log_unwritable'],
    ] as const) {
      const fail = () => Promise.reject(thrown)
      const scene = await openScene(t, {}, {}, (log) =>
        changeLog(log, { append: fail, check: fail }),
      )
      for (const answer of [
        await scene.get(tagPath()),
        await scene.get(tagPath(), { 'If-None-Match': '"6b3edc43-20ec-4078-bc47-e965dd76b88a"' }),
        await scene.post({ eventType: 'a' }),
      ]) {
        assert.deepEqual([answer.status, answer.json().error.code], [503, code])
        assert.ok(Number(answer.headers['retry-after']) >= 1)
      }
      const ping = await scene.get('/ping')
      assert.deepEqual([ping.status, ping.json().error.code], [503, code])
      assert.equal(scene.lines.length, 1)
      // What is refused stays refused: the client cannot better it by coming again.
      assert.equal((await scene.get(tagPath({ p: undefined }))).status, 400)
      const metrics = String((await scene.get('/metrics')).body)
      assert.match(metrics, /rejections_not_kept_total\{reason="log"\} 1\n/)
    }
  })
})

describe('too many events waiting', () => {
  test('are refused by number and by bytes, and taken again when the queue is shorter', async (t) => {
    for (const options of [{ queueEventsMax: 4 }, { queueBytesMax: 2_750 }]) {
      const gate = createGate()
      const scene = await openScene(t, options, {}, gate.wrap)
      const waiting = Array.from({ length: 4 }, () => scene.get(tagPath()))
      const isWaiting = async () =>
        /^millrace_collect_waiting_events 4$/m.test(String((await scene.get('/metrics')).body))
      while (!(await isWaiting())) await sleep(5)
      const refused = await scene.get(tagPath())
      assert.deepEqual([refused.status, refused.json().error.code], [503, 'overloaded'])
      assert.ok(Number(refused.headers['retry-after']) >= 1)
      assert.equal((await scene.post({ eventType: 'a' })).status, 503)
      const opening = setInterval(() => gate.open(), 5)
      t.after(() => clearInterval(opening))
      for (const answer of await Promise.all(waiting)) assert.equal(answer.status, 200)
      assert.equal((await scene.get(tagPath())).status, 200)
      assert.equal((await scene.storedEvents()).length, 5)
    }
  })

  test('a batch that does not fit is refused whole', async (t) => {
    const scene = await openScene(t, { queueEventsMax: 3 })
    const events = Array.from({ length: 4 }, () => ({ eventType: 'a' }))
    const answer = await scene.post({ events })
    assert.deepEqual([answer.status, answer.json().error.code], [503, 'overloaded'])
    assert.deepEqual(await scene.storedEvents(), [])
  })
})

describe('stop', () => {
  test('first tells /ping, then refuses new events, answers those under way, and lets the port go', async (t) => {
    const gate = createGate()
    const scene = await openScene(t, { shutdownDelayMs: 3_000 }, {}, gate.wrap)
    const { port } = scene.collector
    assert.equal((await scene.get('/ping')).status, 200)
    const underWay = scene.get(tagPath({ e: 'under way' }))
    await gate.seen(1)
    const stopped = scene.collector.stop()
    const ping = await scene.get('/ping')
    assert.deepEqual([ping.status, ping.json().error.code], [503, 'stopping'])
    const during = scene.get(tagPath({ e: 'during the delay' }))
    await gate.seen(2)
    await sleep(3_200)
    for (const late of [
      await scene.get(tagPath({ e: 'late' })),
      await scene.post({ eventType: 'a' }),
    ]) {
      assert.deepEqual([late.status, late.json().error.code], [503, 'stopping'])
      assert.ok(Number(late.headers['retry-after']) >= 1)
    }
    gate.open()
    assert.deepEqual([(await underWay).status, (await during).status], [200, 200])
    await stopped
    await assert.rejects(sendRequest(port, { path: '/ping' }), { code: 'ECONNREFUSED' })
    const events = await scene.storedEvents()
    assert.deepEqual(
      events.map(({ eventId }) => eventId),
      ['under way', 'during the delay'],
    )
  })

  test('does not wait for ever for a log that never answers, nor for idle clients', async (t) => {
    const gate = createGate()
    const scene = await openScene(t, { shutdownTimeoutMs: 100 }, {}, gate.wrap)
    const idle = await openSocket(scene.collector.port)
    idle.on('error', () => {})
    const lost = assert.rejects(scene.get(tagPath()))
    await gate.seen(1)
    await scene.collector.stop()
    await lost
    gate.open()
    idle.destroy()
  })

  test('twice is the same stop', async (t) => {
    const scene = await openScene(t)
    await Promise.all([scene.collector.stop(), scene.collector.stop()])
  })
})

describe('an address', () => {
  test('that is in use is said to be so', async (t) => {
    const { collector } = await openScene(t)
    await assert.rejects(
      openScene(t, { port: collector.port }),
      (thrown) =>
        isMillraceError(thrown, 'address_in_use') && thrown.message.includes(`${collector.port}`),
    )
  })

  test('that is not of this machine is said to be so', async (t) => {
    await assert.rejects(openScene(t, { host: '203.0.113.1' }), (thrown) =>
      isMillraceError(thrown, 'address_unavailable'),
    )
  })

  test('is where the collector answers', async (t) => {
    const { collector } = await openScene(t)
    assert.equal(collector.url, `http://127.0.0.1:${collector.port}`)
    assert.equal(await (await fetch(`${collector.url}/ping`)).text(), 'pong')
  })
})

describe('one connection', () => {
  test('carries many requests, pipelined, answered in order', async (t) => {
    const scene = await openScene(t)
    const socket = await openSocket(scene.collector.port)
    const head = ' HTTP/1.1\r\nHost: a\r\n'
    socket.write(
      `GET ${tagPath({ e: '1' })}${head}\r\nGET ${tagPath({ p: undefined })}${head}\r\n` +
        `GET ${tagPath({ e: '2' })}${head}Connection: close\r\n\r\n`,
    )
    const bytes: Buffer[] = []
    for await (const chunk of socket) bytes.push(chunk)
    const statuses = Buffer.concat(bytes)
      .toString('latin1')
      .match(/HTTP\/1\.1 \d+/g)
    assert.deepEqual(statuses, ['HTTP/1.1 200', 'HTTP/1.1 400', 'HTTP/1.1 200'])
  })

  test('whose client leaves before the answer loses nothing', async (t) => {
    const gate = createGate()
    const scene = await openScene(t, {}, {}, gate.wrap)
    const socket = await openSocket(scene.collector.port)
    socket.write(`GET ${tagPath({ e: 'left' })} HTTP/1.1\r\nHost: a\r\n\r\n`)
    await gate.seen(1)
    socket.destroy()
    await sleep(20)
    gate.open()
    const deadline = performance.now() + 10_000
    let stored = await scene.storedEvents()
    while (stored.length === 0 && performance.now() < deadline) stored = await scene.storedEvents()
    assert.deepEqual(
      stored.map(({ eventId }) => eventId),
      ['left'],
    )
  })
})

describe('pages', () => {
  test('are shown to this machine only: loopback peer, loopback Host, no proxy between', async (t) => {
    const scene = await openScene(t, {}, { apiUrl: 'http://127.0.0.1:8291' })
    for (const path of ['/', '/metrics']) {
      assert.equal((await scene.get(path)).status, 200)
      assert.equal((await scene.get(path, { Host: 'localhost:1' })).status, 200)
      assert.equal((await scene.get(path, { Host: '[::1]' })).status, 200)
      const refusals = [
        { Host: 'evil.example' },
        { Host: 'localhost.evil.example' },
        { 'X-Forwarded-For': '127.0.0.1' },
        { Forwarded: 'for=127.0.0.1' },
        { 'X-Real-IP': '127.0.0.1' },
        { Via: '1.1 proxy' },
      ]
      for (const headers of refusals) {
        const answer = await scene.get(path, headers)
        assert.deepEqual([answer.status, answer.json().error.code], [403, 'loopback_only'])
      }
    }
  })

  test('are shown to all when switched on', async (t) => {
    const scene = await openScene(t, { publicPages: true })
    const headers = { Host: 'shop.example', 'X-Forwarded-For': '203.0.113.9' }
    assert.equal((await scene.get('/', headers)).status, 200)
    assert.equal((await scene.get('/metrics', headers)).status, 200)
  })

  test('the demo page loads the tag, allows no script but its own, and links to the API', async (t) => {
    const scene = await openScene(t, {}, { apiUrl: 'http://127.0.0.1:8291/?a="&b' })
    const { headers, body } = await scene.get('/')
    const html = String(body)
    assert.match(html, /<script src="\/divolte\.js" defer async><\/script>/)
    assert.match(html, /href="http:\/\/127\.0\.0\.1:8291\/\?a=&#34;&#38;b"/)
    assert.doesNotMatch(html, /\{\{/)
    assert.match(headers['content-security-policy'] ?? '', /script-src 'self' 'sha256-[^']+'/)
    assert.match(headers['content-type'] ?? '', /^text\/html/)
    const without = await openScene(t, {}, { apiUrl: null })
    assert.doesNotMatch(String((await without.get('/')).body), /What is stored/)
  })

  test('the script is answered with its headers, and by GET only', async (t) => {
    const scene = await openScene(t)
    const answer = await scene.get('/divolte.js')
    assert.deepEqual([answer.status, String(answer.body)], [200, 'script'])
    for (const [name, value] of Object.entries(scriptAnswer.headers)) {
      assert.equal(answer.headers[name.toLowerCase()], value)
    }
    const head = await scene.send({ method: 'HEAD', path: '/divolte.js' })
    assert.deepEqual([head.status, head.headers['allow']], [405, 'GET'])
  })

  test('/ping answers any method', async (t) => {
    const scene = await openScene(t)
    for (const method of ['GET', 'POST', 'PUT', 'OPTIONS']) {
      const answer = await scene.send({ method, path: '/ping' })
      assert.deepEqual([answer.status, String(answer.body)], [200, 'pong'])
    }
    const socket = await openSocket(scene.collector.port)
    socket.write('HEAD /ping HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    assert.equal((await readAnswer(socket)).status, 200)
  })
})
