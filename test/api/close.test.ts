import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { CloseRequest } from '../../src/api/close.ts'
import { MillraceError } from '../../src/event/error.ts'
import { assertShape, bearer, runToken, sceneOf, until } from './scene.ts'

const headers = bearer(runToken)

describe('POST /api/close', () => {
  it('tells each day line by line, then the result', async (t) => {
    const asked: CloseRequest[] = []
    const result = { days: 2, rows: 20, bytes: 1_000, complete: true }
    const scene = await sceneOf(
      t,
      {},
      {
        async close(request, onProgress) {
          asked.push(request)
          onProgress({ day: '2026-03-01', done: 0, total: 2 })
          onProgress({ day: '2026-03-02', done: 2, total: 2 })
          return result
        },
      },
    )
    const answer = await scene.ask('/api/close', { headers, body: {} })
    assert.equal(answer.status, 200)
    const lines = answer.text.trimEnd().split('\n')
    for (const line of lines) assertShape('closeLine', JSON.parse(line))
    assert.deepEqual(JSON.parse(lines.at(-1) ?? ''), { result })
    await scene.ask('/api/close', { headers, body: { day: '2026-03-01' } })
    assert.deepEqual(
      asked.map(({ day }) => day),
      [undefined, '2026-03-01'],
    )
  })

  it('refuses days that there are not, strangers, and a second one at once', async (t) => {
    let end = (): void => {}
    let isRunning = false
    const scene = await sceneOf(
      t,
      {},
      {
        async close(_request, onProgress) {
          onProgress({ day: '2026-03-01', done: 0, total: 1 })
          isRunning = true
          await new Promise<void>((resolve) => {
            end = resolve
          })
          throw new MillraceError('store_corrupt', 'x.parquet')
        },
      },
    )
    for (const day of ['2026-02-30', 'yesterday', '2026-3-1', 7]) {
      const answer = await scene.ask('/api/close', { headers, body: { day } })
      assert.equal(answer.status, 400, String(day))
    }
    assert.equal((await scene.ask('/api/close', { body: {} })).status, 401)
    const first = scene.ask('/api/close', { headers, body: {} })
    await until(() => isRunning, 'it runs')
    assert.equal((await scene.ask('/api/close', { headers, body: {} })).status, 409)
    end()
    const { text } = await first
    assert.equal(JSON.parse(text.trimEnd().split('\n').at(-1) ?? '').error.code, 'store_corrupt')
  })
})
