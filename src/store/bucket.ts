import { murmur3 } from '../event/checksum.ts'
import { dayMs, dayOf, minuteMs } from '../lib/clock.ts'

/**
 * How the events of one day are cut into store partitions, so that none grows without bound: by the
 * time of day (slots) and, inside a slot, by a hash of the party (shards). A party's events of a
 * slot lie in one bucket. The layout of a day is fixed before its first event is written.
 */
export interface Layout {
  /** A slot's length in ms; divides the day. */
  readonly slotMs: number
  readonly shards: number
}

/** Events that a bucket is planned for: some 20 MB, well under what Cassandra's guard rails warn of. */
const bucketEvents = 100_000

/**
 * Shards come before slots, as they spread the load of a moment over the cluster; more than this
 * would leave a batch of the consumer few rows for each partition.
 */
const shardsWanted = 64

const slotMinutes = [1440, 720, 360, 240, 120, 60, 30, 15, 5]

/** A day that is one bucket; its partition key is the day itself. */
export const wholeDay: Layout = { slotMs: dayMs, shards: 1 }

/** For a site that nothing is known of yet: good for 1.6 million events a day. */
export const firstDays: Layout = { slotMs: dayMs, shards: 16 }

/** The layout for a day of which at most `expected` events are expected. */
export function planLayout(expected: number): Layout {
  const buckets = Math.ceil(expected / bucketEvents)
  if (buckets <= 1) return wholeDay
  const slotsWanted = Math.ceil(buckets / Math.min(buckets, shardsWanted))
  const minutes = slotMinutes.find((each) => 1440 / each >= slotsWanted) ?? 5
  return { slotMs: minutes * minuteMs, shards: Math.ceil((buckets * minutes) / 1440) }
}

/** The whole days since 1970 of a time, UTC; also before 1970. */
export function dayNumberOf(timeMs: number): number {
  return Math.floor(timeMs / dayMs)
}

/**
 * The partition key of an event: `2026-11-22` in a day of one bucket, else `2026-11-22/1405/07`.
 * `day` is the name of its day, for who knows it already.
 */
export function bucketOf(
  layout: Layout,
  eventTime: number,
  partyId: string,
  eventId: string,
  day: string = dayOf(eventTime),
): string {
  if (isWholeDay(layout)) return day
  const timeOfDay = eventTime - dayNumberOf(eventTime) * dayMs
  const slot = Math.floor(timeOfDay / layout.slotMs)
  const hash = murmur3(Buffer.from(partyId === '' ? eventId : partyId)) >>> 0
  return bucketName(day, layout, slot, hash % layout.shards)
}

/** One slot of a day: all its buckets, which are read side by side. */
export interface Slot {
  /** ms since 1970: inside. */
  readonly from: number
  /** ms since 1970: not inside. */
  readonly to: number
  readonly buckets: readonly string[]
}

/** The slots of a day, in the order of time. */
export function slotsOf(day: number, layout: Layout): Slot[] {
  const start = day * dayMs
  const name = dayOf(start)
  if (isWholeDay(layout)) return [{ from: start, to: start + dayMs, buckets: [name] }]
  return Array.from({ length: dayMs / layout.slotMs }, (_, slot) => ({
    from: start + slot * layout.slotMs,
    to: start + (slot + 1) * layout.slotMs,
    buckets: Array.from({ length: layout.shards }, (_, shard) =>
      bucketName(name, layout, slot, shard),
    ),
  }))
}

/** The bucket of a party in each slot of a day, in the order of time. */
export function bucketsOfParty(day: number, layout: Layout, partyId: string): Slot[] {
  return slotsOf(day, layout).map(({ from, to }) => ({
    from,
    to,
    buckets: [bucketOf(layout, from, partyId, '')],
  }))
}

function isWholeDay({ slotMs, shards }: Layout): boolean {
  return slotMs === dayMs && shards === 1
}

function bucketName(day: string, { slotMs }: Layout, slot: number, shard: number): string {
  const minutes = (slot * slotMs) / minuteMs
  const hour = String(Math.floor(minutes / 60)).padStart(2, '0')
  const minute = String(minutes % 60).padStart(2, '0')
  return `${day}/${hour}${minute}/${String(shard).padStart(2, '0')}`
}
