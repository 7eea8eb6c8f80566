import { openSmall } from './embedded-scene.ts'
import { makeRow, noon } from './rows.ts'

/** Erases one party after the other without end; tells of each that is final. */
const [folder = ''] = process.argv.slice(2)
const store = await openSmall(folder)
const done = (await store.erasures()).length
for (let n = done; ; n++) {
  const at = noon + n * 10
  const rows = ['erased', 'kept'].map((kind) =>
    makeRow({ partyId: `${kind}-${n}-`, eventId: `${n}`, eventTime: at, offset: n }),
  )
  await store.write({ rows, deadLetters: [], positions: [] })
  await store.erase(`erased-${n}-`, at)
  await store.settleErasures(at, at + 1)
  process.send?.(n)
}
