import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { encodeEvent } from '../../src/event/encode.ts'
import { divolteSchema } from '../../src/event/schema.ts'
import { eventLike } from '../consume/events.ts'

const folder = mkdtempSync(join(tmpdir(), 'millrace-python-'))
after(() => rmSync(folder, { recursive: true, force: true }))

test("Python's Avro reads our record by Divolte's schema and sees the same fields", () => {
  const schema = join(folder, 'divolte.avsc')
  writeFileSync(schema, JSON.stringify(divolteSchema))
  const events = [
    eventLike(1),
    { ...eventLike(2), partyId: null, location: 'https://example.com/😀', corrupt: true },
    {
      ...eventLike(3),
      parameters: '{"a":1}',
      viewportWidth: 1280,
      userAgent: 'shim/1.0',
      bot: 'user-agent',
    },
  ]
  const python = process.env['MILLRACE_PYTHON'] ?? '.venv/bin/python'
  const script = new URL('read_divolte.py', import.meta.url).pathname
  const input = events.map((event) => encodeEvent(event).toString('hex')).join('\n')
  const { stdout, stderr, status } = spawnSync(python, [script, schema], {
    input,
    encoding: 'utf8',
  })
  assert.equal(status, 0, stderr)
  const records = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
  assert.equal(records.length, events.length)
  for (const [index, event] of events.entries()) {
    assert.deepEqual(records[index], {
      detectedDuplicate: event.duplicate,
      detectedCorruption: event.corrupt,
      firstInSession: event.firstInSession,
      timestamp: event.receivedAt,
      clientTimestamp: event.clientTime,
      remoteHost: event.remoteAddress,
      referer: event.referer,
      location: event.location,
      viewportPixelWidth: event.viewportWidth,
      viewportPixelHeight: event.viewportHeight,
      screenPixelWidth: event.screenWidth,
      screenPixelHeight: event.screenHeight,
      partyId: event.partyId,
      sessionId: event.sessionId,
      pageViewId: event.pageViewId,
      eventType: event.eventType,
      userAgentString: event.userAgent,
      userAgentName: null,
      userAgentFamily: null,
      userAgentVendor: null,
      userAgentType: null,
      userAgentVersion: null,
      userAgentDeviceCategory: null,
      userAgentOsFamily: null,
      userAgentOsVersion: null,
      userAgentOsVendor: null,
    })
  }
})
