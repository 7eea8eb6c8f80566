import { setImmediate as nextTurn } from 'node:timers/promises'
import { MillraceError } from '../../event/error.ts'
import { toError } from '../../lib/assert.ts'

/** Codes of lmdb.h for files that are not, or no longer, what LMDB wrote. */
const damageCodes = [-30797, -30796, -30793]
const versionCode = -30794

/** An error of the disk as an error of ours, naming the file. Errors of ours pass unchanged. */
export function unwritable(path: string, thrown: unknown): MillraceError {
  if (thrown instanceof MillraceError) return thrown
  return new MillraceError('log_unwritable', `${path}: ${toError(thrown).message}`, {
    cause: thrown,
  })
}

/** What LMDB said when it opened `path`, as an error of ours. */
export function openingFailure(path: string, thrown: unknown): MillraceError {
  const code = codeOf(thrown)
  if (typeof code === 'number' && damageCodes.includes(code)) {
    return new MillraceError('log_corrupt', `${path}: ${toError(thrown).message}`, {
      cause: thrown,
    })
  }
  if (code === versionCode) return new MillraceError('log_version', path, { cause: thrown })
  return unwritable(path, thrown)
}

/** True when the error says that the file does not exist. */
export function isAbsent(thrown: unknown): boolean {
  const code = codeOf(thrown)
  if (code === 'ENOENT' || code === 2) return true
  return thrown instanceof Error && thrown.cause !== undefined && isAbsent(thrown.cause)
}

/** True when the error says that the file exists already. */
export function isPresent(thrown: unknown): boolean {
  return codeOf(thrown) === 'EEXIST'
}

/**
 * Why a commit failed. lmdb rejects with an error that only points to the reason, a second promise,
 * which would go unhandled if nobody looked at it.
 */
export async function commitReason(thrown: unknown): Promise<unknown> {
  const { commitError } = (thrown ?? {}) as { commitError?: Promise<unknown> }
  if (commitError === undefined) return thrown
  const reason = commitError.then(
    () => thrown,
    (known: unknown) => known,
  )
  return Promise.race([reason, nextTurn().then(() => thrown)])
}

function codeOf(thrown: unknown): unknown {
  return (thrown as { code?: unknown } | undefined)?.code
}
