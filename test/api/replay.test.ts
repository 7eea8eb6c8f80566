import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { PositionAnswer } from '../../src/api/answer.ts'
import type { ReplayRequest } from '../../src/api/replay.ts'
import { MillraceError } from '../../src/event/error.ts'
import { positionOf } from '../query/memory-store.ts'
import { bearer, runToken, sceneOf, until } from './scene.ts'

const headers = bearer(runToken)

describe('POST /api/replay', () => {
  it('tells its progress line by line, then the result', async (t) => {
    const asked: ReplayRequest[] = []
    const scene = await sceneOf(
      t,
      {},
      {
        async replay(request, onProgress) {
          asked.push(request)
          for (let read = 1; read <= 1_000; read++)
            onProgress({ topic: 'events', read, total: 1_000 })
          return { read: 1_000, total: 1_000, complete: true }
        },
      },
    )
    const body = { from: 'earliest', batchRecords: 7 }
    const answer = await scene.ask('/api/replay', { headers, body })
    assert.equal(answer.status, 200)
    assert.match(answer.headers['content-type'] ?? '', /ndjson/)
    const lines = answer.text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    assert.ok(lines.length < 20, `${lines.length} lines are too many`)
    assert.deepEqual(lines.at(-2), { progress: { topic: 'events', read: 1_000, total: 1_000 } })
    assert.deepEqual(lines.at(-1), { result: { read: 1_000, total: 1_000, complete: true } })
    assert.equal(asked[0]?.from, 'earliest')
    assert.equal(asked[0]?.batchRecords, 7)
    await scene.ask('/api/replay', { headers, body: { from: 17 } })
    assert.equal(asked[1]?.from, 17)
  })

  it('has an error status when it cannot begin, and a last line when it fails later', async (t) => {
    let begins = false
    const scene = await sceneOf(
      t,
      {},
      {
        async replay(_request, onProgress) {
          if (begins) onProgress({ topic: 'events', read: 1, total: 2 })
          throw new MillraceError('store_unavailable', 'disk')
        },
      },
    )
    const ask = { headers, body: { from: 'earliest' } }
    assert.equal((await scene.ask('/api/replay', ask)).status, 503)
    begins = true
    const { status, text } = await scene.ask('/api/replay', ask)
    assert.equal(status, 200)
    assert.equal(JSON.parse(text.trimEnd().split('\n')[1] ?? '').error.code, 'store_unavailable')
  })

  it('runs once at a time, and stops when its client goes or the API stops', async (t) => {
    const signals: AbortSignal[] = []
    const scene = await sceneOf(
      t,
      {},
      {
        async replay({ signal }, onProgress) {
          signals.push(signal)
          onProgress({ topic: 'events', read: 0, total: 9 })
          await new Promise((resolve) => signal.addEventListener('abort', resolve))
          return { read: 0, total: 9, complete: false }
        },
      },
    )
    const ask = { headers, body: { from: 'earliest' }, method: 'POST' }
    const first = await scene.open('/api/replay', ask)
    const second = await scene.ask('/api/replay', ask)
    assert.equal(second.status, 409)
    assert.equal(second.json.error.code, 'replay_running')
    first.destroy()
    await until(() => signals[0]?.aborted === true, 'the abort of the first')
    const third = await scene.open('/api/replay', ask)
    assert.equal(third.statusCode, 200)
    let text = ''
    third.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
    await scene.api.stop()
    await until(() => text.includes('"complete":false'), 'the last line')
  })

  it('refuses a body that is not one, in words', async (t) => {
    const { ask } = await sceneOf(t)
    const bad: [unknown, string, RegExp][] = [
      [{}, 'question_invalid', /must have required property 'from'/],
      [{ from: 'latest' }, 'question_invalid', /from/],
      [{ from: -1 }, 'question_invalid', /from/],
      [{ from: '17' }, 'question_invalid', /from/],
      [{ from: 'earliest', batch: 1 }, 'question_invalid', /unknown member "batch"/],
      [{ from: 'earliest', batchRecords: 0 }, 'question_invalid', /batchRecords must be >= 1/],
      [[], 'question_invalid', /must be object/],
      ['{"from":', 'question_invalid', /JSON/],
      ['', 'question_invalid', /Body cannot be empty/],
      ['{"from":"earliest","__proto__":{}}', 'question_invalid', /request/],
      [{ from: 'x'.repeat(1_100_000) }, 'question_too_large', /body/],
    ]
    for (const [body, code, words] of bad) {
      const { json } = await ask('/api/replay', { headers, body: body as string, method: 'POST' })
      assert.equal(json.error.code, code, JSON.stringify(body).slice(0, 80))
      assert.match(json.error.message, words)
    }
    for (const type of ['text/plain', 'application/x-www-form-urlencoded']) {
      const own = { ...headers, 'content-type': type }
      const answer = await ask('/api/replay', { headers: own, body: '{"from":"earliest"}' })
      assert.equal(answer.status, 415)
      assert.equal(answer.json.error.code, 'content_type_unsupported')
    }
  })
})

describe('POST /api/dead-letters/replay', () => {
  it('hands on which ones, and answers what became of them', async (t) => {
    const asked: (readonly PositionAnswer[] | 'all')[] = []
    const error = new MillraceError('dead_letter_unreplayable', 'rejected/0/2').toJSON()
    const result = { replayed: 1, failures: [{ position: positionOf(2, 'rejected'), error }] }
    const scene = await sceneOf(
      t,
      {},
      {
        async replayDeadLetters(which) {
          asked.push(which)
          return result
        },
      },
    )
    const positions = [positionOf(1, 'rejected'), positionOf(2, 'rejected')]
    const post = (body: object) =>
      scene.ask('/api/dead-letters/replay', { headers, body: { ...body } })
    const { status, json } = await post({ positions })
    assert.equal(status, 200)
    assert.deepEqual(json, result)
    await post({ all: true })
    assert.deepEqual(asked, [positions, 'all'])
  })

  it('refuses a body that does not say which', async (t) => {
    const { ask } = await sceneOf(t)
    const positions = [positionOf(1)]
    for (const body of [
      {},
      { all: false },
      { positions: [] },
      { all: true, positions },
      { positions: [{}] },
      { places: ['x'] },
    ]) {
      const { status, json } = await ask('/api/dead-letters/replay', {
        headers,
        body: JSON.stringify(body),
      })
      assert.equal(status, 400, JSON.stringify(body))
      assert.equal(json.error.code, 'question_invalid')
    }
  })
})
