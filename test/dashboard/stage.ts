import type { TestContext } from 'node:test'
import type { PositionAnswer } from '../../src/api/answer.ts'
import type { ApiOptions, ApiParts } from '../../src/api/api.ts'
import type { DeadLetter, Row, Store } from '../../src/store/store.ts'
import { type Scene, sceneOf } from '../api/scene.ts'
import { makeFolder, openSmall, removeFolder } from '../store/embedded-scene.ts'

/** The API over a real store in a folder of its own. */
export interface Stage extends Omit<Scene, 'store'> {
  readonly store: Store
  /** Rows that come now: stored first, then seen in the live view. */
  add(...rows: Row[]): Promise<void>
  /** What was asked to be replayed. */
  readonly replayed: (readonly PositionAnswer[] | 'all')[]
}

export interface StageInput {
  readonly rows?: readonly Row[]
  readonly letters?: readonly DeadLetter[]
  readonly options?: Partial<ApiOptions>
  readonly parts?: Partial<ApiParts>
}

/** @param input what is stored at the start, and what of the API is to be another way */
export async function stageOf(t: TestContext, input: StageInput = {}): Promise<Stage> {
  const { rows = [], letters = [], options, parts } = input
  const folder = makeFolder()
  const store = await openSmall(folder)
  await store.write({ rows, deadLetters: letters, positions: [] })
  const replayed: Stage['replayed'] = []
  const scene = await sceneOf(t, options, {
    store,
    clock: Date.now,
    // What is read again and where it goes is the consumer's; here it only counts as done.
    replayDeadLetters: async (which) => {
      replayed.push(which)
      const all = await store.deadLetters({ limit: 1_000 })
      const open = all.filter((letter) => letter.replayable && letter.replayedAt === null)
      const positions = which === 'all' ? open.map((letter) => letter.position) : which
      for (const position of positions) await store.markReplayed(position, Date.now())
      return { replayed: positions.length, failures: [] }
    },
    ...parts,
  })
  // After the API, which still asks.
  t.after(async () => {
    await store.close()
    removeFolder(folder)
  })
  return {
    ...scene,
    store,
    replayed,
    async add(...more) {
      await store.write({ rows: more, deadLetters: [], positions: [] })
      scene.live.append(...more)
    },
  }
}
