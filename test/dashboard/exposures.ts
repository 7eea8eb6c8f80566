import type { Row } from '../../src/store/store.ts'
import { createRandom, makeRow, randomText } from '../store/rows.ts'

/** Recommendations that were seen, and clicks on them, of 89 days; the same in every run. */

const dayMs = 86_400_000
const items = ['oak-table-3', 'lamp-208', 'chair-14', 'rug-71', 'shelf-990', 'vase-5']
const models = ['session-knn', 'session-knn', 'session-knn', 'trending', 'recent']

/** Rows up to `nowMs`; better positions and models are clicked more. */
export function exposureRows(nowMs: number, perDay = 6): Row[] {
  const random = createRandom(7)
  const rows: Row[] = []
  // Of 89, some would lie before the 90 days of UTC that the page shows.
  for (let day = 88; day >= 0; day--) {
    for (let n = 0; n < perDay; n++) {
      const at = nowMs - day * dayMs - Math.floor(random() * dayMs * 0.4) - 60_000
      const recommendation_id = randomText(random).slice(0, 22)
      const model = models[Math.floor(random() * models.length)] as string
      const seen = items.slice(0, 3 + Math.floor(random() * 3)).map((item_id, place) => {
        return { item_id, position: place + 1, model }
      })
      rows.push(rowOf(rows.length, at, 'impression', null, { recommendation_id, items: seen }))
      for (const { item_id, position } of seen) {
        const chance = (model === 'session-knn' ? 0.3 : 0.1) / position
        if (random() >= chance) continue
        const said = { recommendation_id, item_id, position, model }
        rows.push(rowOf(rows.length, at + 20_000, 'click', item_id, said))
      }
    }
  }
  return rows
}

function rowOf(n: number, at: number, eventType: string, itemId: string | null, said: object): Row {
  const parameters = JSON.stringify(said)
  const eventId = `exposure-${n}`
  return makeRow({ eventId, eventTime: at, eventType, itemId, parameters, offset: 5_000_000 + n })
}
