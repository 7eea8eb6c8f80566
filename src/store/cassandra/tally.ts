import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { addText, createHyperLogLog, type HyperLogLog, unite } from './hyperloglog.ts'
import type { CqlRow } from './session.ts'

/**
 * What is counted of a slot or a day: events by event type, items by event type, parties, repeats,
 * each apart for people and for bots. Tallies of spans that do not overlap add up.
 */
export interface Tally {
  /** By `keyOf(isBot, eventType)`. */
  readonly counts: Map<string, number>
  /** By `keyOf(isBot, eventType)`, then by item. */
  readonly items: Map<string, Map<string, number>>
  readonly people: HyperLogLog
  readonly bots: HyperLogLog
  /** Receipts of events beyond the first of each. */
  repeats: number
  /** Rows by shard; of a slot only, as another slot's shards may lie in other buckets. */
  readonly shards: Map<number, number>
}

/** What `countRow` needs, besides the key. */
export const tallyColumns = 'event_name, item_id, bot, receipts'

export function createTally(): Tally {
  return {
    counts: new Map(),
    items: new Map(),
    people: createHyperLogLog(),
    bots: createHyperLogLog(),
    repeats: 0,
    shards: new Map(),
  }
}

export function countRow(tally: Tally, row: CqlRow, shard = 0): void {
  const isBot = (row['bot'] as string) !== ''
  const key = keyOf(isBot, row['event_name'] as string)
  add(tally.counts, key, 1)
  const itemId = row['item_id'] as string | null
  if (itemId !== null) add(itemsOf(tally, key), itemId, 1)
  const partyId = row['click_stream_cookie_id'] as string
  if (partyId !== '') addText(isBot ? tally.bots : tally.people, partyId)
  tally.repeats += (row['receipts'] as unknown[]).length - 1
  tally.shards.set(shard, (tally.shards.get(shard) ?? 0) + 1)
}

/** Adds `other` to `into`, but for its shards. */
export function addTally(into: Tally, other: Tally): void {
  for (const [key, count] of other.counts) add(into.counts, key, count)
  for (const [key, items] of other.items) {
    const sums = itemsOf(into, key)
    for (const [itemId, count] of items) add(sums, itemId, count)
  }
  unite(into.people, other.people)
  unite(into.bots, other.bots)
  into.repeats += other.repeats
}

/** Events, those of bots included. */
export function eventsOf({ counts }: Pick<Tally, 'counts'>): number {
  let events = 0
  for (const count of counts.values()) events += count
  return events
}

function keyOf(isBot: boolean, eventType: string): string {
  return `${isBot ? 1 : 0}${eventType}`
}

/** What `keyOf` was made of. */
export function readKey(key: string): { isBot: boolean; eventType: string } {
  return { isBot: key.startsWith('1'), eventType: key.slice(1) }
}

function itemsOf({ items }: Tally, key: string): Map<string, number> {
  const known = items.get(key)
  if (known !== undefined) return known
  const made = new Map<string, number>()
  items.set(key, made)
  return made
}

function add(counts: Map<string, number>, key: string, count: number): void {
  counts.set(key, (counts.get(key) ?? 0) + count)
}

// The columns of the table: JSON and registers, compressed, so that a value is one cell.

export function encodeCounts({ counts }: Tally): Buffer {
  return zstdCompressSync(JSON.stringify([...counts]))
}

export function decodeCounts(blob: Buffer): Map<string, number> {
  return new Map(JSON.parse(zstdDecompressSync(blob).toString()))
}

export function encodeItems({ items }: Tally): Buffer {
  return zstdCompressSync(JSON.stringify([...items].map(([key, each]) => [key, [...each]])))
}

export function decodeItems(blob: Buffer): Map<string, Map<string, number>> {
  const pairs = JSON.parse(zstdDecompressSync(blob).toString()) as [string, [string, number][]][]
  return new Map(pairs.map(([key, items]) => [key, new Map(items)]))
}

export function encodeParties({ people, bots }: Tally): Buffer {
  return zstdCompressSync(Buffer.concat([people.registers, bots.registers]))
}

export function decodeParties(blob: Buffer): Pick<Tally, 'people' | 'bots'> {
  const registers = zstdDecompressSync(blob)
  const half = registers.length / 2
  return {
    people: { registers: registers.subarray(0, half) },
    bots: { registers: registers.subarray(half) },
  }
}

export function encodeShards({ shards }: Tally): Buffer {
  return zstdCompressSync(JSON.stringify([...shards]))
}

/** @param blob null of a tally that was made before shards were counted */
export function decodeShards(blob: Buffer | null): Map<number, number> {
  return new Map(blob === null ? [] : JSON.parse(zstdDecompressSync(blob).toString()))
}
