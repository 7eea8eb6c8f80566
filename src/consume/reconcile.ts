import { type Clock, dayMs, minuteMs } from '../lib/clock.ts'
import type { Log, LogBatch, LogRecord, Offset } from '../log/log.ts'
import type { Position, Row, Store } from '../store/store.ts'
import { pagesOf } from './compare.ts'
import type { ForeignRecords } from './foreign.ts'
import { createRecordReader, type RecordReader, rowOf } from './row.ts'

/**
 * Compares a log with the store that was filled from it: each record up to where the store stands
 * must be there as something, or be gone for a reason.
 */

/** What became of a record. */
export const outcomes = ['row', 'repeat', 'deadLetter', 'erased', 'expired', 'missing'] as const
export type Outcome = (typeof outcomes)[number]

export interface ReconcileParts {
  readonly events: Log
  readonly rejected: Log
  readonly store: Pick<Store, 'positions' | 'events' | 'deadLetter' | 'erasures'>
  readonly clock: Clock
  /** How records of the topic `events` are read whose schema is not ours. */
  readonly foreign?: ForeignRecords | undefined
}

export interface ReconcileOptions {
  /** Where to begin in each partition; unset, at the oldest record kept. */
  readonly from?: number
  /** Only so many of the last stored ones of each partition. */
  readonly last?: number
  /** Records compared at once. */
  readonly batchRecords: number
  /** Days that the store keeps: older events are gone rightly. */
  readonly retentionDays: number
  readonly signal: AbortSignal
}

/** A record that should be in the store and is not. */
export interface MissingRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** null when the record cannot be read. */
  readonly eventId: string | null
  readonly partyId: string | null
}

export interface ReconcileProgress {
  readonly topic: string
  readonly read: number
  readonly total: number
  /** Those that were found missing since the last progress. */
  readonly missing: readonly MissingRecord[]
}

export type Reconciled = Readonly<Record<Outcome, number>> & {
  /** Records compared. */
  readonly read: number
  /** Records that the store has not read yet. */
  readonly waiting: number
  /** False when it was stopped before the end. */
  readonly complete: boolean
}

/** Compares both topics, one after the other. */
export async function reconcileLogs(
  parts: ReconcileParts,
  options: ReconcileOptions,
  onProgress: (progress: ReconcileProgress) => void,
): Promise<Reconciled> {
  const sum = { ...noOutcomes(), read: 0, waiting: 0, complete: true }
  for (const log of [parts.events, parts.rejected]) {
    const one = await reconcileLog(log, parts, options, onProgress)
    for (const name of [...outcomes, 'read', 'waiting'] as const) sum[name] += one[name]
    sum.complete &&= one.complete
  }
  return sum
}

interface Span {
  readonly from: Offset
  readonly to: Offset
}

async function reconcileLog(
  log: Log,
  parts: ReconcileParts,
  options: ReconcileOptions,
  onProgress: (progress: ReconcileProgress) => void,
): Promise<Reconciled> {
  const { spans, waiting } = await spansOf(log, parts.store, options)
  const left = new Map([...spans].filter(([, { from, to }]) => from < to))
  const total = [...left.values()].reduce((sum, { from, to }) => sum + to - from, 0)
  const reader = createRecordReader(log, parts.foreign)
  const counts = { ...noOutcomes() }
  let read = 0
  const { signal, batchRecords: recordsMax } = options
  const from = async (partition: number): Promise<Offset | 'end'> =>
    left.get(partition)?.from ?? 'end'
  if (left.size > 0) {
    for await (const batch of log.read({ from, recordsMax, untilEnd: true, signal })) {
      const to = spans.get(batch.partition)?.to ?? 0
      const records = batch.records.filter(({ offset }) => offset < to)
      await reader.prepare(records)
      const found = await classify(log, reader, { ...batch, records }, parts, options)
      for (const { outcome } of found) counts[outcome]++
      read += records.length
      const missing = found.flatMap(({ outcome, record }) =>
        outcome === 'missing' ? [record] : [],
      )
      onProgress({ topic: log.topic, read, total, missing })
      if (batch.nextOffset >= to) left.delete(batch.partition)
      if (left.size === 0) break
    }
  }
  // A log may leave offsets out, so that only its end tells that nothing more comes.
  return { ...counts, read, waiting, complete: !signal.aborted }
}

function noOutcomes(): Record<Outcome, number> {
  return { row: 0, repeat: 0, deadLetter: 0, erased: 0, expired: 0, missing: 0 }
}

/** What of each partition is compared, and how much the store has not read yet. */
async function spansOf(
  log: Log,
  store: ReconcileParts['store'],
  { from = 0, last = Number.POSITIVE_INFINITY }: ReconcileOptions,
): Promise<{ readonly spans: ReadonlyMap<number, Span>; readonly waiting: number }> {
  const positions = await store.positions(log.identity, log.topic)
  const spans = new Map<number, Span>()
  let waiting = 0
  for (const { partition, first, next } of await log.partitions()) {
    const to = Math.min(next, Math.max(first, positions.get(partition) ?? first))
    waiting += next - to
    const begin = Math.max(first, from, to - last)
    spans.set(partition, { from: begin as Offset, to: to as Offset })
  }
  return { spans, waiting }
}

interface Classified {
  readonly outcome: Outcome
  readonly record: MissingRecord
}

async function classify(
  log: Log,
  reader: RecordReader,
  batch: LogBatch,
  parts: ReconcileParts,
  options: ReconcileOptions,
): Promise<Classified[]> {
  const { partition, records } = batch
  const rows = new Map<LogRecord, Row>()
  if (log.topic !== 'rejected') {
    for (const record of records) {
      const row = tryRow(reader, partition, record)
      if (row !== undefined) rows.set(record, row)
    }
  }
  const stored = await findStored(parts.store, [...rows.values()])
  const found: Classified[] = []
  for (const record of records) {
    const row = rows.get(record)
    const outcome =
      (row && stored.get(row)) ??
      (await whyAbsent(parts, options, reader.position(partition, record), row))
    const { eventId = null, partyId = null } = row ?? {}
    const { offset } = record
    found.push({ outcome, record: { topic: log.topic, partition, offset, eventId, partyId } })
  }
  return found
}

function tryRow(reader: RecordReader, partition: number, record: LogRecord): Row | undefined {
  try {
    return rowOf(reader, partition, record)
  } catch {
    return undefined
  }
}

async function whyAbsent(
  { store, clock }: ReconcileParts,
  { retentionDays }: ReconcileOptions,
  position: Position,
  row: Row | undefined,
): Promise<Outcome> {
  if ((await store.deadLetter(position)) !== undefined) return 'deadLetter'
  if (row === undefined) return 'missing'
  const oldest = (Math.floor(clock() / dayMs) - retentionDays + 1) * dayMs
  if (row.eventTime < oldest) return 'expired'
  if (row.partyId === null) return 'missing'
  const erasures = await store.erasures(row.partyId)
  return erasures.some(({ at }) => row.receivedAt <= at) ? 'erased' : 'missing'
}

/** What is in the store of these rows' events: found in their order of time, a page at a time. */
async function findStored(
  store: Pick<Store, 'events'>,
  rows: readonly Row[],
): Promise<Map<Row, Outcome>> {
  const stored = new Map<Row, Outcome>()
  const wanted = new Map<string, Row[]>()
  for (const row of rows) {
    const key = identityOf(row)
    wanted.set(key, [...(wanted.get(key) ?? []), row])
  }
  const meet = (candidate: Row): void => {
    for (const row of wanted.get(identityOf(candidate)) ?? []) {
      // One event may be there under another time than this receipt has; see `claims` of the stores.
      stored.set(row, isSame(candidate.position, row.position) ? 'row' : 'repeat')
    }
  }
  for (const range of stretchesOf(rows)) {
    for await (const page of pagesOf(store, range, pageRows)) page.forEach(meet)
  }
  const absent = rows.filter((row) => !stored.has(row))
  for (const partyId of new Set(absent.map(({ partyId }) => partyId ?? ''))) {
    const times = absent.filter((row) => (row.partyId ?? '') === partyId).map(timeOf)
    const [from, to] = [Math.min(...times) - reachMs, Math.max(...times) + reachMs]
    for await (const page of pagesOf(store, { from, to }, pageRows, partyId)) page.forEach(meet)
  }
  return stored
}

const pageRows = 2_000
/** Events that are further apart than this are looked for apart. */
const gapMs = minuteMs
/** A tag gives up after six days, so receipts of one event lie no further apart than this. */
const reachMs = 14 * dayMs

function timeOf({ receivedAt }: Row): number {
  return receivedAt
}

function identityOf({ partyId, eventId }: Pick<Row, 'partyId' | 'eventId'>): string {
  return `${partyId ?? ''}\n${eventId}`.toWellFormed()
}

function isSame(a: Position, b: Position): boolean {
  return (
    a.offset === b.offset && a.partition === b.partition && a.log === b.log && a.topic === b.topic
  )
}

/** The ranges of time that hold these rows, without the long gaps between them. */
function stretchesOf(rows: readonly Row[]): { from: number; to: number }[] {
  const stretches: { from: number; to: number }[] = []
  for (const time of rows.map(({ eventTime }) => eventTime).sort((a, b) => a - b)) {
    const last = stretches.at(-1)
    if (last !== undefined && time - last.to <= gapMs) last.to = time + 1
    else stretches.push({ from: time, to: time + 1 })
  }
  return stretches
}
