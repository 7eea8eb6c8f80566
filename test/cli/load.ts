import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { tagRequest } from '../../benchmark/requests.ts'

/** Requests of a tag over some connections that are kept, one after the other on each. */
export interface Load {
  /** Ids of events that were answered with 200. */
  readonly acknowledged: Set<string>
  /** All other answers, and requests without one. */
  readonly failures: string[]
  /** Milliseconds of the slowest answer. */
  slowestMs: number
  /** Resolves when so many more events are acknowledged. */
  more(count: number): Promise<void>
  /** Resolves when nothing is under way. */
  pause(): Promise<void>
  resume(): void
  stop(): Promise<void>
}

let index = 0

export function startLoad(port: number, connections = 8, pauseMs = 2): Load {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  let isOver = false
  let isPaused = false
  let underWay = 0
  const waiting = new Set<() => void>()
  const load: Load = {
    acknowledged: new Set(),
    failures: [],
    slowestMs: 0,
    async more(count) {
      const enough = load.acknowledged.size + count
      while (load.acknowledged.size < enough) {
        await new Promise<void>((resolve) => waiting.add(resolve))
      }
    },
    async pause() {
      isPaused = true
      while (underWay > 0) await sleep(pauseMs)
    },
    resume() {
      isPaused = false
    },
    async stop() {
      isOver = true
      await Promise.all(clients)
      agent.destroy()
    },
  }
  const clients = Array.from({ length: connections }, async () => {
    while (!isOver) {
      await sleep(pauseMs)
      if (isPaused) continue
      const { path, eventId } = tagRequest(index++)
      const startedAt = performance.now()
      underWay++
      const answer = await ask(agent, port, path)
      underWay--
      load.slowestMs = Math.max(load.slowestMs, performance.now() - startedAt)
      if (answer === '200') load.acknowledged.add(eventId)
      else load.failures.push(answer)
      for (const wake of waiting) wake()
      waiting.clear()
    }
  })
  return load
}

function ask(agent: Agent, port: number, path: string): Promise<string> {
  return new Promise((resolve) => {
    const asked = request({ agent, port, host: '127.0.0.1', path }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (piece) => {
        body += piece
      })
      const { statusCode = 0 } = response
      response.on('end', () => resolve(statusCode === 200 ? '200' : `${statusCode} ${body}`))
      response.on('error', (error) => resolve(error.message))
    })
    asked.on('error', (error) => resolve(error.message))
    asked.end()
  })
}
