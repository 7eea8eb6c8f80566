import type { HealthAnswer } from '../../../src/api/answer.ts'
import type { Scene } from './scene.ts'

const writingMs = 120_000

/** Resolves when the consumer that runs has written something since `since`, ms since 1970. */
export async function untilWriting(scene: Scene, since = 0): Promise<void> {
  const deadline = performance.now() + writingMs
  for (;;) {
    const response = await fetch(`${scene.apiUrl}/api/health`)
    const { lastWrittenAt } = (await response.json()) as HealthAnswer
    if (lastWrittenAt !== null && Date.parse(lastWrittenAt) > since) return
    if (performance.now() > deadline) throw new Error('the consumer writes nothing')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
