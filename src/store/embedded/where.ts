import type { DuckDBValue } from '@duckdb/node-api'
import { type Filter, unknownValue } from '../store.ts'

/** Collects the texts that a statement binds; `bind` gives each its place, `$1`, `$2`… */
export interface Binding {
  readonly parameters: DuckDBValue[]
  readonly bind: (text: string) => string
}

export function createBinding(): Binding {
  const parameters: DuckDBValue[] = []
  return { parameters, bind: (text) => `$${parameters.push(text)}` }
}

/** A filter as the text of a condition; `true` when it restricts nothing. */
export function conditionOf(filter: Filter, { bind }: Binding): string {
  const conditions: string[] = []
  if (filter.bots === 'exclude') conditions.push('bot IS NULL')
  if (filter.partyId !== undefined) conditions.push(`party_id = ${bind(filter.partyId)}`)
  if (filter.sessionId !== undefined) conditions.push(`session_id = ${bind(filter.sessionId)}`)
  if (filter.eventType !== undefined) conditions.push(`event_type = ${bind(filter.eventType)}`)
  if (filter.itemId !== undefined) conditions.push(`item_id = ${bind(filter.itemId)}`)
  if (filter.country !== undefined) {
    conditions.push(
      filter.country === unknownValue ? 'country IS NULL' : `country = ${bind(filter.country)}`,
    )
  }
  if (filter.device === unknownValue) {
    conditions.push(`(agent_id IS NULL OR ${isAgentWith('device_category IS NULL')})`)
  } else if (filter.device !== undefined) {
    conditions.push(isAgentWith(`device_category = ${bind(filter.device)}`))
  }
  return conditions.length === 0 ? 'true' : conditions.join(' AND ')
}

function isAgentWith(condition: string): string {
  return `agent_id IN (SELECT id FROM agents WHERE ${condition})`
}
