import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { minuteMs } from '../../src/lib/clock.ts'
import { openEmbeddedStore } from '../../src/store/embedded/embedded.ts'
import type { Store, WriteBatch } from '../../src/store/store.ts'
import { readAll } from './place.ts'
import { at, log, makeDeadLetter, makeRow, noon, topic } from './rows.ts'

/** What the tests of the embedded store share. */

export const smallStore = { memoryBytes: 128 * 1024 * 1024, threads: 1 }

export function makeFolder(): string {
  return mkdtempSync(join(tmpdir(), 'millrace-store-'))
}

export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true })
}

export function openSmall(folder: string): Promise<Store> {
  return openEmbeddedStore({ ...smallStore, folder })
}

/** Runs `body` over a store of its own. */
export async function inFolder(
  body: (store: Store, folder: string) => Promise<void>,
): Promise<void> {
  const folder = makeFolder()
  try {
    const store = await openSmall(folder)
    try {
      await body(store, folder)
    } finally {
      await store.close()
    }
  } finally {
    removeFolder(folder)
  }
}

/** A process that owns the store of `folder`; `write` makes it write records without end. */
export async function startOwner(folder: string, task: 'hold' | 'write'): Promise<ChildProcess> {
  const child = fork(join(import.meta.dirname, 'embedded-owner.ts'), [folder, task])
  await once(child, 'message')
  return child
}

/** Ends a process as a power cut would, as far as a test can. */
export async function kill(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}

/**
 * The records `from` to `from + count` of a log in which every record leaves one thing behind: at
 * each tenth a dead letter, at each seventh a repeat of the event before, else an event.
 */
export function recordsOf(from: number, count: number): WriteBatch {
  const offsets = Array.from({ length: count }, (_, index) => from + index)
  return {
    rows: offsets.filter((offset) => offset % 10 !== 0).map((offset) => rowAt(offset)),
    deadLetters: offsets
      .filter((offset) => offset % 10 === 0)
      .map((offset) => makeDeadLetter(offset)),
    positions: [at(from + count)],
  }
}

function rowAt(offset: number): ReturnType<typeof makeRow> {
  const isRepeat = offset % 7 === 0 && offset % 10 > 1
  const event = isRepeat ? offset - 1 : offset
  return makeRow({
    eventId: `e${event}`,
    eventTime: noon + event,
    receivedAt: noon + event + (isRepeat ? minuteMs : 0),
    offset,
  })
}

/** Checks that the store holds exactly the records before its position; returns the position. */
export async function checkWhole(store: Store): Promise<number> {
  const position = (await store.positions(log, topic)).get(0) ?? 0
  const { rows, deadLetters } = recordsOf(0, position)
  const events = new Set(rows.map(({ eventId }) => eventId))
  const health = await store.health()
  assert.deepEqual(
    { events: health.events, duplicates: health.duplicates, deadLetters: health.deadLetters },
    { events: events.size, duplicates: rows.length - events.size, deadLetters: deadLetters.length },
  )
  if (position <= 10_000) {
    const stored = (await readAll(store)).map(({ eventId }) => eventId)
    assert.deepEqual(stored, [...events])
  }
  return position
}
