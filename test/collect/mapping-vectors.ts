import {
  cookie,
  digest,
  fromJson,
  headerValues,
  jsonPath,
  match,
  parameters,
  parameterText,
  parseBoolean,
  parseFloat32,
  parseFloat64,
  parseInt32,
  parseInt64,
  parseQuery,
  parseUri,
  seededDigest,
} from '../../src/collect/mapping/mapping.ts'
import type { Event } from '../../src/event/event.ts'
import type { MapEvent } from '../../src/event/mapping.ts'

/**
 * The recorded Divolte scripts as TypeScript, line by line; the scripts themselves stand in the
 * recordings.
 */

const seed: MapEvent = (event) => ({
  click_stream_cookie_id: parameterText(event, 'click_stream_cookie_id') ?? event.partyId,
  event_name: event.eventType,
  item_id: parameterText(event, 'item_id'),
  event_date: event.clientTime,
  url: event.location,
  client_ip: event.remoteAddress,
})

const uri: MapEvent = (event) => {
  const location = parseUri(event.location)
  const query = parseQuery(location?.rawQuery)
  const inner = parseUri(location?.rawFragment)
  return {
    scheme: location?.scheme,
    host: location?.host,
    port: location?.port,
    path: location?.path,
    rawPath: location?.rawPath,
    rawQuery: location?.rawQuery,
    query: location?.query,
    frag: location?.fragment,
    rawFrag: location?.rawFragment,
    qv: query?.get('q')?.[0],
    ql: query?.get('q'),
    qm: query && inJavaOrder(query),
    fpath: inner?.path,
    fq: parseQuery(inner?.rawQuery)?.get('z')?.[0],
    ref: event.referer,
  }
}

/** An Avro map has no order; the recorded bytes have that of a small java.util.HashMap. */
function inJavaOrder<Value>(map: ReadonlyMap<string, Value>): ReadonlyMap<string, Value> {
  const place = (text: string): number => {
    let hash = 0
    for (const unit of text) hash = (Math.imul(hash, 31) + unit.charCodeAt(0)) | 0
    return (hash ^ (hash >>> 16)) & 15
  }
  return new Map([...map].sort(([a], [b]) => place(a) - place(b)))
}

const flow: MapEvent = (event) => {
  const { eventType, firstInSession } = event
  const number = parameterText(event, 'i')
  const path = parseUri(event.location)?.path
  const found = match(path, /^\/(\w+)\/(?<id>\d+)?.*$/)
  const record: Record<string, unknown> = {
    lit: 'literal',
    i: parseInt32(number),
    l: parseInt64(number),
    bo: parseBoolean(parameterText(event, 'b')),
    db: parseFloat64(number),
    fl: parseFloat32(number),
    nul: parameterText(event, 'absent'),
    g1: found?.[1],
    g2: found?.groups?.['id'],
    eqs: eventType === number,
    orx: path === undefined ? undefined : firstInSession || found !== undefined,
    andx: path === undefined ? undefined : firstInSession && found === undefined,
    a: 'a1',
  }
  if (eventType !== 'exit') {
    record['b'] = 'b1'
    if (eventType === 'stop') return record
    record['c'] = eventType === 'apply' ? 'c-applied' : 'c-after'
  }
  record['d'] = 'd1'
  if (eventType !== 'topexit') record['e'] = 'e1'
  return record
}

const par: MapEvent = (event, request) => {
  const all = parameters(event)
  const test = headerValues(request, 'X-Test')
  return {
    json: fromJson(jsonPath(all, '$.s')),
    path1: parameterText(event, 's'),
    path2: fromJson(jsonPath(all, '$.n')),
    list: fromJson(jsonPath(all, '$.arr[*]')),
    sub: fromJson(jsonPath(all, '$.deep.x')),
    rec: fromJson(jsonPath(all, '$.rec')),
    en: fromJson(jsonPath(all, '$.en')),
    cook: cookie(request, 'mycookie'),
    hdr: test,
    h1: test?.at(0),
    hl: test?.at(-1),
    hg1: test?.at(1),
    hgm2: test?.at(-2),
    hc: test?.join(),
    ua: event.userAgent,
    // The original's words for an agent that its database does not know.
    uan: event.userAgent === null ? null : (event.agent.name ?? 'unknown'),
    uat: event.userAgent === null ? null : (event.agent.type ?? ''),
    sha: digest('SHA-256', event.sessionId, 'salt').toString('hex'),
    hmac: seededDigest('SHA-256', 'seed', event.partyId).toString('hex').toUpperCase(),
    b64: digest('MD5', event.eventType).toString('base64'),
    raw: digest('SHA-1', event.eventType),
    dpr: parseInt32(event.devicePixelRatio),
    ev: event.eventId,
    pv: event.pageViewId,
    dupe: event.duplicate,
    cor: event.corrupt,
  }
}

/** Divolte's built-in mapping with `discard_corrupted`. */
const standard: MapEvent = (event) => (event.corrupt ? null : divolteFields(event))

function divolteFields(event: Event): Readonly<Record<string, unknown>> {
  const { agent } = event
  return {
    detectedDuplicate: event.duplicate,
    detectedCorruption: event.corrupt,
    firstInSession: event.firstInSession,
    timestamp: event.receivedAt,
    clientTimestamp: event.clientTime,
    remoteHost: event.remoteAddress,
    referer: event.referer,
    location: event.location,
    viewportPixelWidth: event.viewportWidth,
    viewportPixelHeight: event.viewportHeight,
    screenPixelWidth: event.screenWidth,
    screenPixelHeight: event.screenHeight,
    partyId: event.partyId,
    sessionId: event.sessionId,
    pageViewId: event.pageViewId,
    eventType: event.eventType,
    userAgentString: event.userAgent,
    userAgentName: agent.name,
    userAgentFamily: agent.family,
    userAgentVendor: agent.vendor,
    userAgentType: agent.type,
    userAgentVersion: agent.version,
    userAgentDeviceCategory: agent.deviceCategory,
    userAgentOsFamily: agent.osFamily,
    userAgentOsVersion: agent.osVersion,
    userAgentOsVendor: agent.osVendor,
  }
}

export const mappings: Readonly<Record<string, MapEvent>> = {
  Seed: seed,
  Uri: uri,
  Flow: flow,
  Par: par,
  default: standard,
}
