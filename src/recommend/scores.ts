import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { createGunzip } from 'node:zlib'
import { MillraceError } from '../event/error.ts'
import { toError } from '../lib/assert.ts'
import type { Recommender } from './recommend.ts'

/**
 * Answers of another program, to be evaluated beside ours. One line each:
 *
 *   first items of a session, spaces between <TAB> items recommended after them, best first
 *
 * Such a prefix is written without repeats that follow each other, so one line serves both protocols.
 * What is returned may have the current item in it, so 21 items are enough. No line, no answer.
 */
export type Scores = ReadonlyMap<string, readonly string[]>

const linesMax = 5_000_000

/**
 * Reads a file of such lines, gzip or not.
 * @throws MillraceError `evaluate_invalid` with the file, and the line that cannot be read
 */
export async function readScores(path: string): Promise<Scores> {
  const scores = new Map<string, readonly string[]>()
  const file = createReadStream(path)
  const content = path.endsWith('.gz') ? file.pipe(createGunzip()) : file
  file.once('error', (error) => content.destroy(error))
  try {
    let number = 0
    for await (const line of createInterface({
      input: content,
      crlfDelay: Number.POSITIVE_INFINITY,
    })) {
      number++
      if (line === '') continue
      const [prefix = '', items = '', ...more] = line.split('\t')
      const isWhole = prefix.trim() !== '' && items.trim() !== '' && more.length === 0
      if (!isWhole) throw invalid(path, `line ${number} is no prefix, a tab, and items`)
      if (number > linesMax) throw invalid(path, `it has more than ${linesMax} lines`)
      scores.set(keyOf(prefix.trim().split(/ +/)), items.trim().split(/ +/))
    }
    // readline ends quietly where its input broke off.
    if (content.errored) throw content.errored
  } catch (thrown) {
    if (thrown instanceof MillraceError) throw thrown
    throw invalid(path, toError(thrown).message, thrown)
  }
  if (scores.size === 0) throw invalid(path, 'it has no line')
  return scores
}

/** How a session's prefix stands in such a file. */
export function keyOf(items: readonly string[]): string {
  return items.filter((item, at) => item !== items[at - 1]).join(' ')
}

/** A model that says what the file says. */
export function createScored(scores: Scores): Recommender {
  return {
    model: 'als',
    recommend({ items, limit, isAllowed }) {
      const found = scores.get(keyOf(items)) ?? []
      const allowed = [...new Set(found)].filter(isAllowed).slice(0, limit)
      return allowed.map((itemId, at) => ({ itemId, score: 1 / (at + 1), reason: 'by the file' }))
    },
  }
}

function invalid(path: string, detail: string, cause?: unknown): MillraceError {
  return new MillraceError('evaluate_invalid', `${path}: ${detail}`, { cause })
}
