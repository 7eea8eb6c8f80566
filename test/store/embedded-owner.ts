import { openSmall, recordsOf } from './embedded-scene.ts'
import { createRandom, log, topic } from './rows.ts'

/** A process that owns a store: `node embedded-owner.ts FOLDER hold|write`. Says what was promised. */

const [folder = '', task] = process.argv.slice(2)
const store = await openSmall(folder)
let offset = (await store.positions(log, topic)).get(0) ?? 0
process.send?.(offset)
if (task === 'hold') setInterval(() => undefined, 60_000)
const random = createRandom(offset)
while (task === 'write') {
  const count = 1 + Math.floor(random() * 40)
  await store.write(recordsOf(offset, count))
  offset += count
  process.send?.(offset)
}
