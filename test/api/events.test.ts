import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { PartyId } from '../../src/event/identifier.ts'
import { dayMs } from '../../src/lib/clock.ts'
import { rowOf } from '../query/memory-store.ts'
import { assertShape, now, sceneOf } from './scene.ts'

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
