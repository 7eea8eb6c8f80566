import { z } from 'zod'
import { bytes, KiB, MiB, port, positive } from './units.ts'

/** The HTTP server that takes events, and its limits. */
export const collectSchema = z.strictObject({
  /** Loopback until you decide otherwise: a collector that the world can reach is a decision. */
  host: z.string().default('127.0.0.1'),
  /** Divolte's port. 0 takes a free one. */
  port: port.default(8290),
  /** Origins whose pages may POST events; `*` is any, as anybody may send a GET anyway. */
  allowedOrigins: z.array(z.string()).default(['*']),
  /** Addresses or CIDR ranges of proxies whose X-Forwarded-For is believed. */
  trustedProxies: z.array(z.string()).default([]),
  /** `masked` keeps /24 of IPv4 and /48 of IPv6: enough for a country, not for a person. */
  address: z.enum(['masked', 'full', 'none']).default('masked'),
  /**
   * Where an event's country comes from, looked up before the address is masked: the database that
   * comes along, `none`, or the path of an .mmdb file (GeoLite2-Country, ip-location-db).
   */
  countryDatabase: z.string().min(1).default('default'),
  /** Take no party from anyone: events without identifiers are then welcome. */
  cookieless: z.boolean().default(false),
  /** The event parameter that names the item. */
  itemIdParameter: z.string().min(1).default('item_id'),
  /**
   * `none`, or a folder with a JSON Schema for the parameters of each event type that has one:
   * `addToBasket.json`. `millrace types` makes TypeScript types of them.
   */
  eventSchemas: z.string().min(1).default('none'),
  /** An event that is not as its schema says is stored with a mark, or refused. */
  wrongEvents: z.enum(['mark', 'refuse']).default('mark'),
  /** Event types without a schema, where there are schemas: as they are, or as wrong ones. */
  unknownEvents: z.enum(['accept', 'wrong']).default('accept'),
  /** Show the demo page and /metrics to other machines than this one. */
  publicPages: z.boolean().default(false),
  /** Longest query string. A tag's event has 500 bytes; browsers and proxies stop at 8 to 64 KiB. */
  queryBytesMax: bytes.default(16 * KiB),
  /** Largest body of POST /events: what `fetch` with keepalive can carry, four times over. */
  bodyBytesMax: bytes.default(256 * KiB),
  /** Most events in one body. */
  batchEventsMax: positive.default(500),
  /** Largest JSON text of one event's own parameters. */
  parametersBytesMax: bytes.default(32 * KiB),
  /** Deepest nesting of one event's own parameters. */
  parametersDepthMax: positive.default(16),
  /** Longest event type, id and other short texts, in characters. */
  textCharactersMax: positive.default(256),
  /** Longest location and referer, in characters; browsers cut at 2 to 8 thousand. */
  urlCharactersMax: positive.default(8192),
  /** Longest user agent, in characters; the rest is cut. */
  userAgentCharactersMax: positive.default(512),
  /** Most connections at once. */
  connectionsMax: positive.default(10_000),
  /** How long a client may take to send its request. */
  requestTimeoutMs: positive.default(10_000),
  /** How long an idle connection is kept. */
  keepAliveTimeoutMs: positive.default(65_000),
  /** Most events that wait to be stored; past it, 503. */
  queueEventsMax: positive.default(20_000),
  /** Most bytes of events that wait to be stored; past it, 503. */
  queueBytesMax: bytes.default(64 * MiB),
  /** Requests per second and address, sustained, and the burst above it; 0 switches the limit off. */
  requestsPerSecondMax: z.int().min(0).default(100),
  requestsBurstMax: positive.default(1_000),
  /** Refused requests kept as dead letters, per second and in bytes per second; past it they are counted only. */
  rejectionsPerSecondMax: z.int().min(0).default(50),
  rejectionBytesPerSecondMax: z
    .int()
    .min(0)
    .default(128 * KiB),
  /** How long /ping says 503 before the collector stops listening, for load balancers to notice. */
  shutdownDelayMs: z.int().min(0).default(0),
  /** How long requests under way may take to end at a stop. */
  shutdownTimeoutMs: positive.default(10_000),
})
