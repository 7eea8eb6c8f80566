import { toError } from '../lib/assert.ts'
import { minuteMs, secondMs } from '../lib/clock.ts'
import { backoffMs, waitMs } from '../lib/retry.ts'
import type { ModelStore } from '../store/models.ts'
import { readModel } from './model-read.ts'
import { createModelRecommender } from './model-recommender.ts'
import type { Recommender } from './recommend.ts'

/** The published model of the store, as it is now: whoever answers asks for it each time. */
export interface ModelFollower {
  /** undefined until one is published and read. */
  readonly recommender: () => Recommender | undefined
  /** Looks now; a model that cannot be read leaves the one before in its place. */
  readonly look: () => Promise<void>
  readonly stop: () => Promise<void>
}

export interface ModelFollowerOptions {
  readonly refreshSeconds: number
  /** Takes lines that an operator should see. */
  readonly onLine?: (line: string) => void
}

const retry = { initialMs: secondMs, maxMs: minuteMs }

/** Follows what is published until it is stopped. The model is put in the old one's place when it is whole. */
export function followModel(models: ModelStore, options: ModelFollowerOptions): ModelFollower {
  let answering: { readonly version: string; readonly recommender: Recommender } | undefined
  /** The last one that could not be read: it is told once. */
  let refused: string | undefined
  const stopping = new AbortController()

  async function look(): Promise<void> {
    const version = await models.served()
    if (version === undefined || version === answering?.version) return
    try {
      const { items } = await readModel(models, version)
      answering = { version, recommender: createModelRecommender(version, items) }
      refused = undefined
    } catch (thrown) {
      if (refused !== version) {
        const kept = answering === undefined ? 'none is served' : `${answering.version} stays`
        options.onLine?.(`model ${version} is not served, ${kept}: ${toError(thrown).message}`)
      }
      refused = version
      throw thrown
    }
  }

  async function follow(): Promise<void> {
    let attempt = 0
    while (!stopping.signal.aborted) {
      try {
        await look()
        attempt = 0
        await waitMs(options.refreshSeconds * secondMs, stopping.signal)
      } catch {
        await waitMs(backoffMs(++attempt, retry), stopping.signal)
      }
    }
  }

  const following = follow()
  return {
    recommender: () => answering?.recommender,
    look,
    async stop() {
      stopping.abort()
      await following
    },
  }
}
