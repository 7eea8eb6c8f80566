import { openEmbeddedStore } from '../../src/store/embedded/embedded.ts'
import { smallStore } from './embedded-scene.ts'

/** A process that closes a day and is killed after a step: `node embedded-closer.ts FOLDER DAY STEP`. */

const [folder = '', day = '', fatalStep] = process.argv.slice(2)
const store = await openEmbeddedStore({
  ...smallStore,
  folder,
  async onRewriteStep(step) {
    if (step !== fatalStep) return
    process.kill(process.pid, 'SIGKILL')
    await new Promise(() => undefined)
  },
})
await store.closeDay(day)
await store.close()
