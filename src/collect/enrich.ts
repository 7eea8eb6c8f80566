import bowser from 'bowser'
import { isbotMatch } from 'isbot'
import { type Agent, ClockSource } from '../event/event.ts'
import { createCache } from '../lib/cache.ts'
import { dayMs, minuteMs } from '../lib/clock.ts'

/** How far before `receivedAt` the client's time may lie: a tag gives up after six days. */
export const latenessMs = 7 * dayMs
/** How far after `receivedAt` the client's time may lie. */
export const aheadMs = 5 * minuteMs
/** Beyond it, in the year 144683 and as far before 1970, avsc does not write a long exactly. */
const timeMsMax = 2 ** 52 - 1

/** The times of an event, in ms since 1970; see `Event`. */
export interface EventTimes {
  readonly eventTime: number
  readonly clientTime: number
  readonly clockSource: ClockSource
}

/** Places an event in time: by the client's clock where that can be right, else by ours. */
export function timesOf(clientTime: number, receivedAt: number): EventTimes {
  if (clientTime >= receivedAt - latenessMs && clientTime <= receivedAt + aheadMs) {
    return { eventTime: clientTime, clientTime, clockSource: ClockSource.Client }
  }
  const kept = Math.max(-timeMsMax, Math.min(timeMsMax, clientTime))
  return { eventTime: receivedAt, clientTime: kept, clockSource: ClockSource.Wrong }
}

/** What a user agent header tells. */
export interface AgentFinding {
  readonly agent: Agent
  /** What in the header speaks of a bot, or null. */
  readonly bot: string | null
}

/** Looks at a user agent header; remembers what it saw, for parsing costs more than the request. */
export type AgentReader = (userAgent: string | null) => AgentFinding

const agentsMax = 10_000

export const unknownAgent: Agent = {
  name: null,
  family: null,
  vendor: null,
  type: null,
  version: null,
  deviceCategory: null,
  osFamily: null,
  osVersion: null,
  osVendor: null,
}

export function createAgentReader(): AgentReader {
  const findings = createCache<AgentFinding>(agentsMax)
  const none: AgentFinding = { agent: unknownAgent, bot: null }
  return (userAgent) => {
    if (userAgent === null || userAgent === '') return none
    let finding = findings.get(userAgent)
    if (finding === undefined) {
      finding = { agent: parseAgent(userAgent), bot: isbotMatch(userAgent) }
      findings.set(userAgent, finding)
    }
    return finding
  }
}

const browserVendors: Readonly<Record<string, string>> = {
  Chrome: 'Google Inc.',
  Chromium: 'Google Inc.',
  'Android Browser': 'Google Inc.',
  Firefox: 'Mozilla Foundation',
  Safari: 'Apple Inc.',
  'Microsoft Edge': 'Microsoft Corporation',
  'Internet Explorer': 'Microsoft Corporation',
  Opera: 'Opera Software ASA',
}

const systemVendors: Readonly<Record<string, string>> = {
  Windows: 'Microsoft Corporation',
  macOS: 'Apple Inc.',
  iOS: 'Apple Inc.',
  Android: 'Google Inc.',
  'Chrome OS': 'Google Inc.',
}

const deviceCategories: Readonly<Record<string, string>> = {
  desktop: 'Personal computer',
  mobile: 'Smartphone',
  tablet: 'Tablet',
  tv: 'Smart TV',
}

/** The fields have Divolte's names and words; what they say comes from a parser of today. */
function parseAgent(userAgent: string): Agent {
  const { browser, os, platform } = bowser.parse(userAgent)
  const name = browser.name || null
  const osFamily = os.name || null
  const category = deviceCategories[platform.type ?? ''] ?? null
  return {
    name,
    family: name,
    vendor: browserVendors[name ?? ''] ?? null,
    type: category === null || name === null ? null : 'Browser',
    version: browser.version || null,
    deviceCategory: category,
    osFamily,
    osVersion: os.version || null,
    osVendor: systemVendors[osFamily ?? ''] ?? null,
  }
}
