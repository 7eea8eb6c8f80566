import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { describe, it } from 'node:test'
import type { PartyId } from '../../src/event/identifier.ts'
import { rowOf } from '../query/memory-store.ts'
import { now, sceneOf, until } from './scene.ts'

interface Listener {
  readonly incoming: IncomingMessage
  text: string
  hasEnded: boolean
}

function listen(incoming: IncomingMessage): Listener {
  const listener: Listener = { incoming, text: '', hasEnded: false }
  incoming.setEncoding('utf8')
  incoming.on('data', (chunk: string) => {
    listener.text += chunk
  })
  incoming.on('error', () => {})
  incoming.on('close', () => {
    listener.hasEnded = true
  })
  return listener
}

function eventsOf({ text }: Listener): { id: string; eventId: string }[] {
  return [...text.matchAll(/^id: (.+)\ndata: (.+)\n\n/gm)].map(([, id = '', data = '']) => ({
    id,
    eventId: JSON.parse(data).eventId,
  }))
}

describe('GET /api/live', () => {
  it('shows each event as it arrives, with its place as the id', async (t) => {
    const { open, live } = await sceneOf(t)
    const listener = listen(await open('/api/live'))
    assert.equal(listener.incoming.statusCode, 200)
    assert.match(listener.incoming.headers['content-type'] ?? '', /^text\/event-stream/)
    assert.equal(listener.incoming.headers['cache-control'], 'no-store')
    assert.equal(listener.incoming.headers['x-content-type-options'], 'nosniff')
    await until(() => live.open() === 1, 'the tail')
    live.append(rowOf(7, now, { parameters: '{"a":\n9007199254740993,"b":"\\n\\ndata: x"}' }))
    live.append(rowOf(8, now, { location: 'x\n\nevent: evil\ndata: 1\r\n' }))
    await until(() => eventsOf(listener).length === 2, 'two events')
    assert.deepEqual(eventsOf(listener)[0], { id: '0-7', eventId: rowOf(7, now).eventId })
    assert.ok(listener.text.includes('9007199254740993'))
    assert.ok(!/^event: evil/m.test(listener.text))
    assert.ok(listener.text.startsWith('retry: 2000\n: '))
  })

  it('filters, and leaves bots out unless asked', async (t) => {
    const { open, live } = await sceneOf(t)
    const plain = listen(await open('/api/live'))
    const all = listen(await open('/api/live?bots=include'))
    const party = listen(await open('/api/live?party=0:a:x&eventType=click'))
    await until(() => live.open() === 1, 'one tail for all')
    live.append(
      rowOf(1, now, { bot: 'crawler' }),
      rowOf(2, now, { partyId: '0:a:x' as PartyId, eventType: 'click' }),
      rowOf(3, now, { partyId: '0:a:x' as PartyId }),
    )
    await until(() => eventsOf(all).length === 3, 'three events')
    assert.deepEqual(
      [plain, party].map((listener) => eventsOf(listener).map(({ id }) => id)),
      [['0-2', '0-3'], ['0-2']],
    )
  })

  it('is limited in number, and frees its place and the tail when a client goes', async (t) => {
    const { ask, open, live } = await sceneOf(t, { liveMax: 2 })
    const first = await open('/api/live')
    const second = await open('/api/live')
    const refused = await ask('/api/live')
    assert.equal(refused.status, 503)
    assert.equal(refused.json.error.code, 'live_full')
    assert.equal((await ask('/api/health')).json.liveStreams, 2)
    first.destroy()
    second.destroy()
    await until(() => live.open() === 0, 'the end of the tail')
    const third = listen(await open('/api/live'))
    await until(() => live.open() === 1, 'a new tail')
    live.append(rowOf(1, now))
    await until(() => eventsOf(third).length === 1, 'an event on the new tail')
  })

  it('lets a client go that does not read, and tells it what it missed; others see all', async (t) => {
    const { open, live } = await sceneOf(t)
    const slow = await open('/api/live')
    slow.pause()
    const quick = listen(await open('/api/live'))
    await until(() => live.open() === 1, 'the tail')
    const parameters = JSON.stringify({ text: 'x'.repeat(20_000) })
    const total = 1_500
    for (let n = 0; n < total; n += 10) {
      live.append(...Array.from({ length: 10 }, (_, i) => rowOf(n + i, now, { parameters })))
      await until(() => eventsCount(quick) >= n, 'the quick client')
    }
    await until(() => eventsCount(quick) === total, 'all events at the quick client')
    const late = listen(slow)
    slow.resume()
    await until(() => late.hasEnded, 'the end of the slow stream')
    const missed = Number(/event: dropped\ndata: \{"missed":(\d+)\}\n\n$/.exec(late.text)?.[1])
    assert.ok(missed > 0)
    assert.equal(eventsCount(late) + missed, total)
    assert.ok(late.text.includes(`: too slow, ${missed} events were missed\n`))
    assert.equal(quick.hasEnded, false)
  })

  it('ends when the log cannot be read, for clients to come back', async (t) => {
    const { open, live, errors } = await sceneOf(t)
    const listener = listen(await open('/api/live'))
    await until(() => live.open() === 1, 'the tail')
    live.fail(new Error('the segment is gone'))
    await until(() => listener.hasEnded, 'the end')
    assert.match(listener.text, /: the log is not readable now\n\n$/)
    assert.equal(errors.length, 1)
    const again = listen(await open('/api/live'))
    await until(() => live.open() === 1, 'another tail')
    live.append(rowOf(1, now))
    await until(() => eventsOf(again).length === 1, 'an event')
  })

  it('ends cleanly when the API stops', async (t) => {
    const { api, open, live } = await sceneOf(t)
    const listener = listen(await open('/api/live'))
    await until(() => live.open() === 1, 'the tail')
    await api.stop()
    await until(() => listener.hasEnded, 'the end')
    assert.match(listener.text, /: the server is stopping\n\n$/)
    assert.equal(listener.incoming.complete, true)
    await until(() => live.open() === 0, 'the end of the tail')
  })
})

/** Cheaper than reading megabytes of JSON again and again. */
const counted = new WeakMap<Listener, { at: number; count: number }>()

function eventsCount(listener: Listener): number {
  const seen = counted.get(listener) ?? { at: 0, count: 0 }
  for (;;) {
    const at = listener.text.indexOf('\nid: ', seen.at)
    if (at < 0) break
    seen.at = at + 1
    seen.count++
  }
  counted.set(listener, seen)
  return seen.count
}
