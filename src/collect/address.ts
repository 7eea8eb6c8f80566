import { BlockList, isIP } from 'node:net'
import { type Cache, createCache } from '../lib/cache.ts'
import type { CountryOf } from './country.ts'
import type { AddressSetting } from './options.ts'

/** Who sent a request. */
export interface Sender {
  /** Never stored unless the setting is `full`: it decides the rate limit and the country. */
  readonly address: string
  /** As it is stored: masked, full or ''. */
  readonly kept: string
  /**
   * Stored whatever is kept of the address, also under a wish for privacy: millions share a country.
   * Who wants none sets `countryDatabase` to `none`.
   */
  readonly country: string | null
  /** What the rate limit counts by: the address, of IPv6 the /64 that one household has. */
  readonly limitKey: string
}

/** Finds the sender of a request from its peer and the X-Forwarded-For header. */
export type SenderOf = (peer: string | undefined, forwardedFor: string | undefined) => Sender

const sendersMax = 10_000

/**
 * @param trustedProxies addresses or CIDR ranges; only from these a forwarding header is believed,
 *   and its rightmost value that is none of them is the sender. Names are never resolved.
 */
export function createSenderOf(
  trustedProxies: readonly string[],
  setting: AddressSetting,
  countryOf: CountryOf,
): SenderOf {
  const trusted = createTrust(trustedProxies)
  const senders: Cache<Sender> = createCache(sendersMax)

  function senderOf(address: string): Sender {
    let sender = senders.get(address)
    if (sender === undefined) {
      const normal = normaliseAddress(address) ?? ''
      sender = {
        address: normal,
        kept: keepAddress(normal, setting),
        country: countryOf(normal),
        limitKey: normal.includes(':') ? firstGroups(normal, 4) : normal,
      }
      senders.set(address, sender)
    }
    return sender
  }

  return (peer = '', forwardedFor) => {
    if (forwardedFor === undefined || trustedProxies.length === 0) return senderOf(peer)
    if (!trusted(normaliseAddress(peer) ?? '')) return senderOf(peer)
    return senderOf(forwardedAddress(forwardedFor, trusted) ?? peer)
  }
}

function forwardedAddress(
  header: string,
  trusted: (address: string) => boolean,
): string | undefined {
  let nearest: string | undefined
  for (const part of header.split(',').reverse()) {
    const address = normaliseAddress(part.trim())
    if (address === undefined) return
    nearest = address
    if (!trusted(address)) break
  }
  return nearest
}

function createTrust(ranges: readonly string[]): (address: string) => boolean {
  const list = new BlockList()
  for (const range of ranges) {
    const [address = '', prefix] = range.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    if (prefix === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(prefix), family)
  }
  return (address) => address !== '' && list.check(address, address.includes(':') ? 'ipv6' : 'ipv4')
}

const mappedPattern = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i
const portPattern = /^(?:\[([0-9a-f:.]+)\](?::\d+)?|(\d+\.\d+\.\d+\.\d+):\d+)$/i

/**
 * An address in its usual form: IPv4 mapped into IPv6 as IPv4, without port, brackets or zone, IPv6
 * shortened. Returns undefined for anything that is not an address.
 */
export function normaliseAddress(text: string): string | undefined {
  const ported = portPattern.exec(text)
  const bare = (ported?.[1] ?? ported?.[2] ?? text).replace(/%.*$/, '')
  const mapped = mappedPattern.exec(bare)?.[1] ?? bare
  const version = isIP(mapped)
  if (version === 4) return mapped
  return version === 6 ? compress(groupsOf(mapped)) : undefined
}

/** `masked` keeps /24 of IPv4 and /48 of IPv6: enough for a country, not for a person. */
export function keepAddress(address: string, setting: AddressSetting): string {
  if (setting === 'none') return ''
  if (setting === 'full' || address === '') return address
  if (!address.includes(':')) return `${address.slice(0, address.lastIndexOf('.'))}.0`
  return firstGroups(address, 3)
}

/** An IPv6 address whose groups after the first `count` are zero. */
function firstGroups(address: string, count: number): string {
  return compress(groupsOf(address).map((group, index) => (index < count ? group : 0)))
}

/** The eight numbers of a valid IPv6 address. */
function groupsOf(address: string): number[] {
  const dotted = /(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address)
  let text = address
  if (dotted !== null) {
    const [a, b, c, d] = dotted.slice(1).map(Number) as [number, number, number, number]
    const tail = `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`
    text = address.slice(0, dotted.index) + tail
  }
  const [head = '', tail] = text.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = new Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0')
  return [...left, ...zeros, ...right].map((group) => Number.parseInt(group, 16))
}

/** The text of RFC 5952: the first longest run of two or more zero groups becomes `::`. */
function compress(groups: readonly number[]): string {
  let start = -1
  let length = 1
  for (let at = 0; at < groups.length; at++) {
    let end = at
    while (groups[end] === 0) end++
    if (end - at > length) {
      start = at
      length = end - at
    }
  }
  const texts = groups.map((group) => group.toString(16))
  if (start < 0) return texts.join(':')
  return `${texts.slice(0, start).join(':')}::${texts.slice(start + length).join(':')}`
}
