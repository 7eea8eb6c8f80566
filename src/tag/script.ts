import { startTag, type Tag, type TagModule, type TagOptions } from './tag.ts'

/**
 * The script that pages load: finds its own address, starts the tag, and makes it known under the
 * name `divolte`. Built by collect/script.ts, which puts the settings in.
 */
declare const __MILLRACE_TAG__: TagOptions & {
  /** The name of this script, `divolte.js`. */
  readonly name: string
  /** What follows the folder of this script in the address of events. */
  readonly eventSuffix: string
}

/** The window, with all the places in which a page may wait for the tag. */
type ScriptPage = Window &
  typeof globalThis & {
    divolte?: unknown
    define?: { (factory: () => Tag): void; amd?: unknown }
    module?: { exports?: unknown }
  }

/** Starts the tag with the modules that collect/script.ts has chosen. */
export function runScript(modules: readonly TagModule[]): void {
  const page: ScriptPage = window
  if (isTaken(page)) return
  const { name, eventSuffix } = __MILLRACE_TAG__
  const url = findUrl(page.document, name)
  const serverPageViewId = url.replace(/^[^#]*#?/, '')
  if (serverPageViewId.includes('/')) {
    throw "DVT not initialized correctly; page view ID may not contain a slash ('/')."
  }
  const eventUrl = url.replace(/[^/]*$/, '') + eventSuffix
  expose(page, startTag(page, { eventUrl, serverPageViewId }, __MILLRACE_TAG__, modules))
}

/**
 * True when the page has a `divolte` already: a second tag would count every page view twice, and
 * an object of the page's own is not ours to replace. A property that is not the window's own is an
 * element with id="divolte", which the browser shows under that name; it takes nothing.
 */
function isTaken(page: ScriptPage): unknown {
  const own = Object.getOwnPropertyDescriptor(page, 'divolte')
  return own && typeof page.divolte === 'object' && page.divolte
}

/**
 * The address of this script: the running one, or where the browser no longer tells (a script moved
 * or run late) the first one of that name.
 */
function findUrl(document: Document, name: string): string {
  const running = (document.currentScript || {}) as Partial<HTMLScriptElement>
  if (running.src) return running.src
  // Not every browser since 2017 can walk the list itself.
  for (const { src } of Array.from(document.getElementsByTagName('script'))) {
    if (src.replace(/[?#].*/, '').endsWith(`/${name}`)) return src
  }
  throw 'Divolte could not initialize itself.'
}

/** Exports the tag in the way of the page's module loader, or else as a global. */
function expose(page: ScriptPage, tag: Tag): void {
  const { define, module } = page
  if (typeof define === 'function' && define.amd) define(() => tag)
  else if (module?.exports) module.exports = tag
  else page.divolte = tag
}
