import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import cassandra from 'cassandra-driver'
import type { CountsAnswer, EventAnswer, TopItemsAnswer } from '../../../src/api/answer.ts'
import { type Evidence, identityOf, type RawRow } from './checker.ts'
import type { Scene } from './scene.ts'

/** Which events are meant. */
export interface EvidenceOptions {
  /** The event type of the seed. */
  readonly name: string
  /** Those of all seeds of the scene so far: any other is a stranger's. */
  readonly names: ReadonlySet<string>
  /** Query string of the days that are asked for. */
  readonly range?: string
}

const topItemsMax = 1_000

/** Reads all that is stored: by the questions of the API, and by CQL over every partition. */
export async function gatherEvidence(scene: Scene, options: EvidenceOptions): Promise<Evidence> {
  const { name, range = 'last=3d' } = options
  const query = `${range}&bots=include`
  const typed = `${query}&eventType=${encodeURIComponent(name)}`
  const events = await askLines(scene, `/api/events?${typed}`)
  const counts = await askJson<CountsAnswer>(scene, `/api/counts?${typed}`)
  const top = await askJson<TopItemsAnswer>(scene, `/api/top-items?${typed}&limit=${topItemsMax}`)
  const { rows, strangers, names: named } = await rawRows(scene, options)
  const isOurs = (identity: string): boolean => named.get(identity) === name
  return {
    answered: events.map(({ partyId, eventId }) => identityOf(partyId, eventId)),
    rows,
    byParty: (await partyIdentities(scene)).filter((one) => isOurs(one) || !named.has(one)),
    counts: new Map(counts.rows.map(({ day, count }) => [day, count])),
    topItems: new Map(top.rows.map(({ itemId, count }) => [itemId, count])),
    strangers,
  }
}

async function rawRows(
  { client, keyspace }: Scene,
  { name, names }: EvidenceOptions,
): Promise<{
  readonly rows: readonly RawRow[]
  readonly strangers: readonly string[]
  /** Identity → event type, of every row that there is. */
  readonly names: ReadonlyMap<string, string>
}> {
  const rows: RawRow[] = []
  const strangers: string[] = []
  const named = new Map<string, string>()
  const columns = 'pk, event_id, click_stream_cookie_id, event_name, item_id, receipts'
  for (const row of await everyRow(client, `SELECT ${columns} FROM ${keyspace}.click_stream`)) {
    const identity = identityOf(row.get('click_stream_cookie_id'), row.get('event_id'))
    const eventType = row.get('event_name') as string
    named.set(identity, eventType)
    if (!names.has(eventType)) strangers.push(identity)
    if (eventType !== name) continue
    const receipts = (row.get('receipts') as readonly Date[] | null)?.length ?? 0
    const day = (row.get('pk') as string).slice(0, 10)
    rows.push({ identity, day, itemId: row.get('item_id'), receipts })
  }
  return { rows, strangers, names: named }
}

async function partyIdentities({ client, keyspace }: Scene): Promise<string[]> {
  const identities: string[] = []
  const sql = `SELECT click_stream_cookie_id, event_id FROM ${keyspace}.events_by_party`
  for (const row of await everyRow(client, sql)) {
    identities.push(identityOf(row.get('click_stream_cookie_id'), row.get('event_id')))
  }
  return identities
}

/** Every partition, whatever Millrace knows of it. */
export async function everyRow(
  client: cassandra.Client,
  sql: string,
): Promise<cassandra.types.Row[]> {
  const { localQuorum: consistency } = cassandra.types.consistencies
  const stream = client.stream(sql, [], { prepare: true, fetchSize: 5_000, consistency })
  return (stream as unknown as Readable).toArray() as Promise<cassandra.types.Row[]>
}

async function askLines(scene: Scene, path: string): Promise<EventAnswer[]> {
  const text = await ask(scene, path, 'application/x-ndjson')
  const lines = text.split('\n').filter((line) => line !== '')
  return lines.map((line) => JSON.parse(line) as EventAnswer)
}

async function askJson<T>(scene: Scene, path: string): Promise<T> {
  return JSON.parse(await ask(scene, path, 'application/json')) as T
}

/** The most that a store on a busy machine may be away, or behind with counting in the background. */
const behindMs = 120_000

/**
 * The text of an answer that lacks nothing. Asks again where an answer says to: a 503 promises nothing
 * and hides nothing, and counts say as of when they are while a large slot is being counted.
 * @throws Error with the answer that is still none after two minutes
 */
export async function ask({ apiUrl }: Scene, path: string, type: string): Promise<string> {
  const deadline = performance.now() + behindMs
  for (;;) {
    const response = await fetch(`${apiUrl}${path}`, { headers: { Accept: type } })
    const text = await response.text()
    const isBehind = /"asOf":"[^"]*"/.test(text)
    if (response.ok && !isBehind) return text
    if (!(isBehind || response.status === 503) || performance.now() > deadline)
      throw new Error(text)
    await sleep(500)
  }
}
