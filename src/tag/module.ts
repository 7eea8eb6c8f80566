import { type Page, startTag, type Tag, type TagModule, type TagOptions } from './tag.ts'

export type {
  Consent,
  Shelf,
  ShelfItem,
  ShelfOptions,
  Tag,
  TagModule,
  TagOptions,
} from './tag.ts'

/** Options of a tag that a page starts itself; what is left out is as the script has it. */
export interface CreateTagOptions extends Partial<TagOptions> {
  /** What follows the collector's address in the address of events. */
  readonly eventSuffix?: string
  /** The identifier of the page view, where the server has made one. */
  readonly serverPageViewId?: string
  /** What the tag shall do beyond the core, `[delivery, spa]`; none unless given. */
  readonly modules?: readonly TagModule[]
  /** The window to live in; the one of this program unless given. */
  readonly page?: Page
}

/** As in config.ts, which a browser cannot load; a test keeps them equal. */
const defaults = {
  eventSuffix: 'csc-event',
  serverPageViewId: '',
  partyCookie: '_dvp',
  partyTimeoutDays: 730,
  sessionCookie: '_dvs',
  sessionTimeoutMinutes: 30,
  autoPageView: true,
  eventTimeoutMs: 750,
}

/**
 * Starts a tag that sends to the collector at `collectorUrl`, without the script and without a
 * global: `const tag = createTag('https://events.example.com/')`. Nothing happens before the call.
 * @throws Error outside a browser
 */
export function createTag(collectorUrl: string, options: CreateTagOptions = {}): Tag {
  const page = options.page ?? globalThis.window
  if (!page?.document) throw new Error('createTag needs a browser: there is no window here')
  const settings = { ...defaults, ...options }
  const eventUrl = collectorUrl.replace(/\/?$/, `/${settings.eventSuffix}`)
  const address = { eventUrl, serverPageViewId: settings.serverPageViewId }
  return startTag(page, address, settings, options.modules)
}
