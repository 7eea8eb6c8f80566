import { dayMs } from '../../lib/clock.ts'
import { slotsOf } from '../bucket.ts'
import type { Day } from './days.ts'
import { slotMs } from './marks.ts'

/** The fullest bucket of a day, by its partition key. */
export interface FullBucket {
  readonly name: string
  readonly rows: number
}

export interface BucketCounts {
  /** @param shards rows of a five-minute slot by shard */
  readonly add: (slot: number, shards: ReadonlyMap<number, number>) => void
  /** Without a name when nothing was added. */
  readonly largest: () => Partial<FullBucket>
}

/** Puts the rows of five-minute slots together into the buckets of a day's layout. */
export function createBucketCounts({ number, layout }: Day): BucketCounts {
  const counts = new Map<string, { readonly index: number; readonly shard: number; rows: number }>()
  return {
    add(slot, shards) {
      const index = Math.floor((slot * slotMs) / layout.slotMs)
      for (const [shard, rows] of shards) {
        const key = `${index} ${shard}`
        const known = counts.get(key)
        if (known === undefined) counts.set(key, { index, shard, rows })
        else known.rows += rows
      }
    },
    largest() {
      const all = [...counts.values()]
      const largest = all.reduce(
        (most, each) => (each.rows > most.rows ? each : most),
        all[0] ?? none,
      )
      const slot = slotsOf(number, layout)[Math.min(largest.index, dayMs / layout.slotMs - 1)]
      const name = slot?.buckets[largest.shard]
      return name === undefined || largest.rows === 0 ? {} : { name, rows: largest.rows }
    },
  }
}

const none = { index: 0, shard: 0, rows: 0 }
