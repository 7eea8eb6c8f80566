import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { mentionsParty, partiesIn } from '../../src/event/mention.ts'

const id = '0:iq8k:Abc~_123'
const other = `o'neil "x" é🎉/1`

const places: readonly [text: string, id: string][] = [
  [`p=${encodeURIComponent(id)}&s=1`, id],
  [`t=pageView&p=${encodeURIComponent(id).toLowerCase().replace('abc', 'Abc')}&x=1`, id],
  [`a=1&p=${id}`, id],
  ['p=0%3AIQ8K%3AAbc~_123', id],
  ['p=0:00iq8k:Abc~_123', id],
  [JSON.stringify({ partyId: id, eventType: 3 }), id],
  ['{"partyId": "0:iq8k\\u003aAbc~_123"}', id],
  [`\u0000\u0018${id}\u0000`, id],
  [JSON.stringify({ events: [{ partyId: other }] }), other],
  ['{"partyId":"o\'neil \\"x\\" \\u00e9\\ud83c\\udf89\\/1"}', other],
  [`p=${encodeURIComponent(other)}`, other],
]

describe('a party in bytes that are no event', () => {
  it('is found as it is, percent-encoded and escaped, by its id and by what may be one', () => {
    for (const [text, wanted] of places) {
      const value = Buffer.from(text)
      assert.ok(mentionsParty(value, wanted), text)
      assert.ok(partiesIn(value).has(wanted), `${text}: ${[...partiesIn(value)]}`)
    }
  })

  it('is not found where another stands, or none', () => {
    for (const text of ['', 'p=', 'p=%', '{"partyId":1}', 'p=0:iq8k:Abc~_124', '\\u', '%zz']) {
      assert.ok(!mentionsParty(Buffer.from(text), id), text)
      assert.ok(!partiesIn(Buffer.from(text)).has(id), text)
    }
    assert.ok(!mentionsParty(Buffer.from('anything'), ''))
    // An id that goes on is another's.
    assert.ok(!partiesIn(Buffer.from(`p=${id}4`)).has(id))
  })

  it('does not stumble over bytes that are no text', () => {
    const value = Buffer.concat([
      Buffer.from([255, 254, 0, 128]),
      Buffer.from(id),
      Buffer.from([255]),
    ])
    assert.ok(mentionsParty(value, id))
    assert.ok(partiesIn(value).has(id))
  })
})
