import { existsSync, readFileSync } from 'node:fs'
import type { TestContext } from 'node:test'

/** What the original Divolte was recorded to do; kept beside the repository, not in it. */

/** A file beside the repository, or undefined after the test was skipped because it isn't there. */
export function readShared(t: TestContext, path: string): string | undefined {
  const url = new URL(`../../../shared/${path}`, import.meta.url)
  if (existsSync(url)) return readFileSync(url, 'utf8')
  t.skip(`NOT CHECKED: the recordings are absent (${url.pathname})`)
  return
}

/** A part of the recorded cases, or undefined after a skip. */
export function readVectors<Part>(t: TestContext, part: string): Part | undefined {
  const text = readShared(t, 'vectors/divolte.json')
  if (text === undefined) return
  return (JSON.parse(text) as Record<string, Part>)[part]
}
