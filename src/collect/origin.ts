import { MillraceError } from '../event/error.ts'
import type { HeaderList } from './answer.ts'

/** Which origins may POST events, and what their browsers need to be told (CORS). */
export interface Origins {
  /**
   * Headers for an answer to this origin; none for a client that is no page.
   * @throws MillraceError `origin_refused`
   */
  readonly headersFor: (origin: string | undefined) => HeaderList
  /** The same for a preflight. */
  readonly preflightFor: (origin: string | undefined) => HeaderList
}

/** How long a browser may remember a preflight; Chromium cuts it to two hours. */
const preflightSeconds = 86_400

/**
 * @param withCookies pages may send cookies along, which a browser allows to origins that are named
 *   only; those of other sites bring none of ours (SameSite)
 */
export function createOrigins(allowed: readonly string[], withCookies = false): Origins {
  const any = allowed.includes('*')
  const names = new Set(allowed.map((origin) => origin.toLowerCase().replace(/\/$/, '')))
  const anyHeaders = [
    'Access-Control-Allow-Origin',
    '*',
    'Access-Control-Expose-Headers',
    'Retry-After',
  ]

  function headersFor(origin: string | undefined): HeaderList {
    if (any && !withCookies) return anyHeaders
    if (origin === undefined) return ['Vary', 'Origin']
    if (!any && !names.has(origin.toLowerCase())) throw new MillraceError('origin_refused', origin)
    return [
      ...(withCookies ? ['Access-Control-Allow-Credentials', 'true'] : []),
      'Access-Control-Allow-Origin',
      origin,
      'Access-Control-Expose-Headers',
      'Retry-After',
      'Vary',
      'Origin',
    ]
  }

  return {
    headersFor,
    preflightFor: (origin) => [
      ...headersFor(origin),
      'Access-Control-Allow-Methods',
      'POST',
      'Access-Control-Allow-Headers',
      'Content-Type',
      'Access-Control-Max-Age',
      String(preflightSeconds),
    ],
  }
}
