import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RecommendationsRequest } from '../../src/collect/recommendations.ts'
import { MillraceError } from '../../src/event/error.ts'
import { openScene } from './scene.ts'

function echo(request: RecommendationsRequest): object {
  if (request.queryText === 'limit=10000') throw new MillraceError('question_invalid', 'limit')
  return { asked: request }
}

test('GET and POST are answered by what the command line put there, for pages of any origin', async (t) => {
  const scene = await openScene(t, {}, { recommendations: echo })
  const got = await scene.get('/recommendations?item=a&limit=5', { Origin: 'https://shop.example' })
  assert.equal(got.status, 200)
  assert.equal(got.headers['access-control-allow-origin'], '*')
  assert.equal(got.headers['cache-control'], 'no-store')
  assert.deepEqual(got.json(), { asked: { queryText: 'item=a&limit=5' } })
  const headers = { 'Content-Type': 'text/plain' }
  const posted = await scene.send({ method: 'POST', path: '/recommendations', headers, body: '{}' })
  assert.deepEqual(posted.json(), { asked: { queryText: '', body: '{}' } })
  const preflight = await scene.send({ method: 'OPTIONS', path: '/recommendations' })
  assert.equal(preflight.status, 204)
})

test('bad requests have the status and code of their error', async (t) => {
  const scene = await openScene(t, { bodyBytesMax: 100 }, { recommendations: echo })
  const path = '/recommendations'
  const headers = { 'Content-Type': 'application/json' }
  const answers = [
    [await scene.get(`${path}?limit=10000`), 400, 'question_invalid'],
    [await scene.send({ method: 'PUT', path }), 405, 'method_not_allowed'],
    [await scene.send({ method: 'POST', path, body: '{}' }), 415, 'content_type_unsupported'],
    [
      await scene.send({ method: 'POST', path, headers, body: 'x'.repeat(101) }),
      413,
      'body_too_large',
    ],
  ] as const
  for (const [answer, status, code] of answers) {
    assert.deepEqual([answer.status, answer.json().error.code], [status, code])
  }
})

test('requests are limited with those for events', async (t) => {
  const limits = { requestsPerSecondMax: 1, requestsBurstMax: 2 }
  const now = Date.now()
  const scene = await openScene(t, limits, { recommendations: echo, clock: () => now })
  const statuses: number[] = []
  for (let n = 0; n < 3; n++) statuses.push((await scene.get('/recommendations')).status)
  assert.deepEqual(statuses, [200, 200, 429])
})

test('a collector without models has nothing there, and other origins are refused where they are named', async (t) => {
  const without = await openScene(t)
  assert.equal((await without.get('/recommendations')).status, 404)
  const strict = await openScene(
    t,
    { allowedOrigins: ['https://shop.example'] },
    { recommendations: echo },
  )
  const refused = await strict.get('/recommendations', { Origin: 'https://other.example' })
  assert.equal(refused.status, 403)
})
