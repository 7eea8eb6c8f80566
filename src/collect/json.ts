import { randomUUID } from 'node:crypto'
import { MillraceError } from '../event/error.ts'

/** Reading JSON without losing what JavaScript's numbers can't hold. */

/** What may be a number that a double would change: many digits, or a large exponent. */
const longNumber = /\d{16}|\d[eE]\+?\d{3}|\d\.\d{15}/
const token = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g

/** Nobody outside can know it, so no text of theirs can be taken for a number. */
const marker = `number:${randomUUID()}:`

/**
 * Parses JSON. A number that a double might not hold arrives as a marked text with its digits, for
 * `restoreNumbers`. (A reviver with source texts would do too, but it recurses as deep as the input.)
 * @throws SyntaxError
 */
export function parseJson(text: string): unknown {
  const value = JSON.parse(text) as unknown
  if (!longNumber.test(text)) return value
  return JSON.parse(
    text.replace(token, (found) =>
      found.startsWith('"') || !longNumber.test(found) ? found : `"${marker}${found}"`,
    ),
  ) as unknown
}

/** True for a number that `parseJson` kept as text. */
export function isMarked(text: string): boolean {
  return text.startsWith(marker)
}

const markedNumber = new RegExp(`"${marker}([^"]*)"`, 'g')

/** The JSON text of a value of `parseJson`, or undefined when it is nested too deep to be written. */
export function formatJson(value: unknown): string | undefined {
  try {
    return JSON.stringify(value).replace(markedNumber, '$1')
  } catch {
    return
  }
}

/**
 * A value of `parseJson` with its marked numbers as `JSON.rawJSON`.
 * @throws MillraceError `parameters_too_large` when it is nested deeper than `depthMax`
 */
export function restoreNumbers(value: unknown, depthMax: number): unknown {
  return restore(value, depthMax, depthMax)
}

function restore(value: unknown, depthLeft: number, depthMax: number): unknown {
  if (typeof value === 'string') {
    return isMarked(value) ? JSON.rawJSON(value.slice(marker.length)) : value
  }
  if (typeof value !== 'object' || value === null) return value
  if (depthLeft <= 0) throw new MillraceError('parameters_too_large', `${depthMax} levels deep`)
  const container = value as Record<string, unknown>
  for (const key of Object.keys(container)) {
    const member = container[key]
    if (typeof member === 'number' || typeof member === 'boolean' || member === null) continue
    const restored = restore(member, depthLeft - 1, depthMax)
    // A container restores in place; `__proto__`, an own member here, must not be assigned to.
    if (restored !== member) {
      Object.defineProperty(container, key, {
        value: restored,
        enumerable: true,
        configurable: true,
        writable: true,
      })
    }
  }
  return value
}
