import { type Command, InvalidArgumentError } from 'commander'
import type { HealthAnswer } from '../api/answer.ts'
import { type AgentReader, createAgentReader } from '../collect/enrich.ts'
import type { Config } from '../config.ts'
import { MillraceError } from '../event/error.ts'
import { type Event, Source } from '../event/event.ts'
import { completeEvent } from '../import/event.ts'
import { logOf } from '../import/identity.ts'
import type { ImportItem, ImportSource } from '../import/source.ts'
import { dayMs, systemClock } from '../lib/clock.ts'
import { type SendCounts, sendEvents } from '../simulate/send.ts'
import {
  createLiveTraffic,
  type SimulatedReceipt,
  simulateDay,
  type TrafficOptions,
} from '../simulate/simulate.ts'
import { connectOwner } from './client.ts'
import { runImport } from './import-run.ts'
import { type CommonFlags, configOf, createCommand, parseInteger } from './options.ts'

interface SimulateFlags extends CommonFlags {
  readonly seed: string
  readonly eventsPerDay: number
  readonly days?: number
  readonly rate?: number
  readonly seconds?: number
  readonly url?: string
  readonly outsideRetention?: boolean
  readonly again?: boolean
}

/** `millrace simulate`: a shop's traffic, to look at or to put load on a collector. */
export function simulateCommand(): Command {
  return createCommand('simulate', "Make a shop's traffic: fill past days, or send it live")
    .option('--days <days>', 'fill this many days before today', parsePositive)
    .option('--events-per-day <events>', 'events on an ordinary day', parsePositive, 2_000)
    .option('--rate <events>', 'send this many events a second to the collector', parsePositive)
    .option('--seconds <seconds>', 'stop sending after this time (default: Ctrl+C)', parsePositive)
    .option('--url <url>', 'the collector (default: that of the data folder)')
    .option('--seed <text>', 'another one is another shop', 'shop')
    .option('--outside-retention', 'keep days that retention would delete')
    .option('--again', 'write all days again, such as after retention deleted some')
    .action(async (flags: SimulateFlags, command: Command) => {
      if (flags.days === undefined && flags.rate === undefined) {
        command.error('error: give --days to fill the past, --rate to send live, or both')
      }
      const config = await configOf(flags)
      const { seed, eventsPerDay } = flags
      if (flags.days !== undefined) {
        const past = createPast(flags.days, { seed, eventsPerDay }, config)
        await runImport(config, past, flags)
        process.stdout.write(describeRepeats(past.repeats()))
      }
      if (flags.rate !== undefined && process.exitCode === undefined) {
        await sendLive(flags.rate, flags, config)
      }
    })
}

function parsePositive(text: string): number {
  const value = parseInteger(text)
  if (value < 1) throw new InvalidArgumentError('It must be at least 1.')
  return value
}

interface Past extends ImportSource {
  /** Rows that were read and are the same event again. */
  readonly repeats: () => number
}

/** Browsers and proxies send some events twice; nobody shall take these for a fault. */
function describeRepeats(count: number): string {
  if (count === 0) return ''
  const [rows, are] = count === 1 ? ['row is a repeat', 'it is'] : ['rows are repeats', 'they are']
  return `${count.toLocaleString('en')} of these ${rows}, made on purpose as retries happen: ${are} counted as there already, never as an event more\n`
}

/** The days before today as a source of rows: today's are not over. */
function createPast(days: number, traffic: TrafficOptions, config: Config): Past {
  const today = Math.floor(systemClock() / dayMs)
  const readAgent = createAgentReader()
  const { itemIdParameter } = config.collect
  const log = logOf('simulate', { ...traffic, firstDay: today - days, days, itemIdParameter })
  let repeats = 0
  return {
    repeats: () => repeats,
    read() {
      let done = 0
      repeats = 0
      async function* items(): AsyncGenerator<readonly ImportItem[], void, undefined> {
        let row = 0
        for (; done < days; done++) {
          const receipts = simulateDay(today - days + done, traffic)
          repeats += receipts.length - new Set(receipts.map(({ event }) => event)).size
          yield receipts.map((receipt) => ({
            row: row++,
            event: eventOf(receipt, itemIdParameter, readAgent),
          }))
          // A day is made in one go: signals and answers come between two of them.
          await new Promise(setImmediate)
        }
      }
      const end = { log, fault: null }
      return { items: items(), end: () => end, done: () => done, total: () => days }
    },
  }
}

function eventOf(receipt: SimulatedReceipt, itemName: string, readAgent: AgentReader): Event {
  const { event, receivedAt } = receipt
  const { device, parameters } = event
  const item = parameters?.['item_id']
  return completeEvent({
    eventId: event.eventId,
    partyId: event.partyId,
    sessionId: event.sessionId,
    pageViewId: event.pageViewId,
    eventType: event.eventType,
    eventTime: event.eventTime,
    receivedAt,
    clientTime: event.eventTime,
    location: event.location,
    referer: event.referer,
    parameters: parameters === null ? null : JSON.stringify(parameters),
    itemId: item === undefined || itemName !== 'item_id' ? null : String(item),
    newParty: event.isNew,
    firstInSession: event.firstInSession,
    viewportWidth: device.width,
    viewportHeight: Math.round(device.height * 0.9),
    screenWidth: device.width,
    screenHeight: device.height,
    devicePixelRatio: device.ratio,
    userAgent: device.userAgent,
    ...readAgent(device.userAgent),
    country: event.country,
    source: Source.Tag,
  })
}

/** Visits under way at once for each event a second: a person does something every ten seconds. */
const visitsPerRate = 10
const progressIntervalMs = 5_000

async function sendLive(rate: number, flags: SimulateFlags, config: Config): Promise<void> {
  const url = flags.url ?? (await findCollector(config))
  const stopping = new AbortController()
  const stop = (): void => stopping.abort()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop)
  const { seed, eventsPerDay, seconds } = flags
  const traffic = createLiveTraffic({ seed, eventsPerDay }, rate * visitsPerRate, systemClock)
  const { eventSuffix } = config.tag
  const startedAt = performance.now()
  let toldAt = startedAt
  const counts = await sendEvents(traffic, {
    url,
    eventSuffix,
    rate,
    seconds,
    signal: stopping.signal,
    onProgress(soFar) {
      if (performance.now() - toldAt < progressIntervalMs) return
      toldAt = performance.now()
      process.stderr.write(`${describe(soFar)}\n`)
    },
  })
  const elapsed = (performance.now() - startedAt) / 1_000
  const perSecond = Math.round(counts.sent / elapsed)
  process.stdout.write(`${describe(counts)}, in ${elapsed.toFixed(1)} s (${perSecond}/s)\n`)
  process.stdout.write('about 1 in 100 is sent twice on purpose: the store keeps it once\n')
  if (counts.limited > 0) {
    const { requestsPerSecondMax } = config.collect
    process.stderr.write(
      `the collector takes ${requestsPerSecondMax} requests a second from one address and said 429 to the others: give a smaller --rate, or start it with --set collect.requestsPerSecondMax=0\n`,
    )
  }
  if (counts.accepted < counts.sent) process.exitCode = 1
}

function describe({ sent, accepted, refused, limited, retried, lost }: SendCounts): string {
  return `${sent} sent, ${accepted} accepted, ${refused} refused, ${limited} over the rate limit, ${retried} tried again, ${lost} lost`
}

async function findCollector(config: Config): Promise<string> {
  const api = await connectOwner(config)
  const health = api && (await api.health<HealthAnswer>('/api/health'))
  if (health?.collectorUrl) return health.collectorUrl
  throw new MillraceError('collector_absent', `none is known for ${config.data}`)
}
