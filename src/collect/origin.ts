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

export function createOrigins(allowed: readonly string[]): Origins {
  const any = allowed.includes('*')
  const names = new Set(allowed.map((origin) => origin.toLowerCase().replace(/\/$/, '')))
  const anyHeaders = [
    'Access-Control-Allow-Origin',
    '*',
    'Access-Control-Expose-Headers',
    'Retry-After',
  ]

  function headersFor(origin: string | undefined): HeaderList {
    if (any) return anyHeaders
    if (origin === undefined) return ['Vary', 'Origin']
    if (!names.has(origin.toLowerCase())) throw new MillraceError('origin_refused', origin)
    return [
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
