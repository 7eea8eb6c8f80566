import { type Filter, type Row, unknownValue } from '../store.ts'
import type { Value } from './session.ts'

/** Conditions after WHERE, joined with AND, and what they bind. */
export interface Conditions {
  readonly texts: readonly string[]
  readonly params: readonly Value[]
}

/**
 * What Cassandra can check of a filter while it reads a partition; the party is not among it, which
 * has a table of its own, and the device is in a map: `passes` checks the rest.
 */
export function conditionsOf(filter: Filter): Conditions {
  const texts: string[] = []
  const params: Value[] = []
  const equals = (column: string, value: string | undefined): void => {
    if (value === undefined) return
    texts.push(`${column} = ?`)
    params.push(value)
  }
  if (filter.bots === 'exclude') equals('bot', '')
  equals('session_id', filter.sessionId)
  equals('event_name', filter.eventType)
  equals('item_id', filter.itemId)
  equals('country', filter.country === unknownValue ? '' : filter.country)
  return { texts, params }
}

/** What `passes` looks at. */
export type Filtered = Pick<
  Row,
  'bot' | 'partyId' | 'sessionId' | 'eventType' | 'itemId' | 'country'
> & { readonly agent: Pick<Row['agent'], 'deviceCategory'> }

/** Whether a row is one that the filter lets through. */
export function passes(row: Filtered, filter: Filter): boolean {
  return (
    (filter.bots === 'include' || row.bot === null) &&
    is(filter.partyId, row.partyId ?? '') &&
    is(filter.sessionId, row.sessionId) &&
    is(filter.eventType, row.eventType) &&
    is(filter.itemId, row.itemId) &&
    is(filter.country, row.country ?? unknownValue) &&
    is(filter.device, row.agent.deviceCategory ?? unknownValue)
  )
}

function is(wanted: string | undefined, value: string | null): boolean {
  return wanted === undefined || wanted === value
}
