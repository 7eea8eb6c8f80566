import { existsSync, writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { openEmbeddedLog } from '../../src/log/embedded/embedded.ts'
import { embeddedOptions } from './embedded-scene.ts'
import { recordOf } from './log.suite.ts'

/**
 * A process for tests: appends records whose texts begin with `name`, `inFlight` at a time, and
 * prints the text of each when it is acknowledged. Modes:
 * - `steady`: appends `count` records, then closes the log; 0 means for ever.
 * - `together`: as steady, once it has the partition, has printed a line and finds `<folder>.begin`.
 * - `early`: prints before it is acknowledged, and dies: what a test of losses must notice.
 * - `unsynced`: as steady, with syncs off.
 * - `hold`: takes the partition, prints once, and stays.
 */
const [folder = '', mode = 'steady', name = 'w', count = '0', inFlight = '1', segmentBytes = ''] =
  process.argv.slice(2)

const log = await openEmbeddedLog(
  embeddedOptions(folder, {
    sync: mode !== 'unsynced',
    write: true,
    ...(segmentBytes === '' ? {} : { segmentBytes: Number(segmentBytes) }),
  }),
)
let written = 0

/** At once, so that a kill does not take it along; a full pipe is tried again. */
function print(line: string): void {
  for (;;) {
    try {
      writeSync(1, `${line}\n`)
      return
    } catch (thrown) {
      if ((thrown as { code?: string }).code !== 'EAGAIN') throw thrown
    }
  }
}

async function lane(): Promise<void> {
  while (count === '0' || written < Number(count)) {
    const text = `${name}-${written++}`
    await log.append([recordOf(text.padEnd(200, '.'))])
    print(text)
  }
}

if (mode === 'hold') {
  print('holding')
  setInterval(() => undefined, 1_000)
} else if (mode === 'early') {
  for (; written < Number(count); written++) {
    void log.append([recordOf(`${name}-${written}`.padEnd(200, '.'))])
    print(`${name}-${written}`)
  }
  process.kill(process.pid, 'SIGKILL')
} else {
  if (mode === 'together') {
    print('ready')
    while (!existsSync(`${folder}.begin`)) await sleep(5)
  }
  await Promise.all(Array.from({ length: Number(inFlight) }, lane))
  await log.close()
}
