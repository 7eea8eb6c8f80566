/** Numbers and times for people: by the reader's language and zone, days in UTC. */

const wholeFormat = new Intl.NumberFormat()
const compactFormat = new Intl.NumberFormat(undefined, {
  notation: 'compact',
  maximumFractionDigits: 1,
})
const shareFormat = new Intl.NumberFormat(undefined, {
  style: 'percent',
  maximumFractionDigits: 1,
})
const timeFormat = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' })
const pastFormat = new Intl.DateTimeFormat(undefined, {
  day: 'numeric',
  month: 'short',
  hour: 'numeric',
  minute: '2-digit',
})
const momentFormat = new Intl.DateTimeFormat(undefined, {
  dateStyle: 'medium',
  timeStyle: 'medium',
})
const dayFormat = new Intl.DateTimeFormat(undefined, {
  weekday: 'short',
  day: 'numeric',
  month: 'short',
  timeZone: 'UTC',
})
const shortDayFormat = new Intl.DateTimeFormat(undefined, {
  day: 'numeric',
  month: 'short',
  timeZone: 'UTC',
})
const countryNames = new Intl.DisplayNames(undefined, { type: 'region', fallback: 'code' })

/** `1,234,567` */
export function formatCount(count: number): string {
  return wholeFormat.format(count)
}

/** `1.2M`, where there is little room. */
export function formatCompact(count: number): string {
  return compactFormat.format(count)
}

/** A part of a whole as per cent; '–' of nothing. */
export function formatShare(part: number, whole: number): string {
  if (whole === 0) return '–'
  const share = part / whole
  // What is there is not nothing, and what is not all is not all.
  if (share > 0 && share < 0.001) return `< ${shareFormat.format(0.001)}`
  if (share < 1 && share > 0.999) return `> ${shareFormat.format(0.999)}`
  return shareFormat.format(share)
}

/** The time of day in the reader's zone, of an ISO 8601 time. */
export function formatTime(iso: string): string {
  return timeFormat.format(new Date(iso))
}

/** The time of day, with the day before it unless it is the reader's today. */
export function formatRecent(iso: string, nowMs: number): string {
  const time = new Date(iso)
  const isToday = time.toDateString() === new Date(nowMs).toDateString()
  return isToday ? timeFormat.format(time) : pastFormat.format(time)
}

/** Day and time in the reader's zone, of an ISO 8601 time. */
export function formatMoment(iso: string): string {
  return momentFormat.format(new Date(iso))
}

/** `Tue, 3 Mar` of a UTC day. */
export function formatDay(day: string): string {
  return dayFormat.format(Date.parse(day))
}

/** `3 Mar` of a time in ms, in UTC. */
export function formatShortDay(timeMs: number): string {
  return shortDayFormat.format(timeMs)
}

/** How long ago, by the clock that both times are of. */
export function formatAge(thenIso: string, nowMs: number): string {
  const seconds = Math.max(0, Math.floor((nowMs - Date.parse(thenIso)) / 1_000))
  return seconds < 1 ? 'now' : `${formatSpan(seconds)} ago`
}

/** A length of time in its two greatest units: `2 min 10 s`. */
export function formatSpan(seconds: number): string {
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  if (whole < 3_600) return join(Math.floor(whole / 60), 'min', whole % 60, 's')
  const minutes = Math.floor(whole / 60)
  if (minutes < 1_440) return join(Math.floor(minutes / 60), 'h', minutes % 60, 'min')
  const hours = Math.floor(minutes / 60)
  return join(Math.floor(hours / 24), hours < 48 ? 'day' : 'days', hours % 24, 'h')
}

function join(much: number, unit: string, little: number, small: string): string {
  return little === 0 ? `${much} ${unit}` : `${much} ${unit} ${little} ${small}`
}

/** Bytes in the unit that fits. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(bytes, 1)) / 3))
  return `${compactFormat.format(bytes / 1_000 ** power)} ${units[power]}`
}

/** A country's name by its ISO 3166-1 alpha-2 code. */
export function formatCountry(code: string): string {
  if (!/^[A-Z]{2}$/.test(code)) return code === 'unknown' ? 'Unknown' : code
  return countryNames.of(code) ?? code
}

/** `1 event`, `2 events`. */
export function formatNumberOf(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`
}

/** An address that may become a link: http or https and nothing else. */
export function isWebAddress(text: string): boolean {
  return /^https?:\/\//i.test(text) && URL.canParse(text)
}

/** An address without what all of a site's have in common; anything else as it is. */
export function formatPlace(location: string): string {
  if (!isWebAddress(location)) return location
  const { host, pathname, search } = new URL(location)
  return host + pathname + search
}
