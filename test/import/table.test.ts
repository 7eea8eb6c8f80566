import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readAll, sourceOf } from './scene.ts'

/** Tables: what becomes of good rows, and of bad ones between them. */

const map = 'session=SessionId,item=ItemId,time=Time'

test('a row is a page view of its session, which stands for the party that nobody knows', async (t) => {
  const text = 'SessionId\tItemId\tTime\n3\t214716935\t1396437466.94\n'
  const { events, refused } = await readAll(sourceOf(t, text, { format: 'tsv', columns: map }))
  assert.deepEqual(refused, [])
  const [event] = events
  assert.equal(event?.eventType, 'pageView')
  assert.equal(event?.partyId, '3')
  assert.equal(event?.sessionId, '3')
  assert.equal(event?.itemId, '214716935')
  for (const time of [event?.eventTime, event?.receivedAt, event?.clientTime]) {
    assert.equal(time, 1_396_437_466_940)
  }
})

test('the delimiter is what the header has most of, and a time may stand in two columns', async (t) => {
  const text = '\ufeffCOOKIE;Date;Time;Order\r\nabc;1999-06-24;10:06:37;0\r\n\r\n'
  const columns = 'party=COOKIE,day=Date,clock=Time'
  const { events } = await readAll(
    sourceOf(t, text, { format: 'csv', columns, parameters: ['Order'] }),
  )
  assert.equal(events.length, 1)
  assert.equal(events[0]?.eventTime, Date.UTC(1999, 5, 24, 10, 6, 37))
  assert.equal(events[0]?.partyId, 'abc')
  assert.equal(events[0]?.sessionId, null)
  assert.equal(events[0]?.parameters, '{"Order":"0"}')
})

test('without a map, columns are taken by the names of fields and of the API', async (t) => {
  const text =
    'eventTime,partyId,eventType,location,referer,userAgent,parameters,other\n' +
    '2026-03-10T12:00:00Z,p1,"add""To,Basket",https://a/,https://b/,"Mozilla/5.0 (compatible; Googlebot/2.1)","{""item_id"": 12345678901234567890}",x\n'
  const { events } = await readAll(sourceOf(t, text, { format: 'csv' }))
  const [event] = events
  assert.equal(event?.eventType, 'add"To,Basket')
  assert.equal(event?.location, 'https://a/')
  assert.equal(event?.referer, 'https://b/')
  assert.match(event?.bot ?? '', /Googlebot/i)
  assert.equal(event?.parameters, '{"item_id":12345678901234567890}', 'all digits are kept')
  assert.equal(event?.itemId, '12345678901234567890')
})

test('a bad row is refused with its line and reason, and its neighbours are rows', async (t) => {
  const rows = [
    's,t,u',
    'good1,1396437466,',
    'short,1396437466',
    'nowhen,,',
    'late,soon,',
    'stray "quote,1396437466,',
    'good2,1396437467,',
    'bad"ly",1396437466,"open',
    'good3,1396437468,"two',
    'lines"',
    '"good4",1396437469,x',
    `${'x'.repeat(300)},1396437466,`,
    'control\u0001,1396437466,',
    'good5,1396437470,"never closed',
  ]
  const { events, refused, items } = await readAll(
    sourceOf(t, rows.join('\n'), {
      format: 'csv',
      columns: 'session=s,time=t,location=u',
    }),
  )
  assert.deepEqual(
    events.map(({ sessionId }) => sessionId),
    ['good1', 'good2', 'good3', 'good4'],
  )
  assert.equal(events[2]?.location, 'two\nlines')
  assert.deepEqual(
    refused.map(({ reason }) => reason.replace(/: The row cannot be an event: .*/s, '')),
    ['line 3', 'line 4', 'line 5', 'line 6', 'line 8', 'line 12', 'line 13', 'line 14'],
  )
  assert.match(refused[0]?.reason ?? '', /it has 2 columns where the header has 3/)
  assert.match(refused[1]?.reason ?? '', /it has no time/)
  assert.match(refused[2]?.reason ?? '', /"soon" is no time/)
  assert.match(refused[7]?.reason ?? '', /a quote is not closed/)
  assert.equal(refused[0]?.text, 'short,1396437466')
  assert.deepEqual(
    items.map(({ row }) => row),
    items.map((_item, index) => index),
    'every row has its number',
  )
})

test('in tab-separated files a quote is a character like any other', async (t) => {
  const text = 's\tt\ti\n"a\t1396437466\tb"c\n'
  const { events } = await readAll(
    sourceOf(t, text, { format: 'tsv', columns: 'session=s,time=t,item=i' }),
  )
  assert.equal(events[0]?.sessionId, '"a')
  assert.equal(events[0]?.itemId, 'b"c')
})

test('a line without an end in sight is refused without being held, and the next one is a row', async (t) => {
  const text = `s,t\n${'x'.repeat(3 * 1024 * 1024)},1\ngood,1396437466\n`
  const { events, refused } = await readAll(
    sourceOf(t, text, { format: 'csv', columns: 'session=s,time=t' }),
  )
  assert.equal(events[0]?.sessionId, 'good')
  assert.match(refused[0]?.reason ?? '', /^line 2: .*too long/)
})

test('a column that is not there is named beside those that are', async (t) => {
  const read = (columns?: string): Promise<unknown> =>
    readAll(sourceOf(t, 'SessionId,ItemId,Time\n', { format: 'csv', ...(columns && { columns }) }))
  await assert.rejects(read('session=Session,time=Time'), {
    code: 'import_columns',
    message: /"Session"; the file has "SessionId", "ItemId", "Time"/,
  })
  await assert.rejects(read('session=SessionId'), { code: 'import_columns', message: /time/ })
  await assert.rejects(read(), { code: 'import_columns', message: /SessionId, ItemId, Time/ })
  await assert.rejects(async () => read('sesion=SessionId'), /did you mean session/)
  await assert.rejects(async () => read('session'), { code: 'import_columns' })
  await assert.rejects(async () => read('time=Time,time=Time'), { code: 'import_columns' })
  await assert.rejects(readAll(sourceOf(t, '', { format: 'csv' })), { code: 'import_columns' })
})
