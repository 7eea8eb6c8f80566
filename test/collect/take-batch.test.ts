import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { MillraceError } from '../../src/event/error.ts'
import { changeLog, openScene, tagIds, tagPath } from './scene.ts'

/** The query string of one event, as the tag writes it after `?`. */
function lineOf(changes: Parameters<typeof tagPath>[0] = {}): string {
  return tagPath(changes).slice('/csc-event?'.length)
}

const plain = { 'Content-Type': 'text/plain;charset=UTF-8' }

function post(body: string, headers: Record<string, string> = {}) {
  return { method: 'POST', path: '/csc-event', body, headers: { ...plain, ...headers } }
}

describe('a batch of a tag', () => {
  test('is stored as the same events that as many GETs would be', async (t) => {
    const scene = await openScene(t)
    const lines = [0, 1, 2].map((index) =>
      lineOf({ e: `${tagIds.pageView}${index}`, u: `(dn!${index}!)`, c: 'kf12ot8g' }),
    )
    const answer = await scene.send(post(lines.join('\n')))
    assert.equal(answer.status, 200)
    assert.deepEqual(
      answer.json().results,
      [0, 1, 2].map((index) => ({ eventId: `${tagIds.pageView}${index}`, status: 'accepted' })),
    )
    for (const line of lines) await scene.get(`/csc-event?${line}`)
    const stored = await scene.storedEvents()
    const timeless = stored.map((event) => ({ ...event, receivedAt: 0, eventTime: 0 }))
    assert.deepEqual(timeless.slice(0, 3), timeless.slice(3))
    assert.deepEqual(
      stored.slice(0, 3).map(({ source, sequence }) => [source, sequence]),
      [0, 1, 2].map((index) => ['tag', index]),
    )
  })

  test('loses no neighbour of an event that is refused, which is kept as a dead letter', async (t) => {
    const scene = await openScene(t)
    const body = [
      lineOf(),
      lineOf({ c: undefined }),
      'v=%zz',
      '',
      lineOf({ e: `${tagIds.pageView}1` }),
    ].join('\n')
    const { results } = (await scene.send(post(body))).json()
    assert.deepEqual(
      results.map(({ eventId, status, error }) => [eventId, status, error?.code]),
      [
        [`${tagIds.pageView}0`, 'accepted', undefined],
        [`${tagIds.pageView}0`, 'rejected', 'parameter_missing'],
        [null, 'rejected', 'query_undecodable'],
        [`${tagIds.pageView}1`, 'accepted', undefined],
      ],
    )
    assert.equal((await scene.storedEvents()).length, 2)
    assert.deepEqual(
      (await scene.storedRejections()).map(({ source, body }) => [source, body]),
      [
        ['tag', lineOf({ c: undefined })],
        ['tag', 'v=%zz'],
      ],
    )
  })

  test('under GPC keeps no party, of events stored and refused, by header and by the event', async (t) => {
    const scene = await openScene(t)
    await scene.send(post(`${lineOf()}\n${lineOf({ c: undefined })}`, { 'Sec-GPC': '1' }))
    await scene.send(post(`${lineOf({ g: '1' })}\n${lineOf({ g: '1', c: undefined })}`))
    const stored = await scene.storedEvents()
    assert.deepEqual(
      stored.map(({ partyId, privacy }) => [partyId, privacy]),
      [
        [null, 'gpc'],
        [null, 'gpc'],
      ],
    )
    const refused = await scene.storedRejections()
    assert.deepEqual(
      refused.map(({ privacy, body }) => [privacy, body.includes(tagIds.party.slice(-8))]),
      [
        ['gpc', false],
        ['gpc', false],
      ],
    )
  })

  test('is answered 503 with Retry-After, to be read by other origins, when none can be stored', async (t) => {
    const fail = () => Promise.reject(new MillraceError('log_full'))
    const scene = await openScene(t, {}, {}, (log) => changeLog(log, { append: fail }))
    const answer = await scene.send(post(lineOf(), { Origin: 'https://a.example' }))
    assert.equal(answer.status, 503)
    assert.ok(Number(answer.headers['retry-after']) > 0)
    assert.equal(answer.headers['access-control-allow-origin'], '*')
    assert.match(answer.headers['access-control-expose-headers'] ?? '', /Retry-After/)
  })

  test('has the limits of a POST: bytes, events, origins', async (t) => {
    const options = {
      batchEventsMax: 2,
      bodyBytesMax: 2_000,
      allowedOrigins: ['https://a.example'],
    }
    const scene = await openScene(t, options)
    const code = async (body: string, headers = {}) =>
      (await scene.send(post(body, headers))).json().error.code
    assert.equal(await code('a=1\na=1\na=1'), 'batch_too_large')
    assert.equal(await code('x'.repeat(2_001)), 'body_too_large')
    assert.equal(await code('\n'), 'body_invalid')
    assert.equal(await code(lineOf(), { Origin: 'https://b.example' }), 'origin_refused')
    assert.equal((await scene.storedEvents()).length, 0)
  })

  test('any other POST is answered as Divolte answers it', async (t) => {
    const scene = await openScene(t)
    const request = { method: 'POST', path: '/csc-event', body: lineOf() }
    for (const headers of [{}, { 'Content-Type': 'application/json' }]) {
      const answer = await scene.send({ ...request, headers })
      assert.deepEqual([answer.status, answer.headers['allow']], [405, 'GET'])
    }
  })
})
