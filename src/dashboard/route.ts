/**
 * Where the reader is: a view and what it is asked about, as the part of the address after `#`. So
 * every view can be linked, and Back works.
 */

/** The views by the name that stands in the address, in the order of the menu. */
export const viewTitles = {
  overview: 'Overview',
  live: 'Live',
  top: 'Top lists',
  funnel: 'Funnel',
  retention: 'Retention',
  recommendations: 'Recommendations',
  party: 'Parties',
  'dead-letters': 'Dead letters',
} as const

export type ViewName = keyof typeof viewTitles

export const viewNames = Object.keys(viewTitles) as readonly ViewName[]

/** The ranges to choose from: today (UTC) and the days before. */
export const dayChoices = [30, 60, 90] as const

/** What is drawn by day. */
export const metricTitles = {
  events: 'Events',
  parties: 'Unique parties',
  sessions: 'Sessions',
  views: 'Page views',
} as const

export type Metric = keyof typeof metricTitles

/** What is drawn by day of the recommendations. */
export const exposureTitles = {
  impressions: 'Impressions',
  clicks: 'Clicks',
  share: 'Click-through',
} as const

export type Exposure = keyof typeof exposureTitles

/** What is counted of the programs that parties use. */
export const softwareTitles = { browser: 'Browsers', system: 'Systems' } as const

export type Software = keyof typeof softwareTitles

export interface Route {
  readonly view: ViewName
  readonly days: (typeof dayChoices)[number]
  readonly bots: 'exclude' | 'include'
  /** Of the overview. */
  readonly metric: Metric
  /** Of the funnel: event types in their order. */
  readonly steps: readonly string[]
  /** Of the top lists: '' counts as the API does by itself. */
  readonly eventType: string
  /** Of the top lists. */
  readonly software: Software
  /** Of the recommendations. */
  readonly exposure: Exposure
  /** Of the way of one party: '' while none is chosen. */
  readonly partyId: string
}

const start: Route = {
  view: 'overview',
  days: 30,
  bots: 'exclude',
  metric: 'events',
  steps: [],
  eventType: '',
  software: 'browser',
  exposure: 'impressions',
  partyId: '',
}

/** Reads `#/funnel?days=60&step=pageView`; what it does not know is as if it were not there. */
export function parseHash(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#?\/?/, '').split(/\?(.*)/s, 2)
  const [name = '', ...rest] = path.split('/')
  const given = new URLSearchParams(query)
  return {
    view: viewNames.find((view) => view === name) ?? start.view,
    days: dayChoices.find((days) => String(days) === given.get('days')) ?? start.days,
    bots: given.get('bots') === 'include' ? 'include' : 'exclude',
    metric: keyOf(metricTitles, given.get('metric')) ?? start.metric,
    steps: given.getAll('step').filter((step) => step !== ''),
    eventType: given.get('type') ?? '',
    software: keyOf(softwareTitles, given.get('software')) ?? start.software,
    exposure: keyOf(exposureTitles, given.get('show')) ?? start.exposure,
    partyId: name === 'party' ? decode(rest.join('/')) : '',
  }
}

/** The address of a route; only what differs from the start is in it. */
export function hashOf(route: Route): string {
  const query = new URLSearchParams()
  if (route.days !== start.days) query.set('days', String(route.days))
  if (route.bots !== start.bots) query.set('bots', route.bots)
  if (route.view === 'overview' && route.metric !== start.metric) query.set('metric', route.metric)
  if (route.view === 'funnel') for (const step of route.steps) query.append('step', step)
  if (route.view === 'top' && route.eventType !== '') query.set('type', route.eventType)
  if (route.view === 'top' && route.software !== start.software)
    query.set('software', route.software)
  if (route.view === 'recommendations' && route.exposure !== start.exposure)
    query.set('show', route.exposure)
  const name = route.view === start.view ? '' : route.view
  const party = route.view === 'party' && route.partyId !== '' ? `/${encode(route.partyId)}` : ''
  const text = query.toString()
  return `#/${name}${party}${text === '' ? '' : `?${text}`}`
}

/** The same range and filter in another view; nothing of what the other view was asked about. */
export function routeTo(route: Route, view: ViewName, partyId = ''): Route {
  return { ...start, days: route.days, bots: route.bots, view, partyId }
}

function keyOf<Key extends string>(titles: Record<Key, string>, name: string | null) {
  return (Object.keys(titles) as Key[]).find((key) => key === name)
}

function encode(text: string): string {
  // Lone surrogates cannot be encoded; an identifier never has any.
  return encodeURIComponent(text.toWellFormed())
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
