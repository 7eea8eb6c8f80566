import { MillraceError } from '../../event/error.ts'
import { hourMs } from '../../lib/clock.ts'
import type { DeadLetter, DeadLetterPage, Position, StoredDeadLetter } from '../store.ts'
import { forEachParallel, mapParallel } from './parallel.ts'
import { ttlSeconds } from './receipt.ts'
import { type CqlRow, int64, type Session, timeOf, type Value } from './session.ts'

/** Dead letters are known by their position; the first one at a position stays. */

const inFlightMax = 32

/** Of those that a page is looked for among, at once. */
const indexRowsMax = 1_000

/** Adds those whose position has none yet. The index comes first: what it leads to may be missing. */
export async function writeDeadLetters(
  session: Session,
  letters: readonly DeadLetter[],
  retentionDays: number,
): Promise<void> {
  const hours = new Set<number>()
  await forEachParallel(letters, inFlightMax, async (letter) => {
    const receivedAt = Math.trunc(letter.receivedAt)
    const hour = hourOf(receivedAt)
    const ttl = ttlSeconds(receivedAt, { receivedAt, importedAt: null }, retentionDays)
    if (!hours.has(hour)) {
      hours.add(hour)
      const insertHour = `INSERT INTO dead_letter_hours (name, hour) VALUES ('all', ?) USING TTL ?`
      await session.rows(insertHour, [int64(hour), ttl])
    }
    const { log, topic, partition, offset } = letter.position
    const isNew = await session.compareAndSet(
      `INSERT INTO dead_letters (log, topic, log_partition, log_offset, received_at, code, message, source, value, schema_id, replayable)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) IF NOT EXISTS USING TTL ?`,
      [
        ...[log, topic, partition, int64(offset), int64(receivedAt)],
        ...[letter.code, letter.message, letter.source, Buffer.from(letter.value)],
        ...[letter.schema, letter.replayable, ttl],
      ],
    )
    // A crash may have come in between: the same index row again does no harm.
    const indexed = isNew ? { receivedAt, code: letter.code } : await indexOf(session, letter)
    if (indexed === undefined) return
    const insertIndex = `INSERT INTO dead_letters_by_hour (hour, received_at, log, topic, log_partition, log_offset, code)
       VALUES (?, ?, ?, ?, ?, ?, ?) USING TTL ?`
    const time = indexed.receivedAt
    await session.rows(insertIndex, [
      ...[int64(hourOf(time)), int64(time), log, topic, partition, int64(offset)],
      ...[indexed.code, ttl],
    ])
  })
}

async function indexOf(
  session: Session,
  { position }: DeadLetter,
): Promise<{ receivedAt: number; code: string } | undefined> {
  const stored = await readDeadLetter(session, position)
  return stored && { receivedAt: stored.receivedAt, code: stored.code }
}

const columns =
  'log, topic, log_partition, log_offset, received_at, code, message, source, value, schema_id, replayable, replayed_at'

/** The dead letter of a position, or undefined. */
export async function readDeadLetter(
  session: Session,
  { log, topic, partition, offset }: Position,
): Promise<StoredDeadLetter | undefined> {
  const [row] = await session.rows(
    `SELECT ${columns} FROM dead_letters WHERE log = ? AND topic = ? AND log_partition = ? AND log_offset = ?`,
    [log, topic, partition, int64(offset)],
  )
  return row && letterOf(row)
}

/** One page, newest first; within a millisecond by position. */
export async function readDeadLetters(
  session: Session,
  { limit, after, code }: DeadLetterPage,
): Promise<StoredDeadLetter[]> {
  if (limit <= 0) return []
  const start = after && (await readDeadLetter(session, after))
  // Retention took it, and with it all that is older.
  if (after !== undefined && start === undefined) return []
  const positions: Position[] = []
  for (const hour of await readHours(session)) {
    if (start !== undefined && hour > hourOf(start.receivedAt)) continue
    await collectHour(session, hour, start, code, limit, positions)
    if (positions.length >= limit) break
  }
  const letters = await mapParallel(positions, inFlightMax, (at) => readDeadLetter(session, at))
  return letters.filter((letter) => letter !== undefined)
}

/** Adds positions of an hour's dead letters, newest first, until there are `limit`. */
async function collectHour(
  session: Session,
  hour: number,
  start: StoredDeadLetter | undefined,
  code: string | undefined,
  limit: number,
  positions: Position[],
): Promise<void> {
  const params: Value[] = [int64(hour)]
  let where = 'hour = ?'
  if (start !== undefined && hourOf(start.receivedAt) === hour) {
    const { log, topic, partition, offset } = start.position
    where += ' AND (received_at, log, topic, log_partition, log_offset) < (?, ?, ?, ?, ?)'
    params.push(int64(start.receivedAt), log, topic, partition, int64(offset))
  }
  const query = `SELECT log, topic, log_partition, log_offset, code FROM dead_letters_by_hour WHERE ${where}
    ORDER BY received_at DESC, log DESC, topic DESC, log_partition DESC, log_offset DESC`
  let state: string | undefined
  do {
    const page = await session.page(query, params, { rowsMax: indexRowsMax, state })
    for (const row of page.rows) {
      if (positions.length >= limit) return
      if (code === undefined || row['code'] === code) positions.push(positionOf(row))
    }
    state = page.state
  } while (state !== undefined)
}

/** The hours that have dead letters, newest first. */
async function readHours(session: Session): Promise<number[]> {
  const rows = await session.rows(
    `SELECT hour FROM dead_letter_hours WHERE name = 'all' ORDER BY hour DESC`,
  )
  return rows.map((row) => timeOf(row['hour']))
}

/**
 * Sets when the dead letter was replayed.
 * @throws MillraceError `dead_letter_unknown`
 */
export async function setReplayed(session: Session, position: Position, at: number): Promise<void> {
  const { log, topic, partition, offset } = position
  const key: Value[] = [log, topic, partition, int64(offset)]
  // What is added expires with the rest: a row that is left with one column would be no dead letter.
  const [left] = await session.rows(
    `SELECT received_at, TTL(received_at) AS ttl FROM dead_letters
     WHERE log = ? AND topic = ? AND log_partition = ? AND log_offset = ?`,
    key,
  )
  const isKnown =
    left !== undefined &&
    (await session.compareAndSet(
      `UPDATE dead_letters USING TTL ? SET replayed_at = ?
       WHERE log = ? AND topic = ? AND log_partition = ? AND log_offset = ? IF EXISTS`,
      [left['ttl'], int64(at), ...key],
    ))
  if (!isKnown) {
    throw new MillraceError('dead_letter_unknown', `${topic}/${partition}/${offset}`)
  }
  const time = timeOf(left['received_at'])
  await session.rows(
    `UPDATE dead_letters_by_hour USING TTL ? SET replayed_at = ?
     WHERE hour = ? AND received_at = ? AND log = ? AND topic = ? AND log_partition = ? AND log_offset = ?`,
    [left['ttl'], int64(at), int64(hourOf(time)), int64(time), ...key],
  )
}

/** A dead letter as it is counted: when it came, and whether it still waits. */
export interface CountedDeadLetter {
  readonly receivedAt: number
  readonly isWaiting: boolean
}

/** All dead letters received in `[from, to)`, a page at a time. */
export async function* scanDeadLetters(
  session: Session,
  { from, to }: { readonly from: number; readonly to: number },
): AsyncGenerator<CountedDeadLetter[], void, undefined> {
  for (const hour of await readHours(session)) {
    if (hour + hourMs <= from || hour >= to) continue
    let state: string | undefined
    do {
      const query = 'SELECT received_at, replayed_at FROM dead_letters_by_hour WHERE hour = ?'
      const page = await session.page(query, [int64(hour)], { rowsMax: 5_000, state })
      yield page.rows
        .map((row) => ({
          receivedAt: timeOf(row['received_at']),
          isWaiting: row['replayed_at'] === null,
        }))
        .filter(({ receivedAt }) => receivedAt >= from && receivedAt < to)
      state = page.state
    } while (state !== undefined)
  }
}

/** Position and bytes of every dead letter, some at a time. */
export async function* scanValues(
  session: Session,
): AsyncGenerator<Pick<DeadLetter, 'position' | 'value'>[], void, undefined> {
  const query = 'SELECT log, topic, log_partition, log_offset, value FROM dead_letters'
  let state: string | undefined
  do {
    const page = await session.page(query, [], { rowsMax: 200, state })
    yield page.rows.map((row) => ({ position: positionOf(row), value: row['value'] as Buffer }))
    state = page.state
  } while (state !== undefined)
}

/** Deletes one dead letter. */
export async function deleteDeadLetter(session: Session, position: Position): Promise<void> {
  const letter = await readDeadLetter(session, position)
  if (letter === undefined) return
  const { log, topic, partition, offset } = position
  const key: Value[] = [log, topic, partition, int64(offset)]
  const time = letter.receivedAt
  await session.rows(
    `DELETE FROM dead_letters_by_hour
     WHERE hour = ? AND received_at = ? AND log = ? AND topic = ? AND log_partition = ? AND log_offset = ?`,
    [int64(hourOf(time)), int64(time), ...key],
  )
  await session.compareAndSet(
    'DELETE FROM dead_letters WHERE log = ? AND topic = ? AND log_partition = ? AND log_offset = ? IF EXISTS',
    key,
  )
}

/** Deletes the dead letters of whole hours before `oldest`. */
export async function deleteDeadLetters(session: Session, oldest: number): Promise<void> {
  const hours = (await readHours(session)).filter((hour) => hour + hourMs <= oldest)
  for (const hour of hours) {
    const query = `SELECT log, topic, log_partition, log_offset FROM dead_letters_by_hour WHERE hour = ?`
    const rows = await session.rows(query, [int64(hour)])
    await forEachParallel(rows, inFlightMax, async (row) => {
      const { log, topic, partition, offset } = positionOf(row)
      await session.compareAndSet(
        'DELETE FROM dead_letters WHERE log = ? AND topic = ? AND log_partition = ? AND log_offset = ? IF EXISTS',
        [log, topic, partition, int64(offset)],
      )
    })
    await session.rows('DELETE FROM dead_letters_by_hour WHERE hour = ?', [int64(hour)])
    await session.rows(`DELETE FROM dead_letter_hours WHERE name = 'all' AND hour = ?`, [
      int64(hour),
    ])
  }
}

function hourOf(timeMs: number): number {
  return Math.floor(timeMs / hourMs) * hourMs
}

function positionOf(row: CqlRow): Position {
  return {
    log: row['log'],
    topic: row['topic'],
    partition: row['log_partition'],
    offset: Number(row['log_offset']),
  }
}

function letterOf(row: CqlRow): StoredDeadLetter {
  return {
    position: positionOf(row),
    receivedAt: timeOf(row['received_at']),
    code: row['code'],
    message: row['message'],
    source: row['source'],
    value: Uint8Array.from(row['value'] as Buffer),
    schema: row['schema_id'],
    replayable: row['replayable'],
    replayedAt: row['replayed_at'] === null ? null : timeOf(row['replayed_at']),
  }
}
