/**
 * The contract of every model: the items of a session in, items with a score and a reason out. A
 * file each implements it; `chain.ts` asks one after the other.
 */

/** What is recommended from what. */
export type ModelName =
  | 'session-knn'
  | 'item-to-item'
  | 'item-knn'
  | 'trending'
  | 'recent'
  | 'popularity'
  | 'als'
  | 'co-occurrence'

/** What a model is asked. */
export interface RecommendRequest {
  /** In the order of the clicks; the last one is the current one. Unknown ones are passed over. */
  readonly items: readonly string[]
  /** ms since 1970: the moment for which it is asked. */
  readonly at: number
  /** Most items in the answer, from 1. */
  readonly limit: number
  /** False for what may not be returned: hidden, excluded, bought. */
  readonly isAllowed: (itemId: string) => boolean
}

/** One item of an answer. */
export interface Recommendation {
  readonly itemId: string
  /** Above 0; comparable within one model's answer only. */
  readonly score: number
  /** Why, as a person reads it. */
  readonly reason: string
}

/** A model that is ready to answer. */
export interface Recommender {
  readonly model: ModelName
  /** At most `limit` different items, best first; fewer or none when the model knows no more. */
  readonly recommend: (request: RecommendRequest) => readonly Recommendation[]
}

/** Most items of one answer, in every model and over HTTP. */
export const limitMax = 100

/** Of a session, only so many last different items have a say: a request's cost has a bound. */
export const sessionItemsUsed = 20
