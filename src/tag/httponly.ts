import type { TagCore } from './tag.ts'

/**
 * Leaves the party to the collector, which keeps it in a cookie that no script can read: the tag
 * sends none. The session stays a cookie of the page.
 */
export function httponly(core: TagCore): void {
  const { page, address, options, createParty, forget } = core
  // Cookies go along to a collector on another host of the site.
  core.credentials = 'include'
  core.createParty = (from, cookies, timeMs) => {
    const { document } = from
    const readable = {
      get cookie() {
        return document.cookie
      },
      set cookie(text: string) {
        if (!text.startsWith(`${options.partyCookie}=`)) document.cookie = text
      },
    }
    const { location } = from
    const crypto = from.crypto as Crypto
    const party = createParty({ crypto, location, document: readable }, cookies, timeMs)
    return Object.assign(party, { partyId: undefined, isNew: false })
  }
  core.forget = () => {
    forget()
    // No script can delete the cookie either: the collector does, when the person refuses.
    page.navigator.sendBeacon(address.eventUrl, 'g=1')
  }
}
