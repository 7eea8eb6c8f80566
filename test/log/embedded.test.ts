import { openEmbeddedLog } from '../../src/log/embedded/embedded.ts'
import { embeddedOptions, temporaryFolder } from './embedded-scene.ts'
import { runLogSuite } from './log.suite.ts'

for (const segmentBytes of [16 * 1024, 16 * 1024 * 1024]) {
  const { folder, remove } = await temporaryFolder()
  runLogSuite(`embedded, segments of ${segmentBytes / 1024} KiB`, {
    open: (topic) => openEmbeddedLog(embeddedOptions(folder, { topic, segmentBytes })),
    dispose: remove,
  })
}
