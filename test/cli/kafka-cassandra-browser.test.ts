import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { EventsAnswer } from '../../src/api/answer.ts'
import { openWay, signalDemo, until, type Way } from './way-scene.ts'

/** The whole way over real servers: a call in a browser's console, a row in a table of Cassandra. */

let way: Way

before(async () => {
  way = await openWay()
})

after(() => way?.close())

test('divolte.signal in the console is a row of click_stream, an answer, and on the dashboard', async () => {
  const { running, browser } = way
  const dashboard = await browser.context.newPage()
  await dashboard.goto(`${running.apiUrl}/`)
  // Headless Chromium is marked as a bot, which the page leaves out unless asked.
  await dashboard.getByLabel('Include bots').check()
  const { partyId, day, row } = await signalDemo(way)

  assert.equal(row.get('pk'), day)
  assert.equal(row.get('click_stream_cookie_id'), partyId)
  assert.equal(row.get('item_id'), '101321')
  assert.equal(row.get('url'), `${running.collectorUrl}/`)
  assert.equal(row.get('client_ip'), '127.0.0.0')
  assert.deepEqual(JSON.parse(row.get('parameters')), { item_id: 101321, event_date: 3213213 })
  assert.equal((row.get('event_date') as Date).toISOString().slice(0, 10), day)

  const event = await until('an answer', async () => {
    const query = 'last=1d&eventType=event&bots=include'
    const answer = await fetch(`${running.apiUrl}/api/events?${query}`)
    return ((await answer.json()) as EventsAnswer).events[0]
  })
  assert.deepEqual([event.partyId, event.itemId], [partyId, '101321'])
  await dashboard.getByText('101321').first().waitFor({ timeout: 10_000 })
})
