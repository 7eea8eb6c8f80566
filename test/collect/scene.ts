import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type Collector, openCollector } from '../../src/collect/collect.ts'
import type { CollectParts } from '../../src/collect/options.ts'
import { tagFacts } from '../../src/collect/party-cookie.ts'
import {
  answerScript,
  type TagScript,
  type TagScriptOptions,
  type TagScripts,
} from '../../src/collect/script.ts'
import { type ConfigInput, parseConfig } from '../../src/config.ts'
import type { Event, Rejection } from '../../src/event/event.ts'
import { createDecoder } from '../../src/event/record.ts'
import { openEmbeddedLog } from '../../src/log/embedded/embedded.ts'
import type { Log, LogRecord } from '../../src/log/log.ts'

/** A collector on a free port with real logs in a temporary folder, and a client of plain sockets. */
export interface Scene {
  readonly collector: Collector
  readonly events: Log
  readonly rejected: Log
  readonly lines: string[]
  readonly send: (request: ClientRequest) => Promise<Answer>
  readonly get: (path: string, headers?: Headers) => Promise<Answer>
  readonly post: (body: unknown, headers?: Headers) => Promise<Answer>
  readonly storedEvents: () => Promise<Event[]>
  readonly storedRejections: () => Promise<Rejection[]>
}

export type Headers = Readonly<Record<string, string | readonly string[]>>

export interface ClientRequest {
  readonly method?: string
  /** Bytes as latin1, sent as they are. */
  readonly path?: string
  readonly headers?: Headers
  readonly body?: string | Buffer
}

export interface Answer {
  readonly status: number
  readonly headers: Record<string, string>
  readonly body: Buffer
  readonly json: () => {
    readonly error: { readonly code: string; readonly message: string; readonly hint: string }
    readonly results: readonly {
      readonly eventId: string | null
      readonly status: string
      readonly error?: { readonly code: string; readonly message: string }
    }[]
  }
}

/** A script that needs no build: what is in it does not matter here. */
const script: TagScript = {
  body: Buffer.from('script'),
  gzip: Buffer.from('gzip'),
  brotli: Buffer.from('brotli'),
  etag: '"etag"',
}
const scripts: TagScripts = { answer: async (_query, request) => answerScript(script, request) }
export const scriptAnswer: ReturnType<typeof answerScript> = answerScript(script, {})

export async function openScene(
  t: TestContext,
  options: ConfigInput['collect'] = {},
  parts: Partial<CollectParts> = {},
  wrap: (log: Log) => Log = (log) => log,
  tag: Partial<TagScriptOptions> = {},
): Promise<Scene> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-collect-'))
  const config = parseConfig({ collect: { port: 0, requestsPerSecondMax: 0, ...options } })
  const openLog = (topic: string) => openEmbeddedLog({ ...config.log, folder, topic })
  const events = wrap(await openLog('events'))
  const rejected = wrap(await openLog('rejected'))
  const lines: string[] = []
  const collector = await openCollector(
    { ...config.collect, ...tagFacts({ ...config.tag, ...tag }) },
    { scripts, onLine: (line) => lines.push(line), ...parts, events, rejected },
  )
  t.after(async () => {
    await collector.stop()
    await events.close()
    await rejected.close()
    await rm(folder, { recursive: true, force: true })
  })
  const send = (request: ClientRequest) => sendRequest(collector.port, request)
  return {
    collector,
    events,
    rejected,
    lines,
    send,
    get: (path, headers = {}) => send({ path, headers }),
    post: (body, headers = {}) => {
      const text = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body)
      const all = { 'Content-Type': 'application/json', ...headers }
      return send({ method: 'POST', path: '/events', headers: all, body: text })
    },
    storedEvents: async () =>
      (await readAll(events)).map(({ decoder, value }) => decoder.event(value)),
    storedRejections: async () =>
      (await readAll(rejected)).map(({ decoder, value }) => decoder.rejection(value)),
  }
}

/** A log with some of its methods replaced. */
export function changeLog(log: Log, changes: Partial<Log>): Log {
  return {
    topic: log.topic,
    identity: log.identity,
    append: (records) => log.append(records),
    check: () => log.check(),
    read: (options) => log.read(options),
    partitions: () => log.partitions(),
    commit: (group, partition, nextOffset) => log.commit(group, partition, nextOffset),
    lag: (group) => log.lag(group),
    addSchema: (text) => log.addSchema(text),
    schema: (fingerprint) => log.schema(fingerprint),
    retain: (now) => log.retain(now),
    close: () => log.close(),
    ...changes,
  }
}

async function readAll(log: Log) {
  const read: (LogRecord & { decoder: ReturnType<typeof createDecoder> })[] = []
  const from = async () => undefined
  for await (const { records } of log.read({ from, recordsMax: 1000, untilEnd: true })) {
    for (const record of records) {
      const schema = await log.schema(record.schema)
      if (schema === undefined) throw new Error(`the log has no schema ${record.schema}`)
      read.push({ ...record, value: Buffer.from(record.value), decoder: createDecoder(schema) })
    }
  }
  return read
}

/** One request on a connection of its own, written byte by byte as given. */
export async function sendRequest(port: number, request: ClientRequest): Promise<Answer> {
  const { method = 'GET', path = '/', headers = {}, body = '' } = request
  const bytes = Buffer.from(body as string)
  let head = `${method} ${path} HTTP/1.1\r\nConnection: close\r\n`
  const all: Headers = {
    Host: `127.0.0.1:${port}`,
    ...(bytes.length > 0 && { 'Content-Length': String(bytes.length) }),
    ...headers,
  }
  for (const [name, value] of Object.entries(all)) {
    for (const one of [value].flat()) head += `${name}: ${one}\r\n`
  }
  const socket = await openSocket(port)
  socket.write(Buffer.concat([Buffer.from(`${head}\r\n`, 'latin1'), bytes]))
  return readAnswer(socket)
}

export async function openSocket(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  return socket
}

/** Reads until the collector closes the connection, or says that its one answer is whole. */
export async function readAnswer(socket: Socket): Promise<Answer> {
  const chunks: Buffer[] = []
  return new Promise((resolve, reject) => {
    const look = (ended: boolean) => {
      const answer = parseAnswer(Buffer.concat(chunks), ended)
      if (answer === undefined) return false
      socket.destroy()
      resolve(answer)
      return true
    }
    socket.on('data', (chunk) => {
      chunks.push(chunk)
      look(false)
    })
    socket.on('error', reject)
    socket.on('close', () => {
      if (!look(true)) reject(new Error(`closed after ${Buffer.concat(chunks).toString('latin1')}`))
    })
  })
}

function parseAnswer(bytes: Buffer, ended: boolean): Answer | undefined {
  const end = bytes.indexOf('\r\n\r\n')
  if (end < 0) return
  const [statusLine = '', ...lines] = bytes.toString('latin1', 0, end).split('\r\n')
  const headers: Record<string, string> = {}
  for (const line of lines) {
    const colon = line.indexOf(':')
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim()
  }
  const body = bytes.subarray(end + 4)
  const length = headers['content-length']
  if (!ended && (length === undefined || body.length < Number(length))) return
  const status = Number(statusLine.split(' ')[1])
  return { status, headers, body, json: () => JSON.parse(body.toString('utf8')) }
}

const party = '0:kf12ot8g:PartyPartyPartyPartyPartyPartyPa'
const session = '0:kf12ot8g:SessSessSessSessSessSessSessSess'
const pageView = '0:PvPvPvPvPvPvPvPvPvPvPvPvPvPvPvPv'

/** The parameters of a tag's event, now; undefined leaves one out. No checksum unless given. */
export function tagPath(changes: Readonly<Record<string, string | undefined>> = {}): string {
  const parameters: Record<string, string | undefined> = {
    p: party,
    s: session,
    v: pageView,
    e: `${pageView}0`,
    c: Date.now().toString(36),
    n: 't',
    f: 't',
    l: 'https://www.example.com/',
    t: 'pageView',
    ...changes,
  }
  const pairs = Object.entries(parameters).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`],
  )
  return `/csc-event?${pairs.join('&')}`
}

export const tagIds = { party, session, pageView } as const
