import type { FakePageOptions } from './fake-page.ts'

/** A request by `fetch`, which the test answers. */
export interface FakeRequest {
  readonly url: string
  /** The query strings of its events. */
  readonly events: readonly string[]
  readonly signal: AbortSignal
  readonly answer: (
    status: number,
    body: unknown,
    headers?: Record<string, string>,
  ) => Promise<void>
  readonly fail: () => Promise<void>
}

/** What the module `delivery` needs of a browser, but for Web Locks. */
export interface FakeNetwork {
  readonly page: FakePageOptions
  readonly requests: readonly FakeRequest[]
  /** The query strings of each beacon. */
  readonly beacons: readonly (readonly string[])[]
  /** What other pages see too. */
  readonly storage: Record<string, string>
}

class FakeStorage {
  getItem(name: string): string | null {
    return (this as unknown as Record<string, string>)[name] ?? null
  }
  setItem(name: string, value: string): void {
    Object.assign(this, { [name]: value })
  }
  removeItem(name: string): void {
    Reflect.deleteProperty(this, name)
  }
}

/** @param hasKeepalive false: the browser ends every fetch with its page */
export function createFakeNetwork(hasKeepalive = true): FakeNetwork {
  const requests: FakeRequest[] = []
  const beacons: string[][] = []
  const localStorage = new FakeStorage()
  const fetch = (url: string, init: { readonly body: string; readonly signal: AbortSignal }) =>
    new Promise<Response>((resolve, reject) => {
      init.signal.addEventListener('abort', () => reject(new Error('aborted')))
      requests.push({
        url,
        events: init.body.split('\n'),
        signal: init.signal,
        answer: (status, body, headers = {}) => {
          const text = typeof body === 'string' ? body : JSON.stringify(body)
          resolve(new Response(text, { status, headers }))
          return microtasks()
        },
        fail: () => {
          reject(new TypeError('Failed to fetch'))
          return microtasks()
        },
      })
    })
  const sendBeacon = (_url: string, body: string) => beacons.push(body.split('\n')) > 0
  return {
    requests,
    beacons,
    storage: localStorage as unknown as Record<string, string>,
    page: {
      navigator: { sendBeacon },
      window: {
        fetch,
        AbortController,
        localStorage,
        Request: { prototype: hasKeepalive ? { keepalive: true } : {} },
      },
    },
  }
}

/** Lets all that is due without a timer happen. */
export async function microtasks(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
  await new Promise((resolve) => setImmediate(resolve))
}
