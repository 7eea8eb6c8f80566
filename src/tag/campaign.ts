import type { Page, TagCore } from './tag.ts'

/**
 * Says with each page view where it came from: the campaign parameters of the address and the class
 * of the referrer. Of click identifiers (`gclid` …) only the name: the value names a person.
 */
export function campaign(core: TagCore): void {
  core.describePageView = (referrer) => describe(core.page, referrer)
}

const names = ['source', 'medium', 'campaign', 'term', 'content', 'id']
const clickIds = /[?&](gclid|gbraid|wbraid|dclid|msclkid|fbclid|ttclid|twclid|li_fat_id|yclid)=/
const searchEngines =
  /(^|\.)(google|bing|duckduckgo|yahoo|yandex|baidu|ecosia|qwant|startpage|naver|seznam|brave)\.[a-z.]+$/
const socialNetworks =
  /(^|\.)(facebook|instagram|twitter|x|t|linkedin|lnkd|reddit|pinterest|tiktok|youtube|threads|bsky|whatsapp|telegram)\.(com|co|in|net|app|org|me)$/

function describe({ location }: Page, referrer: string): object {
  const said: Record<string, string> = { referrer_class: classOf(location.hostname, referrer) }
  for (const name of names) {
    const value = new URLSearchParams(location.search).get(`utm_${name}`)
    if (value) said[`utm_${name}`] = value
  }
  const click = clickIds.exec(location.search)
  if (click?.[1]) said['click_id'] = click[1]
  return said
}

function classOf(ownHost: string, referrer: string): string {
  const host = /^https?:\/\/([^/:?#]+)/.exec(referrer)?.[1]?.toLowerCase()
  if (!host) return 'direct'
  if (host === ownHost) return 'internal'
  if (searchEngines.test(host)) return 'search'
  return socialNetworks.test(host) ? 'social' : 'other'
}
