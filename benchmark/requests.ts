import { randomBytes } from 'node:crypto'
import { canonicalText, murmur3 } from '../src/event/checksum.ts'
import { createIdentifier, createPageViewId } from '../src/event/identifier.ts'
import { encodeMincode } from '../src/event/mincode.ts'

/** Requests as browsers send them, for benchmarks and fault runs: checksums right, ids of full entropy. */

const platforms = [
  'Windows NT 10.0; Win64; x64',
  'Macintosh; Intel Mac OS X 10_15_7',
  'X11; Linux x86_64',
  'Linux; Android 14; Pixel 8',
]

/** One of 1,000 user agents. */
export function userAgent(index: number): string {
  const platform = platforms[index % platforms.length]
  const major = 100 + (Math.floor(index / platforms.length) % 50)
  return `Mozilla/5.0 (${platform}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${major}.0.${index % 1000}.0 Safari/537.36`
}

/** One of 1,000 addresses of pages. */
export function pageAddress(index: number): string {
  return `https://shop.example.com/products/shoes/${index % 1000}?color=red&size=${index % 50}`
}

/** An event's identity as the sender knows it. */
export interface SentEvent {
  readonly eventId: string
  readonly partyId: string
}

/** The path and query of one event of the tag, about 450 bytes. */
export function tagRequest(
  index: number,
  eventType = 'preview',
): SentEvent & { readonly path: string } {
  const now = Date.now()
  const partyId = createIdentifier(now, randomBytes(32))
  const pageViewId = createPageViewId(randomBytes(32))
  const eventId = `${pageViewId}0`
  const parameters: [string, string][] = [
    ['p', partyId],
    ['s', createIdentifier(now, randomBytes(32))],
    ['v', pageViewId],
    ['e', eventId],
    ['c', now.toString(36)],
    ['n', 't'],
    ['f', 't'],
    ['l', pageAddress(index)],
    ['r', 'https://www.example.org/search?q=shoes'],
    ['i', '140'],
    ['j', 'nw'],
    ['k', '2'],
    ['w', 'zk'],
    ['h', 'k0'],
    ['t', eventType],
    ['u', encodeMincode({ item_id: 100_000 + (index % 5_000), event_date: 3213213 }) ?? ''],
  ]
  const canonical = canonicalText(parameters.map(([name, value]) => [name, [value]]))
  parameters.push(['x', murmur3(Buffer.from(canonical)).toString(36)])
  const query = parameters.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&')
  return { partyId, eventId, path: `/csc-event?${query}` }
}

/** The same event for POST /events. */
export function jsonEvent(
  index: number,
  eventType = 'preview',
): SentEvent & Record<string, unknown> {
  const now = Date.now()
  const pageViewId = createPageViewId(randomBytes(32))
  return {
    eventId: `${pageViewId}0`,
    partyId: createIdentifier(now, randomBytes(32)),
    sessionId: createIdentifier(now, randomBytes(32)),
    pageViewId,
    eventType,
    clientTime: now,
    location: pageAddress(index),
    referer: 'https://www.example.org/search?q=shoes',
    parameters: { item_id: 100_000 + (index % 5_000), event_date: 3213213 },
  }
}

/** The bytes of one HTTP request of the tag on a kept connection. */
export function tagRequestBytes(index: number): Buffer {
  const { path } = tagRequest(index)
  return Buffer.from(
    `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: ${userAgent(index)}\r\n` +
      'Accept: image/avif,image/webp,image/apng,image/*,*/*;q=0.8\r\nAccept-Encoding: gzip, deflate, br\r\n' +
      `Accept-Language: en-GB,en;q=0.9\r\nReferer: ${pageAddress(index)}\r\n\r\n`,
  )
}

/** The bytes of one HTTP request with a batch of events on a kept connection. */
export function batchRequestBytes(index: number, events: number): Buffer {
  const batch = Array.from({ length: events }, (_, at) => jsonEvent(index * events + at))
  const body = JSON.stringify({ events: batch })
  return Buffer.from(
    `POST /events HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: ${userAgent(index)}\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
}

const itemCount = 20_000

/** An item of a shop: popular ones come up more often, and items near each other go together. */
export function itemNumber(near: number | undefined): number {
  if (near !== undefined && Math.random() < 0.7) {
    return (near + 1 + Math.floor(Math.random() * 20)) % itemCount
  }
  return Math.floor(itemCount * Math.random() ** 3)
}

/** The bytes of one request for recommendations, for a session of three items. */
export function recommendRequestBytes(): Buffer {
  const first = itemNumber(undefined)
  const items = [first, itemNumber(first), itemNumber(first)].map((n) => `item=product-${n}`)
  const path = `/recommendations?${items.join('&')}&limit=20`
  return Buffer.from(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\n\r\n`)
}
