import { join } from 'node:path'
import { openEmbeddedLog } from '../../src/log/embedded/embedded.ts'
import { openSpooledLog } from '../../src/log/spool.ts'
import { embeddedOptions } from './embedded-scene.ts'
import { recordOf, schemaText } from './log.suite.ts'
import { awayError } from './spool-scene.ts'

/**
 * A process with a spool, to be killed: `FOLDER NAME away|back`. While the log is away it prints a
 * line for each record that is acknowledged; when it is back, one for each look at what is left.
 */
const [folder = '', name = '', log = ''] = process.argv.slice(2)
const spooled = await openSpooledLog({
  openLog: () =>
    log === 'away'
      ? Promise.reject(awayError)
      : openEmbeddedLog(embeddedOptions(join(folder, 'log'))),
  spool: await openEmbeddedLog(
    embeddedOptions(join(folder, 'spool'), { retentionDays: 0, write: true }),
  ),
  afterMs: 1_000,
  drainPerSecondMax: 1_000,
  recordBytesMax: 100_000,
  onLine: () => {},
})
await spooled.addSchema(schemaText)
for (let index = 0; ; index++) {
  if (log === 'away') {
    const texts = Array.from({ length: 20 }, (_, at) => `${name}-${index}-${at}`)
    await Promise.all(texts.map((text) => spooled.append([recordOf(text)])))
    process.stdout.write(`${texts.join('\n')}\n`)
  } else {
    process.stdout.write(`${await spooled.waiting()}\n`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
