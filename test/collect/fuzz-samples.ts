import { encodeMincode } from '../../src/event/mincode.ts'
import type { Random } from '../../src/simulate/random.ts'
import { buildQuery } from '../../src/tag/query.ts'

/** What fuzz-requests.ts changes: requests as they should be, and what should be nowhere. */

export const party = '0:kf12ot8g:PartyPartyPartyPartyPartyPartyPa'
export const session = '0:kf12ot8g:SessSessSessSessSessSessSessSess'
const pageView = '0:PvPvPvPvPvPvPvPvPvPvPvPvPvPvPvPv'

export function recordedQuery(random: Random, number: number): string {
  return buildQuery([
    ...(random.chance(0.1)
      ? ([['g', 1]] as const)
      : ([
          ['p', party],
          ['s', session],
        ] as const)),
    ['v', pageView],
    ['e', `${pageView}${number.toString(16)}`],
    ['c', Date.now() - random.below(10) * 86_400_000],
    ['n', 't'],
    ['f', 'f'],
    ['l', 'https://www.example.com/shop/teapot?utm_source=mail#top'],
    ['r', 'https://www.example.com/'],
    ['i', 1440],
    ['j', 860],
    ['k', 1.5],
    ['w', 1280],
    ['h', 720],
    ['t', random.pick(['pageView', 'addToBasket', 'search'])],
    ['u', encodeMincode({ item_id: 101321, list: [1, 'two', { three: 3.5 }], phrase: 'é~!' })],
  ])
}

export function recordedEvent(random: Random, number: number): object {
  return {
    eventId: `fuzz-${number}`,
    partyId: party,
    sessionId: session,
    pageViewId: pageView,
    eventType: 'purchase',
    clientTime: new Date(Date.now() - random.below(10) * 86_400_000).toISOString(),
    location: 'https://www.example.com/thanks',
    referer: null,
    parameters: { item_id: 'teapot', price: 12.5, big: 12345678901234, tags: ['a', { b: [] }] },
    newParty: false,
    firstInSession: true,
    viewportWidth: 1280,
    devicePixelRatio: 1.5,
  }
}

export function divolteEvent(number: number): object {
  return {
    event_type: 'purchase',
    session_id: session,
    event_id: `fuzz-${number}`,
    is_new_party: false,
    is_new_session: 'true',
    client_timestamp_iso: '2023-11-14T22:13:20.5+01:00',
    parameters: { item_id: 'teapot', big: 12345678901234, tags: ['a', { b: [] }] },
  }
}

/** What stands in bad places of a value. */
export const nasty = [
  '',
  '%',
  '%zz',
  '%00',
  '%ff%fe',
  '%ED%A0%80',
  '%F0%9F%98%80',
  '+',
  '0',
  '-1',
  'NaN',
  '1y2p0ij32e8e7',
  '-1y2p0ij32e8e8',
  'zzzzzzzzzzzzzzzz',
  '0:0:',
  '0::',
  '1:kf12ot8g:x',
  '__proto__',
  'constructor',
  '(s__proto__!x!)',
  '((((((((((((((((((((',
  'aaaaaaaaaaaaaaaaaaaaaaaa',
  '(d!!j!~',
  'j1e400!',
  'd~!',
  'sunterminated',
  '%s%n%d',
  "'; drop table events; --",
  'x'.repeat(300),
  'x'.repeat(20_000),
] as const
