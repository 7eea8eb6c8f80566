import { cut } from '../collect/receipt.ts'
import { ClockSource, type Event, Privacy, Source } from '../event/event.ts'
import { checkEvent, type EventLimits, refusal, shown } from './event.ts'
import { parseTime } from './time.ts'

/** Events as the API exports them, a line of JSON each: they come back as they were, ids and all. */

type Members = Readonly<Record<string, unknown>>

/** Quotes inside of texts are escaped, so this stands between members only; it is the last one. */
const parametersStart = ',"parameters":'

/**
 * The event of an exported line; undefined for a line that is no export of ours.
 * @throws MillraceError `import_row` when a member has a value that it cannot have
 */
export function exportedEvent(line: string, limits: EventLimits): Event | undefined {
  if (!line.includes('"clockSource":')) return undefined
  const start = line.indexOf(parametersStart)
  if (start < 0 || !line.endsWith('}')) return undefined
  // The text of the parameters is kept as it is: as JavaScript's numbers it would lose digits.
  const text = line.slice(start + parametersStart.length, -1)
  const members = parse(`${line.slice(0, start)}}`)
  if (members === undefined || parse(text) === undefined) return undefined
  return eventOf(members as Members, text === 'null' ? null : text, limits)
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

function eventOf(members: Members, parameters: string | null, limits: EventLimits): Event {
  const read = readerOf(members, limits)
  const receivedAt = read.time('receivedAt') ?? read.time('eventTime') ?? Number.NaN
  const agent = (members['agent'] ?? {}) as Members
  const readAgent = readerOf(agent, limits)
  const event: Event = {
    eventId: (read.text('eventId') ?? '') as Event['eventId'],
    partyId: read.text('partyId') as Event['partyId'],
    sessionId: read.text('sessionId') as Event['sessionId'],
    pageViewId: read.text('pageViewId') as Event['pageViewId'],
    eventType: read.text('eventType') ?? '',
    eventTime: read.time('eventTime') ?? Number.NaN,
    clockSource: read.choice('clockSource', Object.values(ClockSource)) ?? ClockSource.Client,
    receivedAt,
    clientTime: read.time('clientTime') ?? receivedAt,
    location: read.url('location'),
    referer: read.url('referer'),
    remoteAddress: read.text('remoteAddress') ?? '',
    parameters,
    itemId: read.text('itemId'),
    sequence: read.integer('sequence'),
    firstInSession: read.flag('firstInSession'),
    newParty: read.flag('newParty'),
    duplicate: read.flag('duplicate'),
    corrupt: read.flag('corrupt'),
    viewportWidth: read.integer('viewportWidth'),
    viewportHeight: read.integer('viewportHeight'),
    screenWidth: read.integer('screenWidth'),
    screenHeight: read.integer('screenHeight'),
    devicePixelRatio: read.number('devicePixelRatio'),
    userAgent: read.userAgent('userAgent'),
    agent: {
      name: readAgent.text('name'),
      family: readAgent.text('family'),
      vendor: readAgent.text('vendor'),
      type: readAgent.text('type'),
      version: readAgent.text('version'),
      deviceCategory: readAgent.text('deviceCategory'),
      osFamily: readAgent.text('osFamily'),
      osVersion: readAgent.text('osVersion'),
      osVendor: readAgent.text('osVendor'),
    },
    bot: read.text('bot'),
    privacy: read.choice('privacy', Object.values(Privacy)),
    source: read.choice('source', Object.values(Source)) ?? Source.Json,
    country: read.text('country'),
  }
  checkEvent(event)
  return event
}

function isInt32(value: unknown): boolean {
  return typeof value === 'number' && (value | 0) === value
}

interface Reader {
  readonly text: (name: string) => string | null
  readonly url: (name: string) => string | null
  readonly userAgent: (name: string) => string | null
  readonly time: (name: string) => number | null
  readonly number: (name: string) => number | null
  readonly integer: (name: string) => number | null
  readonly flag: (name: string) => boolean
  readonly choice: <Word extends string>(name: string, words: readonly Word[]) => Word | null
}

function readerOf(members: Members, limits: EventLimits): Reader {
  const read = <Value>(name: string, what: string, is: (value: unknown) => boolean) => {
    const value = members[name] ?? null
    if (value === null || is(value)) return value as Value | null
    throw refusal(`its ${name} ${shown(JSON.stringify(value))} is no ${what}`)
  }
  const text = (name: string, charactersMax: number): string | null => {
    const found = read<string>(name, 'text', (value) => typeof value === 'string')
    return found === null ? null : cut(found, charactersMax).toWellFormed()
  }
  return {
    text: (name) => {
      const found = text(name, Number.MAX_SAFE_INTEGER)
      if (found === null || found.length <= limits.textCharactersMax) return found
      throw refusal(`its ${name} has more than ${limits.textCharactersMax} characters`)
    },
    url: (name) => text(name, limits.urlCharactersMax),
    userAgent: (name) => text(name, limits.userAgentCharactersMax),
    time: (name) => {
      const value = members[name] ?? null
      const timeMs = value === null ? null : parseTime(value, 'ms')
      if (value === null || timeMs !== null) return timeMs
      throw refusal(`its ${name} ${shown(value)} is no time`)
    },
    number: (name) => read(name, 'number', Number.isFinite),
    integer: (name) => read(name, 'whole number', isInt32),
    flag: (name) => read(name, 'true or false', (value) => typeof value === 'boolean') ?? false,
    choice: (name, words) =>
      read(name, words.join(', '), (value) => words.includes(value as never)),
  }
}
