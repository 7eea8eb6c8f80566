import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { encodeEvent } from '../../src/event/encode.ts'
import type { Event } from '../../src/event/event.ts'
import { eventRecordSchema, rejectionRecordSchema } from '../../src/event/record.ts'
import { openEmbeddedLog } from '../../src/log/embedded/embedded.ts'
import type { Log } from '../../src/log/log.ts'
import { openEmbeddedStore } from '../../src/store/embedded/embedded.ts'
import type { HistorySource } from '../../src/store/history.ts'
import type { Store } from '../../src/store/store.ts'

/** Embedded logs and stores in a folder of its own, for the tests of moving and comparing. */
export interface Scene {
  readonly events: Log
  readonly rejected: Log
  openStore(name: string): Promise<Store & HistorySource>
}

export async function openScene(t: TestContext): Promise<Scene> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-moving-'))
  const closing: (() => Promise<void>)[] = []
  t.after(async () => {
    for (const close of closing.reverse()) await close()
    rmSync(folder, { recursive: true, force: true })
  })
  const openLog = async (topic: string): Promise<Log> => {
    const log = await openEmbeddedLog({
      folder: join(folder, 'log'),
      topic,
      retentionDays: 7,
      maxBytes: 1 << 28,
      segmentBytes: 1 << 24,
      syncIntervalMs: 0,
      diskReserveBytes: 0,
    })
    closing.push(() => log.close())
    return log
  }
  const events = await openLog('events')
  const rejected = await openLog('rejected')
  await events.addSchema(eventRecordSchema.text)
  await rejected.addSchema(rejectionRecordSchema.text)
  return {
    events,
    rejected,
    async openStore(name) {
      const options = { folder: join(folder, name), memoryBytes: 1 << 27, threads: 1 }
      const store = await openEmbeddedStore(options)
      closing.push(() => store.close())
      return store
    },
  }
}

export async function appendEvents(log: Log, events: readonly Event[]): Promise<void> {
  await log.append(
    events.map((event) => ({
      key: event.partyId ?? event.eventId,
      value: encodeEvent(event),
      schema: eventRecordSchema.fingerprint,
    })),
  )
}
