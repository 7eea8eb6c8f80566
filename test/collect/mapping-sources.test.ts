import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createMapper } from '../../src/collect/mapping/mapper.ts'
import { eventOfRejection, recordsOfRejection } from '../../src/collect/replay.ts'
import { answerScript, type TagScript } from '../../src/collect/script.ts'
import type { BrowserRoute } from '../../src/collect/sources.ts'
import { parseConfig } from '../../src/config.ts'
import { MillraceError } from '../../src/event/error.ts'
import type { Rejection } from '../../src/event/event.ts'
import type { MapEvent, MappingRequest } from '../../src/event/mapping.ts'
import { changeLog, openScene, tagIds, tagPath } from './scene.ts'

/** Several sources in one collector, and what mappings see of their requests. */

const script: TagScript = {
  body: Buffer.from('the other script'),
  gzip: Buffer.from('gzip'),
  brotli: Buffer.from('brotli'),
  etag: '"other"',
}
const other: BrowserRoute = {
  type: 'browser',
  name: 'outlet',
  scriptPath: '/outlet/tag.js',
  eventPath: '/outlet/click',
  scripts: { answer: async (_query, request) => answerScript(script, request) },
}
const schemaText = JSON.stringify({
  type: 'record',
  name: 'Any',
  fields: [{ name: 'source', type: 'string' }],
})

/** A mapper that notes what it is given. */
function noting(map: MapEvent = (_event, { source }) => ({ source })) {
  const seen: MappingRequest[] = []
  const recordsOf = createMapper([
    {
      name: 'all',
      schemaText,
      map: (event, request) => {
        seen.push(request)
        return map(event, request)
      },
    },
  ])
  seen.length = 0
  return { seen, parts: { recordsOf, schemas: [schemaText], sources: [other] } }
}

describe('a browser source of the configuration', () => {
  test('has a script and events of its own, one by one and in batches', async (t) => {
    const { seen, parts } = noting()
    const scene = await openScene(t, {}, parts)
    const own = await scene.get('/outlet/tag.js')
    assert.deepEqual([own.status, own.body.toString()], [200, 'the other script'])
    const query = tagPath().slice('/csc-event'.length)
    assert.equal((await scene.get(`/outlet/click${query}`)).status, 200)
    assert.equal((await scene.get(`//outlet/./click/${query}`)).status, 200)
    assert.equal((await scene.get(tagPath())).status, 200)
    const batch = await scene.send({
      method: 'POST',
      path: '/outlet/click',
      headers: { 'Content-Type': 'text/plain' },
      body: query.slice(1),
    })
    assert.equal(batch.status, 200)
    await scene.post({ eventType: 'a' })
    assert.deepEqual(
      seen.map(({ source }) => source),
      ['outlet', 'outlet', 'browser', 'outlet', 'json'],
    )
    assert.equal((await scene.get('/outlet/csc-event')).status, 404)
    assert.equal((await scene.send({ method: 'PUT', path: '/outlet/click' })).status, 405)
  })
})

describe('a mapping', () => {
  test('sees headers and cookies, but no cookie of who does not want to be known', async (t) => {
    const { seen, parts } = noting()
    const scene = await openScene(t, {}, parts)
    const headers = { Cookie: 'a=b', 'X-Test': ['1', '2'] }
    await scene.get(tagPath(), headers)
    await scene.get(tagPath(), { ...headers, 'Sec-GPC': '1' })
    assert.deepEqual(
      seen.map(({ headers: { cookie, 'x-test': test } }) => [cookie, test]),
      [
        ['a=b', '1, 2'],
        [undefined, '1, 2'],
      ],
    )
  })

  test('that fails costs one event of a batch, which is kept whole and can be mapped later', async (t) => {
    const failing: MapEvent = ({ eventType }, { source }) => {
      if (eventType === 'bad') throw new Error('no luck')
      return { source }
    }
    const { parts } = noting(failing)
    const scene = await openScene(t, { rejectionsPerSecondMax: 0 }, parts)
    const events = ['good', 'bad', 'good'].map((eventType, index) => {
      return { eventType, eventId: `e${index}`, partyId: tagIds.party }
    })
    const answer = await scene.post(events)
    assert.equal(answer.status, 200)
    assert.deepEqual(
      answer.json().results.map(({ status }) => status),
      ['accepted', 'accepted', 'accepted'],
    )
    const [rejection, ...others] = await scene.storedRejections()
    assert.equal(others.length, 0)
    assert.equal(rejection?.code, 'event_unmapped')
    assert.match(rejection?.message ?? '', /all: it throws: no luck/)
    const { collect } = parseConfig({})
    const position = { topic: 'rejected', partition: 0, offset: 0 }
    const kept = rejection as Rejection
    const event = eventOfRejection(kept, position, collect)
    assert.deepEqual([event.eventId, event.partyId], ['e1', tagIds.party])
    assert.throws(() => recordsOfRejection(kept, event, parts.recordsOf), {
      code: 'event_unmapped',
    })
    const [record] = recordsOfRejection(kept, event, noting().parts.recordsOf)
    assert.equal(record?.headers?.['millrace-event-id'], 'e1')
    assert.equal(record?.value.toString(), '\bjson')
    const metrics = await scene.get('/metrics')
    assert.match(metrics.body.toString(), /events_unmapped_total 1/)
  })

  test('that fails while dead letters cannot be kept promises nothing', async (t) => {
    const failing: MapEvent = (_event, { headers }) => {
      return { source: headers['x-good'] === undefined ? undefined : 'x' }
    }
    const { parts } = noting(failing)
    const scene = await openScene(t, {}, parts, (log) =>
      log.topic === 'events'
        ? log
        : changeLog(log, {
            append: async () => {
              throw new MillraceError('log_full', 'test')
            },
          }),
    )
    const answer = await scene.get(tagPath())
    assert.deepEqual([answer.status, answer.json().error.code], [503, 'log_full'])
    assert.equal((await scene.post({ eventType: 'a' })).status, 503)
    assert.equal((await scene.get(tagPath(), { 'X-Good': '1' })).status, 200)
  })

  test('that leaves an event out answers for it and writes nothing', async (t) => {
    const { parts } = noting(() => null)
    const scene = await openScene(t, {}, parts)
    assert.equal((await scene.get(tagPath())).status, 200)
    const ranges = await scene.events.partitions()
    assert.equal(
      ranges.reduce((sum, { first, next }) => sum + next - first, 0),
      0,
    )
    assert.match((await scene.get('/metrics')).body.toString(), /events_left_out_total 1/)
  })
})
