import { existsSync, globSync, readFileSync, readlinkSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import type { CountsAnswer, ErasuresAnswer, EventsAnswer, HealthAnswer } from '../api/answer.ts'
import type { Config } from '../config.ts'
import { toError } from '../lib/assert.ts'
import { dayMs, dayOf, hourMs, minuteMs } from '../lib/clock.ts'
import { waitMs } from '../lib/retry.ts'
import { bucketRowsMax } from '../store/health.ts'
import { type ApiClient, connectOwner } from './client.ts'
import { type Finding, failing, fine, warning } from './doctor-finding.ts'
import { readOwner } from './owner.ts'

/** What only a running Millrace can say, and what stands in the way of one that is not. */
export async function* checkRunning(config: Config): AsyncGenerator<Finding, void, undefined> {
  const owner = await readOwner(config.data)
  const api = await connectOwner(config)
  if (api === undefined) {
    yield warning('owner', 'nothing runs on this data folder', 'millrace start')
    yield* checkPorts(config)
    return
  }
  const named = owner === undefined ? api.url : `process ${owner.pid} at ${api.url}`
  let health: HealthAnswer
  try {
    health = await api.health<HealthAnswer>('/api/health')
  } catch (thrown) {
    const advice =
      'Look at its log; if it hangs, end it and start it again: what was answered is on disk'
    yield failing('owner', `${named} does not answer: ${toError(thrown).message}`, advice)
    return
  }
  yield fine('owner', `${named}, version ${health.version}`)
  yield* judgeHealth(health)
  yield* judgeBucket(health)
  if (health.consumer === 'elsewhere' && health.lag !== null) yield await checkOthers(api, health)
  yield* checkCollector(health.collectorUrl)
  yield* checkProxies(config, api)
  yield* checkErasures(api, Date.parse(health.now))
  yield* checkClosing(config, api, Date.parse(health.now))
}

/** Lag beyond which the consumer is behind, in records; a moment of full load makes less. */
const lagMax = 50_000

export function* judgeHealth(health: HealthAnswer): Generator<Finding> {
  const { problem, lag, consumer, lastStoredAt, now, deadLetters } = health
  if (problem === null) yield fine('health', 'events are taken and stored')
  else yield failing('health', problem, 'Until it is mended, events wait on the log')
  // What other processes do has to be watched for a while: see checkOthers.
  if (consumer === 'elsewhere') {
    if (lag === null)
      yield failing('consumer', 'nobody knows what is stored', 'See the line health')
  } else if (consumer === 'stopped') {
    yield failing(
      'consumer',
      'nobody moves events from the log into the store',
      'Run millrace start, or millrace consume',
    )
  } else if (consumer === 'waiting' || lag === null) {
    yield failing(
      'consumer',
      `it waits; ${lag ?? 'an unknown number of'} records are not stored`,
      'See the line health',
    )
  } else if (lag > lagMax) {
    yield behind(lag)
  } else yield fine('consumer', `${lag} records wait to be stored`)
  yield judgeNewest(lastStoredAt, now)
  if ((deadLetters ?? 0) === 0) yield fine('dead letters', 'none')
  else {
    yield warning(
      'dead letters',
      `${deadLetters} requests or records could not be stored`,
      'millrace dead-letters list says why; replay tries them again',
    )
  }
}

/** How long others may store nothing while there is something to store: a rebalance takes seconds. */
const othersWaitMs = 15_000
const othersLookMs = 1_000

/** Whether other processes store what is on the log, which only shows in what becomes of it. */
async function checkOthers(api: ApiClient, first: HealthAnswer): Promise<Finding> {
  const deadline = performance.now() + othersWaitMs
  let latest = first
  while (!isMoving(first, latest) && performance.now() < deadline) {
    await waitMs(othersLookMs)
    latest = await api.health<HealthAnswer>('/api/health')
  }
  return judgeOthers(first, latest)
}

function isMoving(first: HealthAnswer, latest: HealthAnswer): boolean {
  if (latest.lag === null || latest.lag === 0) return true
  return latest.lastStoredAt !== first.lastStoredAt || latest.lag < (first.lag ?? 0)
}

/** What two looks, some time apart, say about consumers that are processes of their own. */
export function judgeOthers(first: HealthAnswer, latest: HealthAnswer): Finding {
  const { lag } = latest
  if (!isMoving(first, latest)) {
    return failing(
      'consumer',
      `${lag} records wait, and nobody moves them from the log into the store`,
      'Is a millrace consume running, with the same settings of log, group and store?',
    )
  }
  if (lag === null || lag > lagMax) return behind(lag)
  return fine('consumer', `others store; ${lag} records wait`)
}

function behind(lag: number | null): Finding {
  return warning(
    'consumer',
    `${lag ?? 'an unknown number of'} records are not stored yet`,
    'Wait; if it grows, run another millrace consume, or the collector on a machine of its own',
  )
}

/** Whether a partition of the store has grown too large; nothing where there are none. */
export function* judgeBucket({ fullestBucket }: HealthAnswer): Generator<Finding> {
  if (fullestBucket === null) return
  const { name, rows } = fullestBucket
  const text = `the fullest is ${name} with ${rows} rows`
  if (rows <= bucketRowsMax) yield fine('buckets', text)
  else {
    yield warning(
      'buckets',
      `${text}, where ${bucketRowsMax} are the most`,
      'Set cassandra.expectedEventsPerDay: it decides the layout of the days to come',
    )
  }
}

function judgeNewest(lastStoredAt: string | null, now: string): Finding {
  if (lastStoredAt === null) {
    return warning(
      'newest event',
      'no event was ever stored',
      'Put the tag into a page, or open the demo page of the collector',
    )
  }
  const ageMs = Date.parse(now) - Date.parse(lastStoredAt)
  if (ageMs < -5 * minuteMs) {
    return failing(
      'newest event',
      `it was received at ${lastStoredAt}, which is in the future`,
      'A collector has a wrong clock: set it (NTP)',
    )
  }
  const text = `received at ${lastStoredAt}`
  if (ageMs <= dayMs) return fine('newest event', text)
  return warning(
    'newest event',
    text,
    'Nothing came for a day: does the page load the tag, does its request arrive?',
  )
}

async function* checkCollector(url: string | null): AsyncGenerator<Finding, void, undefined> {
  if (url === null) return
  const answer = await fetch(`${url}/ping`, { signal: AbortSignal.timeout(5_000) }).then(
    ({ status }) => status,
    (thrown: unknown) => toError(thrown).message,
  )
  if (answer === 200) yield fine('collector', `${url} takes events`)
  else
    yield failing(
      'collector',
      `${url}/ping: ${answer}`,
      'Look at the log of the process: it takes no events',
    )
}

const sampleEvents = 500
const partiesMin = 20

/** Many parties with one address: a proxy that is not believed. */
async function* checkProxies(
  { collect }: Config,
  api: ApiClient,
): AsyncGenerator<Finding, void, undefined> {
  if (collect.trustedProxies.length > 0) {
    yield fine('trusted proxies', collect.trustedProxies.join(', '))
    return
  }
  const query = `last=2d&order=desc&limit=${sampleEvents}`
  const { events } = await api.json<EventsAnswer>(`/api/events?${query}`)
  yield judgeProxies(events)
}

export function judgeProxies(
  events: readonly Pick<EventsAnswer['events'][number], 'remoteAddress' | 'partyId'>[],
): Finding {
  // Events that were imported, and all under `collect.address` none, have no address.
  const addressed = events.filter(({ remoteAddress }) => remoteAddress !== '')
  const addresses = new Set(addressed.map(({ remoteAddress }) => remoteAddress))
  const parties = new Set(addressed.map(({ partyId }) => partyId))
  const [address] = addresses
  if (addresses.size !== 1 || parties.size < partiesMin) {
    return fine('trusted proxies', 'none; visitors have addresses of their own')
  }
  return warning(
    'trusted proxies',
    `the last ${parties.size} parties all have the address ${address}`,
    'Behind a proxy, name it in collect.trustedProxies: else all visitors share one rate limit and one country',
  )
}

async function* checkErasures(
  api: ApiClient,
  now: number,
): AsyncGenerator<Finding, void, undefined> {
  const { erasures } = await api.json<ErasuresAnswer>('/api/erasures')
  const late = erasures.filter(
    ({ state, at }) => state === 'pending' && now - Date.parse(at) > hourMs,
  )
  if (late.length === 0) yield fine('erasures', `${erasures.length}, none overdue`)
  else {
    yield failing(
      'erasures',
      `${late.length} are pending for more than an hour`,
      'The consumer has to pass the log of that time: see the lines consumer and health',
    )
  }
}

/** Days are closed when they are 8 days old: 7 for late events, and one to do it. */
const closedAfterMs = 9 * dayMs

async function* checkClosing(
  { data, store }: Config,
  api: ApiClient,
  now: number,
): AsyncGenerator<Finding, void, undefined> {
  const folder = join(data, 'store', 'days')
  if (store.backend !== 'embedded' || !existsSync(folder)) return
  const closed = new Set(globSync('*.parquet', { cwd: folder }).map((name) => name.slice(0, 10)))
  const { rows } = await api.json<CountsAnswer>('/api/counts?last=90d&bots=include')
  const old = new Set(rows.map(({ day }) => day).filter((day) => day < dayOf(now - closedAfterMs)))
  const open = [...old].filter((day) => !closed.has(day))
  if (open.length === 0) yield fine('closed days', `${closed.size} days are closed`)
  else
    yield warning(
      'closed days',
      `${open.length} old days are still open, the first is ${open.sort()[0]}`,
      'millrace close writes them, which makes them small and fast',
    )
}

async function* checkPorts({ collect, api }: Config): AsyncGenerator<Finding, void, undefined> {
  for (const [name, { host, port }] of [
    ['collector port', collect],
    ['API port', api],
  ] as const) {
    if (port === 0) continue
    const fault = await listenFault(host, port)
    if (fault === undefined) yield fine(name, `${host}:${port} is free`)
    else {
      const user = fault === 'EADDRINUSE' ? holderOf(port) : ''
      yield failing(
        name,
        `${host}:${port}: ${fault}${user}`,
        'End that program, or choose another port or host',
      )
    }
  }
}

function listenFault(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', ({ code, message }: NodeJS.ErrnoException) => resolve(code ?? message))
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)))
  })
}

/** Whose it is, where Linux tells: the process that has the listening socket open. */
function holderOf(port: number): string {
  try {
    const hex = port.toString(16).toUpperCase().padStart(4, '0')
    const lines = ['tcp', 'tcp6'].flatMap((name) =>
      readFileSync(`/proc/net/${name}`, 'utf8').split('\n'),
    )
    const inode = lines
      .map((line) => line.trim().split(/\s+/))
      .find((parts) => parts[1]?.endsWith(`:${hex}`) && parts[3] === '0A')?.[9]
    if (inode === undefined) return ''
    for (const link of globSync('/proc/[0-9]*/fd/*')) {
      if (isSocket(link, inode)) return `, held by process ${link.split('/')[2]}`
    }
  } catch {
    // Not Linux, or not ours to see.
  }
  return ''
}

function isSocket(link: string, inode: string): boolean {
  try {
    return readlinkSync(link) === `socket:[${inode}]`
  } catch {
    return false
  }
}
