/**
 * Models that are kept in the store: what `millrace recommend build` and the Spark job make, and what
 * serving reads. A model is a version with items in parts; nothing in it is of a party. Whoever reads
 * one checks it against the counts that its maker wrote last, so a half-written one is known.
 */

/** An item, and those that it shares most sessions with. */
export interface ModelItem {
  readonly itemId: string
  /** Sessions with the item. */
  readonly sessions: number
  /** Most sessions first; of equal counts the item that sorts first, by its UTF-8 bytes. */
  readonly neighbours: readonly ModelNeighbour[]
}

export interface ModelNeighbour {
  readonly itemId: string
  /** Sessions with both. */
  readonly sessions: number
}

/** What makes them; the Spark job writes the same tables. */
export type ModelEngine = 'embedded' | 'spark'

/** A model that is about to be written. */
export interface NewModel {
  /** Names it: letters, digits and `-`, at most 64; versions that are made later sort later. */
  readonly version: string
  readonly engine: ModelEngine
  /** First and last day of what it was made from; UTC, `YYYY-MM-DD`. */
  readonly firstDay: string
  readonly lastDay: string
  /** ms since 1970. */
  readonly startedAt: number
}

/** What is in a model, counted by who made it. */
export interface ModelCounts {
  readonly items: number
  /** Neighbours of all items. */
  readonly pairs: number
  /** The sum of the sessions of all neighbours. */
  readonly together: number
}

/** A model as it stands in the store. */
export interface StoredModel extends NewModel {
  /** ms since 1970; null while it is half written. */
  readonly completedAt: number | null
  /** null while it is half written. */
  readonly counts: ModelCounts | null
}

/** Every model has so many parts, from 0: none is too large for one write or one read. */
export const modelParts = 16

/** Neighbours of one item: more than any answer needs. */
export const modelNeighboursMax = 100

/** How models are kept. All methods throw MillraceError `store_unavailable` when it can't be done now. */
export interface ModelStore {
  /** Notes durably that a model is being written, so that what is left of it can be dropped. */
  begin(model: NewModel): Promise<void>

  /**
   * Adds items to a part. The same again changes nothing.
   * @throws MillraceError `model_unknown` when it was not begun
   */
  put(version: string, part: number, items: readonly ModelItem[]): Promise<void>

  /**
   * Says that all parts are written, and what has to be in them.
   * @throws MillraceError `model_unknown`
   */
  complete(version: string, counts: ModelCounts, at: number): Promise<void>

  /** All models, complete or not, newest first. */
  list(): Promise<readonly StoredModel[]>

  /** The items of a part, in no order. */
  part(version: string, part: number): Promise<readonly ModelItem[]>

  /** The version that answers. */
  served(): Promise<string | undefined>

  /**
   * Lets a version answer in the place of `instead` (undefined: of none); false when another one
   * answers by now.
   */
  serve(version: string, instead: string | undefined): Promise<boolean>

  /** Deletes a model, half written or not; but for the one that answers, of which it says false. */
  drop(version: string): Promise<boolean>
}

/** What both kinds of store have. */
export interface HasModels {
  readonly models: ModelStore
}

/** The counts of items, to be written or to be compared. */
export function countModel(items: Iterable<ModelItem>): ModelCounts {
  let [count, pairs, together] = [0, 0, 0]
  for (const { neighbours } of items) {
    count++
    pairs += neighbours.length
    for (const { sessions } of neighbours) together += sessions
  }
  return { items: count, pairs, together }
}

/** The order of neighbours: most sessions first, then by UTF-8 bytes. */
export function compareNeighbours(a: ModelNeighbour, b: ModelNeighbour): number {
  return b.sessions - a.sessions || Buffer.compare(Buffer.from(a.itemId), Buffer.from(b.itemId))
}
