import { MillraceError } from '../../event/error.ts'
import { identityText, type Placeable } from '../claims.ts'
import type { Row } from '../store.ts'
import { clockSources, privacies, sources } from './tables.ts'

/** A row on its way in, with what the writer finds out about it. */
export interface Receipt extends Placeable {
  readonly identity: string
  readonly partitionId: number
  readonly agentId: number | null
}

/**
 * @throws MillraceError `record_invalid` when the row holds what no column can
 */
export function receiptOf(row: Row, partitionId: number, agentId: number | null): Receipt {
  checkRow(row)
  const eventId = row.eventId.toWellFormed()
  const partyId = row.partyId === null ? '' : row.partyId.toWellFormed()
  return {
    row,
    eventId,
    partyId,
    identity: identityText(partyId, eventId),
    partitionId,
    agentId,
    eventTime: row.eventTime,
  }
}

function checkRow(row: Row): void {
  const { clockSource, source, privacy, eventTime, receivedAt, clientTime, position } = row
  if (
    !clockSources.includes(clockSource) ||
    !sources.includes(source) ||
    (privacy !== null && !privacies.includes(privacy))
  ) {
    const found = `${clockSource}, ${source}, ${privacy}`
    throw new MillraceError('record_invalid', `its clock source, source or privacy: ${found}`)
  }
  if (
    !Number.isSafeInteger(eventTime) ||
    !Number.isSafeInteger(receivedAt) ||
    !Number.isSafeInteger(clientTime) ||
    !Number.isSafeInteger(position.offset)
  ) {
    const found = `${eventTime}, ${receivedAt}, ${clientTime}, ${position.offset}`
    throw new MillraceError('record_invalid', `a time or the offset is no whole number: ${found}`)
  }
}
