import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMillraceError } from '../../src/event/error.ts'
import {
  parseRecommend,
  parseRecommendBody,
  partyRecommendParameters,
  recommendParameters,
} from '../../src/recommend/question.ts'

test('a query string and a body ask the same', () => {
  const asked = { items: ['a b', 'ü'], exclude: ['x'], sessionId: 's', limit: 5 }
  const query = 'item=a+b&item=%C3%BC&exclude=x&session=s&limit=5'
  assert.deepEqual(parseRecommend(query, recommendParameters), asked)
  const body = { items: ['a b', 'ü'], exclude: ['x'], session: 's', limit: 5 }
  assert.deepEqual(parseRecommendBody(JSON.stringify(body)), asked)
  assert.deepEqual(parseRecommend('', recommendParameters), { items: [], exclude: [], limit: 10 })
  assert.equal(parseRecommend('party=p', partyRecommendParameters).partyId, 'p')
})

const badQueries = [
  ['limit=10000', /limit is at most 100, not 10000/],
  ['limit=0', /limit is a number from 1 to 100/],
  ['limit=1.5', /limit is a number/],
  ['limit=1&limit=2', /limit is given twice/],
  ['party=p', /unknown parameter "party"/],
  ['itm=a', /did you mean item\?/],
  ['item=', /items has an empty or no text/],
  [`item=${'x'.repeat(257)}`, /more than 256 characters/],
  [Array(101).fill('item=a').join('&'), /items has more than 100 entries/],
  [Array(1_001).fill('exclude=a').join('&'), /exclude has more than 1000 entries/],
  ['item=%zz', /broken percent escape/],
  ['__proto__=1', /unknown parameter/],
] as const

for (const [query, message] of badQueries) {
  test(`a query string is refused in words: ${query.slice(0, 30)}`, () => {
    assert.throws(
      () => parseRecommend(query, recommendParameters),
      (thrown) => isMillraceError(thrown, 'question_invalid') && message.test(thrown.message),
    )
  })
}

const badBodies = [
  ['{', 'body_not_json'],
  ['[]', 'question_invalid'],
  ['null', 'question_invalid'],
  ['{"item":"a"}', 'question_invalid'],
  ['{"items":"a"}', 'question_invalid'],
  ['{"items":[1]}', 'question_invalid'],
  ['{"limit":"5"}', 'question_invalid'],
  ['{"limit":101}', 'question_invalid'],
  ['{"session":{}}', 'question_invalid'],
  ['{"party":"p"}', 'question_invalid'],
] as const

for (const [body, code] of badBodies) {
  test(`a body is refused: ${body}`, () => {
    assert.throws(
      () => parseRecommendBody(body),
      (thrown) => isMillraceError(thrown, code),
    )
  })
}
