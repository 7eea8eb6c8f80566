/** Times as files have them, read as milliseconds since 1970. What names no zone is UTC. */

/** What a bare number counts. */
export const timeUnits = ['s', 'ms', 'us'] as const
export type TimeUnit = (typeof timeUnits)[number]

const perMs: Readonly<Record<TimeUnit, number>> = { s: 1_000, ms: 1, us: 0.001 }

const numberPattern = /^-?\d{1,18}(?:\.\d{1,12})?(?:[eE]\+?\d{1,2})?$/
const isoPattern =
  /^(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?)) ?(Z|z|UTC|[+-]\d\d(?::?\d\d)?)?$/
const dayPattern = /^\d{4}-\d\d-\d\d$/

/**
 * The time in `value`: ISO 8601 (a blank may stand for the `T`), or a number in `unit`; without one
 * its size says whether it counts seconds, milliseconds or microseconds. null for anything else.
 */
export function parseTime(value: unknown, unit?: TimeUnit): number | null {
  if (typeof value === 'number') return fromNumber(value, unit)
  if (typeof value !== 'string') return null
  const text = value.trim()
  if (numberPattern.test(text)) return fromNumber(Number(text), unit)
  if (dayPattern.test(text)) return fromIso(text, '00:00', 'Z')
  const [, day, clock, zone] = isoPattern.exec(text) ?? []
  return day === undefined || clock === undefined ? null : fromIso(day, clock, zone)
}

/** The time of a day and a time of day from two columns; null when either is none. */
export function parseDayAndClock(day: unknown, clock: unknown): number | null {
  if (typeof day !== 'string' || typeof clock !== 'string' || clock.trim() === '') return null
  return parseTime(`${day.trim()} ${clock.trim()}`)
}

/** Seconds until the year 5138, milliseconds from 1973 to 5138, microseconds beyond. */
function fromNumber(value: number, unit: TimeUnit | undefined): number | null {
  if (!Number.isFinite(value)) return null
  const size = Math.abs(value)
  const counted = unit ?? (size < 1e11 ? 's' : size < 1e14 ? 'ms' : 'us')
  return Math.round(value * perMs[counted])
}

function fromIso(day: string, clock: string, zone: string | undefined): number | null {
  const dayMs = Date.parse(`${day}T00:00:00Z`)
  // Date.parse takes the 30th of February for the 2nd of March.
  if (Number.isNaN(dayMs) || new Date(dayMs).toISOString().slice(0, 10) !== day) return null
  const timeMs = Date.parse(`${day}T${clock.replace(',', '.')}${zoneOf(zone)}`)
  return Number.isNaN(timeMs) ? null : timeMs
}

function zoneOf(zone: string | undefined): string {
  if (zone === undefined || /^(z|utc)$/i.test(zone)) return 'Z'
  const digits = zone.replace(':', '')
  return `${digits.slice(0, 3)}:${digits.slice(3) || '00'}`
}
