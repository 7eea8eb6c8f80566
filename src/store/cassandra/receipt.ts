import { MillraceError } from '../../event/error.ts'
import { ClockSource, Privacy, Source } from '../../event/event.ts'
import { dayMs } from '../../lib/clock.ts'
import type { Placeable } from '../claims.ts'
import type { DeadLetter, Position, Row } from '../store.ts'

/** A row on its way in, with what the writer finds out about it. */
export type Receipt = Placeable

const clockSources: readonly string[] = Object.values(ClockSource)
const privacies: readonly string[] = Object.values(Privacy)
const sources: readonly string[] = Object.values(Source)

/** Of both ids together: Cassandra's limit on what orders the rows of a partition, but for a time. */
const idBytesMax = 65_000

/** Half of a commit log segment of 32 MiB holds one write; this leaves room for the rest of it. */
const rowBytesMax = 8 * 1024 * 1024

/** How far a `Date` reaches, in ms; CQL's timestamps come back as one. */
const timeMsMax = 8_640_000_000_000_000

/** Days of year 1 to 9999: what `YYYY-MM-DD` can name. */
const dayTimeMin = -62_135_596_800_000
const dayTimeMax = 253_402_300_799_999

/** The receipt of a row that `checkRow` has passed. */
export function receiptOf(row: Row): Receipt {
  const eventId = row.eventId.toWellFormed()
  const partyId = row.partyId === null ? '' : row.partyId.toWellFormed()
  return { row, eventId, partyId, eventTime: row.eventTime }
}

/** @throws MillraceError `record_invalid` when the row holds what no column can */
export function checkRow(row: Row): void {
  const { clockSource, source, privacy, position } = row
  if (
    !clockSources.includes(clockSource) ||
    !sources.includes(source) ||
    (privacy !== null && !privacies.includes(privacy))
  ) {
    throw invalid(`its clock source, source or privacy: ${clockSource}, ${source}, ${privacy}`)
  }
  for (const time of [row.clientTime, row.importedAt ?? 0]) {
    if (!isTime(time)) throw invalid(`a time is none: ${time}`)
  }
  for (const time of [row.eventTime, row.receivedAt]) {
    if (!isInDay(time)) throw invalid(`a time is in no day: ${time}`)
  }
  checkPosition(position)
  if (isLonger(row.eventId + (row.partyId ?? ''), idBytesMax)) {
    throw invalid(`its ids have more than ${idBytesMax} bytes`)
  }
  let characters = 0
  for (const text of [row.parameters, row.location, row.referer, row.userAgent, row.eventType]) {
    characters += text?.length ?? 0
  }
  if (characters * 3 > rowBytesMax) throw invalid(`it has more than ${rowBytesMax} bytes`)
}

/** @throws MillraceError `record_invalid` */
export function checkDeadLetter({ position, receivedAt }: DeadLetter): void {
  checkPosition(position)
  if (!isTime(Math.trunc(receivedAt))) throw invalid(`a time is none: ${receivedAt}`)
}

function checkPosition({ offset }: Position): void {
  if (!Number.isSafeInteger(offset)) throw invalid(`the offset is no whole number: ${offset}`)
}

function isTime(timeMs: number): boolean {
  return Number.isSafeInteger(timeMs) && Math.abs(timeMs) <= timeMsMax
}

/** Whether a time is in a day that has a name. */
export function isInDay(timeMs: number): boolean {
  return Number.isSafeInteger(timeMs) && timeMs >= dayTimeMin && timeMs <= dayTimeMax
}

function isLonger(text: string, bytes: number): boolean {
  // A UTF-16 unit is at most three bytes of UTF-8.
  return text.length * 3 > bytes && Buffer.byteLength(text) > bytes
}

function invalid(detail: string): MillraceError {
  return new MillraceError('record_invalid', detail)
}

/** Well before 2038, where expiry ends in Cassandra's older file formats. */
const ttlSecondsMax = 3_650 * 86_400

/**
 * Seconds from its receipt after which a row expires: at the end of its day plus retention. From the
 * record alone, so a replay gives the row at least the life that it had. At least an hour: what is
 * older than retention is `retain`'s to delete.
 */
export function ttlSeconds(
  eventTime: number,
  { receivedAt, importedAt }: Pick<Row, 'receivedAt' | 'importedAt'>,
  retentionDays: number,
): number {
  const end = (Math.floor(eventTime / dayMs) + 1 + retentionDays) * dayMs
  const seconds = Math.ceil((end - (importedAt ?? receivedAt)) / 1_000)
  return Math.min(ttlSecondsMax, Math.max(3_600, seconds))
}
