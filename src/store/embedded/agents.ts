import { type DuckDBConnection, INTEGER, VARCHAR } from '@duckdb/node-api'
import type { Agent, Event } from '../../event/event.ts'
import { createCache } from '../../lib/cache.ts'
import { appendRows, type Column } from '../../lib/duckdb-chunk.ts'
import { groupsOf, isOneOf, rowsOf } from './sql.ts'

/**
 * A user agent and what was made of it are ten texts that few hundred browsers repeat with every
 * event: a table of their own. A memory of recent ones finds the number; one that was forgotten is
 * stored again under a new number, which costs its bytes and changes nothing.
 */

type AgentEvent = Pick<Event, 'userAgent' | 'agent'>

interface KnownAgent extends AgentEvent {
  readonly id: number
}

export interface AgentNumbers {
  /** The number of an event's agent, null when it has none; a new one is kept for `appendNewAgents`. */
  readonly idOf: (event: AgentEvent) => number | null
  readonly takeNew: () => KnownAgent[]
}

/** Some ten megabytes. */
const rememberedMax = 10_000
/** As many as a start may read. */
const loadedMax = 2_000

const fields = [
  'name',
  'family',
  'vendor',
  'type',
  'version',
  'deviceCategory',
  'osFamily',
  'osVersion',
  'osVendor',
] as const satisfies readonly (keyof Agent)[]

const columnNames =
  'id, user_agent, name, family, vendor, type, version, device_category, os_family, os_version, os_vendor'

const columns: readonly Column<KnownAgent>[] = [
  { name: 'id', type: INTEGER, form: 'int32', value: ({ id }) => id },
  { name: 'user_agent', type: VARCHAR, form: 'text', value: ({ userAgent }) => userAgent },
  ...fields.map(
    (field): Column<KnownAgent> => ({
      name: field,
      type: VARCHAR,
      form: 'text',
      value: ({ agent }) => agent[field],
    }),
  ),
]

export const noAgent: AgentEvent = {
  userAgent: null,
  agent: Object.fromEntries(fields.map((field) => [field, null])) as unknown as Agent,
}

export async function loadAgentNumbers(connection: DuckDBConnection): Promise<AgentNumbers> {
  const remembered = createCache<KnownAgent>(rememberedMax)
  const recent = `SELECT ${columnNames} FROM agents ORDER BY id DESC LIMIT ${loadedMax}`
  const loaded = (await rowsOf(connection, recent)).map(agentOf).reverse()
  for (const known of loaded) remembered.set(known.userAgent ?? '', known)
  let nextId = (loaded.at(-1)?.id ?? 0) + 1
  let fresh: KnownAgent[] = []
  return {
    idOf(given) {
      // An empty one says no more than none, which is all that Cassandra keeps of it.
      const event = given.userAgent === '' ? { userAgent: null, agent: given.agent } : given
      const known = remembered.get(event.userAgent ?? '')
      if (known !== undefined && isSame(known, event)) return known.id
      if (isSame(noAgent, event)) return null
      const added = { id: nextId++, userAgent: event.userAgent, agent: event.agent }
      remembered.set(event.userAgent ?? '', added)
      fresh.push(added)
      return added.id
    },
    takeNew() {
      const taken = fresh
      fresh = []
      return taken
    },
  }
}

export async function appendNewAgents(
  connection: DuckDBConnection,
  numbers: AgentNumbers,
): Promise<void> {
  await appendRows(connection, 'agents', columns, numbers.takeNew())
}

/** The agents of these numbers. */
export async function readAgents(
  connection: DuckDBConnection,
  ids: Iterable<number>,
): Promise<Map<number, AgentEvent>> {
  const agents = new Map<number, AgentEvent>()
  for (const group of groupsOf([...ids], 500)) {
    const sql = `SELECT ${columnNames} FROM agents WHERE ${isOneOf('id', group)}`
    for (const row of await rowsOf(connection, sql)) agents.set(row[0] as number, agentOf(row))
  }
  return agents
}

function agentOf([id, userAgent, ...texts]: readonly unknown[]): KnownAgent {
  const agent = Object.fromEntries(fields.map((field, index) => [field, texts[index]]))
  return {
    id: id as number,
    userAgent: userAgent as string | null,
    agent: agent as unknown as Agent,
  }
}

function isSame(one: AgentEvent, other: AgentEvent): boolean {
  const a = one.agent
  const b = other.agent
  // Spelt out, as it runs for every row.
  return (
    one.userAgent === other.userAgent &&
    a.version === b.version &&
    a.name === b.name &&
    a.family === b.family &&
    a.vendor === b.vendor &&
    a.type === b.type &&
    a.deviceCategory === b.deviceCategory &&
    a.osFamily === b.osFamily &&
    a.osVersion === b.osVersion &&
    a.osVendor === b.osVendor
  )
}
