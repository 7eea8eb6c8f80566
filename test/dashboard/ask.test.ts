import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ProblemError, parse, problemOf, queryOf, readAnswer } from '../../src/dashboard/ask.ts'

const error = { code: 'question_too_large', message: 'Too large', hint: 'Ask for less' }

function problemIn(status: number, text: string): unknown {
  try {
    readAnswer(status, text)
  } catch (thrown) {
    assert.ok(thrown instanceof ProblemError)
    return problemOf(thrown)
  }
  throw new Error('it was an answer')
}

describe('answers of the API', () => {
  it('are told with their hint when they are errors, passing ones as such', () => {
    const text = JSON.stringify({ error })
    const problem = { message: 'Too large', hint: 'Ask for less', isPassing: false }
    assert.deepEqual(problemIn(422, text), problem)
    assert.deepEqual(problemIn(503, text), { ...problem, isPassing: true })
    assert.deepEqual(problemIn(429, text), { ...problem, isPassing: true })
  })

  it('are passing problems when a proxy answers, or only half of one comes', () => {
    for (const text of ['<h1>Bad Gateway</h1>', '{"rows":[', '']) {
      const { isPassing, message } = problemIn(502, text) as Record<string, unknown>
      assert.deepEqual(
        { isPassing, message },
        { isPassing: true, message: 'The server answered 502' },
      )
    }
  })

  it('are answers also with 503: a health that is bad', () => {
    assert.deepEqual(readAnswer(503, '{"ok":false}'), { ok: false })
  })

  it('keep all digits of numbers', () => {
    const text = '{"n":9007199254740993,"m":1.10,"k":7}'
    const answer = parse(text) as { k: number }
    assert.equal(answer.k, 7)
    assert.equal(JSON.stringify(answer), text)
  })

  it('are asked without members that nobody gave, and with others as they are', () => {
    assert.equal(
      queryOf({ last: '30d', eventType: '', limit: undefined, item: 'a&b=c' }),
      'last=30d&item=a%26b%3Dc',
    )
  })
})
