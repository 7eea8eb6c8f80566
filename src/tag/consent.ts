import { removeCookies } from './party.ts'
import type { TagCore } from './tag.ts'

/**
 * Holds all events in memory until the page says what the person answered: `divolte.consent`. Until
 * then no cookie is read, nothing is stored, and no event has a number. The answer is not kept: the
 * site, which asked, says it again on each page. Global Privacy Control goes before any answer.
 */
export function consent(core: TagCore): void {
  const { page, options, tag, hold } = core
  let release: (() => void) | undefined = hold()
  tag.consent = {
    grant: () => {
      core.isDropping = false
      if (release) release()
      release = undefined
    },
    deny: () => {
      if (!release) release = hold()
      core.isDropping = true
      core.forget()
      removeCookies(page, options)
    },
  }
}
