import { ClockSource, type Event, Source } from '../../event/event.ts'
import type { EventId, PageViewId, PartyId, SessionId } from '../../event/identifier.ts'
import type { MappingRequest } from '../../event/mapping.ts'
import { unknownAgent } from '../enrich.ts'

/** An event as a mapping gets it. */
export interface Sample {
  readonly event: Event
  readonly request: MappingRequest
}

const time = Date.UTC(2026, 0, 1)
const pageViewId = '0:SampleSampleSampleSampleSampleSa'

const fullEvent: Event = {
  eventId: `${pageViewId}0` as EventId,
  partyId: '0:mjtp8g00:SamplePartySamplePartySamplePart' as PartyId,
  sessionId: '0:mjtp8g00:SampleSessionSampleSessionSample' as SessionId,
  pageViewId: pageViewId as PageViewId,
  eventType: 'pageView',
  eventTime: time,
  clockSource: ClockSource.Client,
  receivedAt: time + 20,
  clientTime: time,
  location: 'https://www.example.com/path?name=value#fragment',
  referer: 'https://www.example.org/',
  remoteAddress: '192.0.2.0',
  parameters: '{"item_id":"sample","count":1}',
  itemId: 'sample',
  sequence: 0,
  firstInSession: true,
  newParty: true,
  duplicate: false,
  corrupt: false,
  viewportWidth: 1280,
  viewportHeight: 720,
  screenWidth: 1440,
  screenHeight: 900,
  devicePixelRatio: 2,
  userAgent: 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
  agent: {
    name: 'Firefox',
    family: 'Firefox',
    vendor: 'Mozilla Foundation',
    type: 'Browser',
    version: '140.0',
    deviceCategory: 'Personal computer',
    osFamily: 'Linux',
    osVersion: '6',
    osVendor: 'unknown',
  },
  bot: null,
  privacy: null,
  source: Source.Tag,
  country: 'NL',
}

const bareEvent: Event = {
  ...fullEvent,
  partyId: null,
  sessionId: null,
  pageViewId: null,
  clockSource: ClockSource.Collector,
  location: null,
  referer: null,
  remoteAddress: '',
  parameters: null,
  itemId: null,
  sequence: null,
  firstInSession: false,
  newParty: false,
  viewportWidth: null,
  viewportHeight: null,
  screenWidth: null,
  screenHeight: null,
  devicePixelRatio: null,
  userAgent: null,
  agent: unknownAgent,
  source: Source.Json,
  country: null,
}

/** An event with every member and one with as few as can be, for each kind of source. */
export function sampleEvents(sources: readonly string[] = ['browser']): readonly Sample[] {
  return sources.flatMap((source) => [
    { event: fullEvent, request: { source, headers: { 'user-agent': fullEvent.userAgent ?? '' } } },
    { event: bareEvent, request: { source, headers: {} } },
  ])
}
