import { describe } from 'node:test'
import { exposureRange, joinClicks, readClick, readImpression } from '../../src/store/exposure.ts'
import type { Row, Store } from '../../src/store/store.ts'
import { selectRows } from './naive.ts'
import { describeExposure } from './store-exposure.suite.ts'

/** What a store without joins does, over an array: the suite's promises without a server. */
describe('impressions and clicks joined in memory', () => {
  describeExposure(() => {
    const rows = new Map<string, Row>()
    const store: Pick<Store, 'write' | 'clickThrough' | 'close'> = {
      async write(batch) {
        for (const row of batch.rows) rows.set(`${row.eventTime} ${row.eventId}`, row)
        return undefined
      },
      async clickThrough(range, filter) {
        const selected = selectRows([...rows.values()], exposureRange(range), filter)
        const of = (type: string): Row[] => selected.filter(({ eventType }) => eventType === type)
        return joinClicks(
          of('impression').flatMap((row) => readImpression(row.parameters, row.eventTime)),
          of('click').flatMap((row) => readClick(row.parameters, row.itemId, row.eventTime) ?? []),
          range,
        )
      },
      close: async () => {},
    }
    return { open: async () => store as Store, remove: async () => {} }
  })
})
