import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { MillraceError } from '../../src/event/error.ts'
import type { CheckQuestion, CheckResult } from '../../src/query/check.ts'
import { bearer, runToken, sceneOf } from './scene.ts'

const headers = bearer(runToken)
const whole: CheckResult = { ok: true, reasons: [], storedUntil: null, lag: 0, days: [] }

describe('POST /api/check', () => {
  it('tells each day line by line, then the result; an error after that is the last line', async (t) => {
    const asked: CheckQuestion[] = []
    const scene = await sceneOf(
      t,
      {},
      {
        async check(question, _signal, onProgress) {
          asked.push(question)
          onProgress({ day: '2026-03-01', done: 0, total: 1 })
          if (asked.length > 1) throw new MillraceError('store_corrupt', 'x.parquet')
          return whole
        },
      },
    )
    const body = { from: '2026-02-01', until: '2026-03-01', lossMax: 0.5 }
    const lines = (await scene.ask('/api/check', { headers, body })).text.trimEnd().split('\n')
    assert.deepEqual(asked, [body])
    assert.deepEqual(
      lines.map((line) => JSON.parse(line)),
      [{ progress: { day: '2026-03-01', done: 0, total: 1 } }, { result: whole }],
    )
    const { text } = await scene.ask('/api/check', { headers, body })
    assert.equal(JSON.parse(text.trimEnd().split('\n').at(-1) ?? '').error.code, 'store_corrupt')
  })

  it('refuses days that there are not, shares beyond 1, and strangers', async (t) => {
    const scene = await sceneOf(t, {}, { check: async () => whole })
    const right = { until: '2026-03-01', lossMax: 0 }
    const wrong = [
      {},
      { until: '2026-03-01' },
      { ...right, until: '2026-02-30' },
      { ...right, from: 'yesterday' },
      { ...right, from: '2026-03-02' },
      { ...right, lossMax: 1.1 },
      { ...right, last: 3 },
    ]
    for (const body of wrong) {
      const answer = await scene.ask('/api/check', { headers, body })
      assert.equal(answer.status, 400, JSON.stringify(body))
    }
    assert.equal((await scene.ask('/api/check', { body: right })).status, 401)
  })
})

describe('GET /api/days and POST /api/retain', () => {
  it('say what there is and what was deleted', async (t) => {
    const dueAt = '2026-03-09T00:00:00.000Z'
    const rows = [{ day: '2026-03-01', openRows: 3, closedRows: 0, version: 0, dueAt }]
    const deleted = { firstDay: '2026-01-01', events: 7, logBytes: 100 }
    const scene = await sceneOf(t, {}, { days: async () => rows, retain: async () => deleted })
    assert.deepEqual((await scene.ask('/api/days')).json, { rows })
    assert.deepEqual((await scene.ask('/api/retain', { headers, body: {} })).json, deleted)
    assert.equal((await scene.ask('/api/retain', { body: {} })).status, 401)
    assert.equal((await scene.ask('/api/retain', { headers, body: { days: 1 } })).status, 400)
  })
})
