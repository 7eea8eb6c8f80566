import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judgeTrace, traceRun } from './trace.ts'

const events = 200

test('in a trace of the system calls no 2xx precedes the sync that covers its event', async (t) => {
  const script = new URL('../../src/cli/millrace.ts', import.meta.url).pathname
  const verdict = await traceRun(script, ['collect'], events)
  t.diagnostic(JSON.stringify(verdict))
  assert.ok(verdict.answered >= events)
  assert.equal(verdict.early, 0)
})

test('with sync switched off the same trace shows answers without one', async (t) => {
  const script = new URL('unsynced.ts', import.meta.url).pathname
  const verdict = await traceRun(script, [], events)
  t.diagnostic(JSON.stringify(verdict))
  assert.ok(verdict.answered >= events)
  assert.ok(verdict.early > 0)
})

test('an answer while its sync is still under way counts as early', () => {
  const line = (call: string): string => `1 ${call}`
  const write = line('pwrite64(20</d/0.mdb>, "…event-1…", 4096, 0) = 4096')
  const answer = line('write(30<TCP:[1]>, "HTTP/1.1 200 OK\\r\\nContent-Type: image/gif", 90) = 90')
  const begun = '2 fdatasync(20</d/0.mdb> <unfinished ...>'
  const ended = '2 <... fdatasync resumed>) = 0'
  assert.equal(judgeTrace([write, begun, answer, ended].join('\n'), ['event-1']).early, 1)
  assert.equal(judgeTrace([write, begun, ended, answer].join('\n'), ['event-1']).early, 0)
})
