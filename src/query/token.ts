import { createHash } from 'node:crypto'
import { MillraceError } from '../event/error.ts'
import { invalid } from './query.ts'

/**
 * Continuation tokens: where the next page goes on, in base64url of the JSON
 * `[version, hash of the question, ...place]`. They hold no secret and grant nothing, so they are not
 * signed; whoever reads the place checks it.
 */

const version = 1
const tokenCharactersMax = 4_096

/** What names a question without its page: the same for every page of one answer. */
export function questionKey(name: string, parts: unknown): string {
  return createHash('sha256')
    .update(`${name}\n${JSON.stringify(parts)}`)
    .digest('base64url')
    .slice(0, 16)
}

/** Renders the place from which the question `key` goes on. */
export function writeToken(key: string, place: readonly unknown[]): string {
  return Buffer.from(JSON.stringify([version, key, ...place])).toString('base64url')
}

/**
 * Reads the place of a token.
 * @throws MillraceError `token_foreign` for a token of another question, `question_invalid` for none
 */
export function readToken(key: string, token: string): readonly unknown[] {
  const parsed = token.length <= tokenCharactersMax ? parseToken(token) : undefined
  if (!Array.isArray(parsed) || parsed[0] !== version || typeof parsed[1] !== 'string') {
    throw invalidToken()
  }
  if (parsed[1] !== key) throw new MillraceError('token_foreign')
  return parsed.slice(2)
}

/** The error for a token whose place cannot be one. */
export function invalidToken(): MillraceError {
  return invalid('after is not a continuation token; take it from next in the answer before')
}

function parseToken(token: string): unknown {
  if (!/^[\w-]+$/.test(token)) return undefined
  try {
    return JSON.parse(Buffer.from(token, 'base64url').toString('utf8'))
  } catch {
    return undefined
  }
}
