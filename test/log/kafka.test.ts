import { createConfluentFraming, type Framing, nakedFraming } from '../../src/log/kafka/framing.ts'
import { createSchemaRegistry } from '../../src/log/kafka/registry.ts'
import { sharedKafka } from '../services.ts'
import { openTestLog } from './kafka-scene.ts'
import { runLogSuite } from './log.suite.ts'
import { startRegistryServer } from './registry-server.ts'

const broker = await sharedKafka()
const registryServer = await startRegistryServer()

/** Of a process of its own: what another one registered is not remembered here. */
function confluent(topic: string): Framing {
  const registry = createSchemaRegistry({ url: registryServer.url, timeoutMs: 5_000 })
  return createConfluentFraming(registry, `${topic}-value`)
}

runLogSuite('kafka, naked, 5 partitions', {
  open: (topic) => openTestLog(broker, topic, { partitions: 5, framing: nakedFraming }),
  dispose: async () => {},
})

runLogSuite('kafka, confluent framing, 1 partition', {
  open: (topic) => openTestLog(broker, topic, { partitions: 1, framing: confluent(topic) }),
  dispose: () => registryServer.close(),
})
