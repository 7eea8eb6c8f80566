import { dayMs } from '../../src/lib/clock.ts'
import type { Filter, Row, Store, TimeRange } from '../../src/store/store.ts'
import { noon } from './rows.ts'

/** A store over a place that lives on: opening it again shows what was written. */
export interface StorePlace {
  open(): Promise<Store>
  remove(): Promise<void>
  /** Opens what `snapshot` has written; absent where copies are opened by other means. */
  openAt?(folder: string): Promise<Store>
  /** What was deleted stays so for days, whoever writes it again: a tombstone is later than its rows. */
  readonly deletionLasts?: boolean
  /** `health().bytes` knows what is on the disk, which is later than `write`. */
  readonly isSizedLater?: boolean
  /** What an event's two ids may have together. */
  readonly idBytesMax?: number
  /** Copies are the database's own business: `snapshot` refuses. */
  readonly isCopiedElsewhere?: boolean
}

export const always: TimeRange = { from: noon - 400 * dayMs, to: noon + 400 * dayMs }
export const anybody: Filter = { bots: 'include' }

/** All events, oldest first. */
export function readAll(store: Store, filter: Filter = anybody): Promise<readonly Row[]> {
  return store.events(always, filter, { order: 'asc', limit: 10_000 })
}

/** Runs `body` over a store of its own. */
export async function withStore(
  makePlace: () => StorePlace,
  body: (store: Store, place: StorePlace) => Promise<void>,
): Promise<void> {
  const place = makePlace()
  const store = await place.open()
  try {
    await body(store, place)
  } finally {
    await store.close()
    await place.remove()
  }
}
