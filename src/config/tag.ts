import { z } from 'zod'
import { hasNoDots, noDots } from './path.ts'
import { positive } from './units.ts'

/** The script in the page. */
export const tagSchema = z.strictObject({
  /** The script's name: `/divolte.js`. */
  name: z
    .string()
    .regex(/^[A-Za-z0-9_-]+\.js$/)
    .default('divolte.js'),
  /** What is appended to the script's folder for events. */
  eventSuffix: z
    .string()
    .regex(/^[A-Za-z0-9._-]+$/)
    .refine(hasNoDots, noDots)
    .default('csc-event'),
  partyCookie: z.string().min(1).default('_dvp'),
  partyTimeoutDays: positive.default(730),
  sessionCookie: z.string().min(1).default('_dvs'),
  sessionTimeoutMinutes: positive.default(30),
  /** The cookies' domain; unset, the host of the page. */
  cookieDomain: z.string().min(1).optional(),
  autoPageView: z.boolean().default(true),
  /** How long the tag waits for one event before it goes on to the next. */
  eventTimeoutMs: positive.default(750),
  /** What the script does beyond Divolte's: docs/tag.md. `?modules=` in its address goes before. */
  modules: z
    .array(
      z.enum([
        'domain',
        'httponly',
        'consent',
        'delivery',
        'pageviews',
        'spa',
        'attention',
        'campaign',
        'impressions',
        'links',
        'shelf',
      ]),
    )
    .default([]),
})
