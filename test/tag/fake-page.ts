import { createContext, runInContext } from 'node:vm'
import type { Tag } from '../../src/tag/tag.ts'

/** What a fake page is like where it differs from the page of the recorded cases. */
export interface FakePageOptions {
  readonly href?: string
  readonly referrer?: string
  /** The cookies that the page finds, as `document.cookie` shows them. */
  readonly cookies?: string
  /** null: the browser does not tell which script is running. */
  readonly scriptSrc?: string | null
  readonly scripts?: readonly string[]
  /** null: the browser has none. */
  readonly dpr?: number | null
  readonly hidden?: boolean
  readonly noCrypto?: boolean
  readonly navigator?: object
  /** More members of the window. */
  readonly window?: object
  /** True: every image loads as soon as its address is set. */
  readonly autoload?: boolean
}

/** An image that the page asked for. */
export interface FakeImage {
  readonly size: readonly [width: number, height: number]
  readonly src: string
  onload?: () => void
  onerror?: () => void
}

/** A browser window with a clock of its own, enough of one for the tag. */
export interface FakePage {
  readonly window: Record<string, unknown>
  readonly images: readonly FakeImage[]
  readonly requests: readonly string[]
  readonly cookieWrites: readonly string[]
  /** Every timer that was ever set, in ms. */
  readonly timers: readonly number[]
  readonly tag: Tag
  readonly run: (code: string) => unknown
  readonly fire: (type: string, event?: object) => void
  readonly show: () => void
  readonly hide: () => void
  /** Lets time pass; timers that come due are run in their order. */
  readonly pass: (ms: number) => void
  readonly cookieReads: () => number
}

/** 2020-09-13T12:26:40Z, the time of the recorded cases. */
export const startMs = 1_600_000_000_000

export function createFakePage(options: FakePageOptions = {}): FakePage {
  let nowMs = startMs
  const images: FakeImage[] = []
  const clock = createTimers(() => nowMs)
  const jar = createCookieJar(options.cookies ?? '', () => nowMs)
  const listeners = new Map<string, ((event: object) => void)[]>()
  const addEventListener = (type: string, listener: (event: object) => void) => {
    // As in a browser, the same one is added once.
    listeners.set(type, [...new Set([...(listeners.get(type) ?? []), listener])])
  }
  const fire = (type: string, event: object = {}) => {
    for (const listener of listeners.get(type) ?? []) listener(event)
  }

  class Image implements FakeImage {
    readonly size: readonly [number, number]
    onload?: () => void
    onerror?: () => void
    #src = ''
    constructor(width: number, height: number) {
      this.size = [width, height]
      images.push(this)
    }
    get src(): string {
      return this.#src
    }
    set src(value: string) {
      this.#src = value
      if (options.autoload) this.onload?.()
    }
  }

  const src =
    options.scriptSrc === undefined ? 'https://t.example.com/divolte.js' : options.scriptSrc
  const document = {
    currentScript: src === null ? null : { src },
    hidden: options.hidden ?? false,
    referrer: options.referrer ?? '',
    documentElement: { scrollHeight: 1440 },
    getElementsByTagName: () => (options.scripts ?? []).map((src) => ({ src })),
    addEventListener,
    get cookie() {
      return jar.read()
    },
    set cookie(text: string) {
      jar.write(text)
    },
  }
  const href = options.href ?? 'https://www.example.com/p?a=1'
  const context = createContext({
    document,
    location: { href, hostname: new URL(href).hostname },
    navigator: options.navigator ?? {},
    screen: { availWidth: 1440, availHeight: 860 },
    innerWidth: 1280,
    innerHeight: 720,
    ...(options.dpr !== null && { devicePixelRatio: options.dpr ?? 2 }),
    ...(!options.noCrypto && { crypto: globalThis.crypto }),
    Image,
    addEventListener,
    setTimeout: clock.set,
    clearTimeout: clock.clear,
    fakeNow: () => nowMs,
    ...options.window,
  })
  const run = (code: string): unknown => runInContext(code, context)
  run('window = globalThis; Date.now = fakeNow')
  return {
    window: context as Record<string, unknown>,
    images,
    get requests() {
      return images.map((image) => image.src)
    },
    cookieWrites: jar.writes,
    timers: clock.all,
    get tag() {
      return context['divolte'] as Tag
    },
    run,
    fire,
    show: () => {
      document.hidden = false
      fire('visibilitychange')
    },
    hide: () => {
      document.hidden = true
      fire('visibilitychange')
    },
    pass: (ms) => {
      const endMs = nowMs + ms
      for (let due = clock.next(endMs); due; due = clock.next(endMs)) {
        nowMs = due.atMs
        due.callback()
      }
      nowMs = endMs
    },
    cookieReads: jar.reads,
  }
}

interface Timer {
  readonly atMs: number
  readonly callback: () => void
}

function createTimers(now: () => number) {
  const waiting = new Map<number, Timer>()
  const all: number[] = []
  return {
    all,
    set: (callback: () => void, ms: number): number => {
      waiting.set(all.push(ms), { atMs: now() + ms, callback })
      return all.length
    },
    clear: (id: number) => waiting.delete(id),
    /** Takes the earliest timer that is due by `endMs`. */
    next: (endMs: number): Timer | undefined => {
      const due = [...waiting].filter(([, timer]) => timer.atMs <= endMs)
      const first = due.sort(([, a], [, b]) => a.atMs - b.atMs)[0]
      if (first) waiting.delete(first[0])
      return first?.[1]
    },
  }
}

/** Cookies found stay as they are; those written replace a found one of their name and expire. */
function createCookieJar(found: string, now: () => number) {
  const writes: string[] = []
  const written = new Map<string, { readonly value: string; readonly untilMs: number }>()
  let reads = 0
  return {
    writes,
    reads: () => reads,
    read: (): string => {
      reads++
      const kept = found.split('; ').filter((cookie) => !written.has(cookie.replace(/=.*/, '')))
      const live = [...written].filter(([, { untilMs }]) => untilMs > now())
      return [...kept, ...live.map(([name, { value }]) => `${name}=${value}`)]
        .filter(Boolean)
        .join('; ')
    },
    write: (text: string): void => {
      writes.push(text)
      const [, name = '', value = '', age = Infinity] =
        /^([^=]*)=([^;]*)(?:;.*max-age=(\d+))?/.exec(text) ?? []
      written.set(name, { value, untilMs: now() + Number(age) * 1000 })
    },
  }
}
