import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import type { HealthAnswer } from '../../../src/api/answer.ts'
import type { FaultRow } from './run.ts'

/**
 * Row 8: answers get lost after Kafka has acknowledged, and clients send again. What lies on the
 * log twice is one event in every table and every answer.
 */
export const lostAnswer: FaultRow = {
  number: 8,
  title: 'answer lost after Kafka’s ack, client retries',
  async run(scene, attempt) {
    const proxy = await openDroppingProxy(scene.collectPort())
    try {
      const driver = attempt.drive({ port: proxy.port, rate: 300, isPersistent: true })
      await driver.untilAcknowledged(1)
      await waitFor(attempt.random() * 1_500)
      const share = 0.2 + attempt.random() * 0.6
      proxy.drop = () => attempt.random() < share
      await waitFor(500 + attempt.random() * 500)
      const deadline = performance.now() + 60_000
      while (proxy.dropped === 0 && performance.now() < deadline) await waitFor(5)
      proxy.drop = () => false
      await driver.untilAcknowledged(50)
      await driver.stop()
      attempt.notes.push(`${proxy.dropped} answers dropped`)
      if (proxy.dropped === 0) attempt.broken.push('no answer was dropped')
    } finally {
      await proxy.close()
    }
  },
  /** The repeats that the API shows are those that the rows have. */
  async check(scene, attempt) {
    const { rows } = await scene.client.execute(
      `SELECT receipts FROM ${scene.keyspace}.click_stream`,
      [],
      { prepare: true, fetchSize: 50_000 },
    )
    const repeats = rows.reduce((sum, row) => sum + (row['receipts'] as Date[]).length - 1, 0)
    const health = (await (await fetch(`${scene.apiUrl}/api/health`)).json()) as HealthAnswer
    attempt.notes.push(`${repeats} repeats in all`)
    if (repeats === 0) attempt.broken.push('no event came twice')
    if (health.duplicates === repeats) return
    attempt.broken.push(`health counts ${health.duplicates} repeats, the rows have ${repeats}`)
  },
}

interface DroppingProxy {
  readonly port: number
  /** Asked when an answer begins: true closes the connection instead of passing it on. */
  drop: () => boolean
  readonly dropped: number
  close(): Promise<void>
}

/** Passes bytes on; whatever comes back from the server is, by then, durable. */
async function openDroppingProxy(target: number): Promise<DroppingProxy> {
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1')
    const end = (): void => {
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', end).on('close', () => {
        sockets.delete(socket)
        end()
      })
    }
    client.on('data', (bytes) => void upstream.write(bytes))
    upstream.on('data', (bytes) => {
      if (!proxy.drop()) return void client.write(bytes)
      proxy.dropped++
      end()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const proxy = {
    port: (server.address() as { port: number }).port,
    drop: () => false,
    dropped: 0,
    async close() {
      server.close()
      for (const socket of sockets) socket.destroy()
      await once(server, 'close')
    },
  }
  return proxy
}

function waitFor(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
