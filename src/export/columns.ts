import { dayOf } from '../lib/clock.ts'
import type { Row } from '../store/store.ts'

/**
 * What an export has of every event, under the names of the API. One flat table that stands for
 * itself: the user agent's parts are columns, nothing refers to another file.
 */

/** How a value is written: texts as they are, `time` in ms since 1970, `day` as `YYYY-MM-DD`. */
export type ExportKind = 'text' | 'time' | 'day' | 'integer' | 'number' | 'flag'

export interface ExportColumn {
  readonly name: string
  readonly kind: ExportKind
  readonly value: (row: Row) => string | number | boolean | null
}

type Value = ExportColumn['value']

function column(kind: ExportKind, name: string, value: Value): ExportColumn {
  return { name, kind, value }
}

export const exportColumns: readonly ExportColumn[] = [
  column('day', 'day', (row) => dayOf(row.eventTime)),
  column('text', 'eventId', (row) => row.eventId),
  column('text', 'partyId', (row) => row.partyId),
  column('text', 'sessionId', (row) => row.sessionId),
  column('text', 'pageViewId', (row) => row.pageViewId),
  column('text', 'eventType', (row) => row.eventType),
  column('time', 'eventTime', (row) => row.eventTime),
  column('text', 'clockSource', (row) => row.clockSource),
  column('time', 'receivedAt', (row) => row.receivedAt),
  column('time', 'clientTime', (row) => row.clientTime),
  column('text', 'location', (row) => row.location),
  column('text', 'referer', (row) => row.referer),
  column('text', 'remoteAddress', (row) => row.remoteAddress),
  column('text', 'itemId', (row) => row.itemId),
  column('text', 'parameters', (row) => row.parameters),
  column('integer', 'sequence', (row) => row.sequence),
  column('flag', 'firstInSession', (row) => row.firstInSession),
  column('flag', 'newParty', (row) => row.newParty),
  column('flag', 'corrupt', (row) => row.corrupt),
  column('flag', 'duplicate', (row) => row.duplicate),
  column('text', 'bot', (row) => row.bot),
  column('text', 'privacy', (row) => row.privacy),
  column('text', 'source', (row) => row.source),
  column('text', 'country', (row) => row.country),
  column('integer', 'viewportWidth', (row) => row.viewportWidth),
  column('integer', 'viewportHeight', (row) => row.viewportHeight),
  column('integer', 'screenWidth', (row) => row.screenWidth),
  column('integer', 'screenHeight', (row) => row.screenHeight),
  column('number', 'devicePixelRatio', (row) => row.devicePixelRatio),
  column('text', 'userAgent', (row) => row.userAgent),
  column('text', 'agentName', (row) => row.agent.name),
  column('text', 'agentFamily', (row) => row.agent.family),
  column('text', 'agentVendor', (row) => row.agent.vendor),
  column('text', 'agentType', (row) => row.agent.type),
  column('text', 'agentVersion', (row) => row.agent.version),
  column('text', 'agentDeviceCategory', (row) => row.agent.deviceCategory),
  column('text', 'agentOsFamily', (row) => row.agent.osFamily),
  column('text', 'agentOsVersion', (row) => row.agent.osVersion),
  column('text', 'agentOsVendor', (row) => row.agent.osVendor),
  column('time', 'importedAt', (row) => row.importedAt),
]

/** The last moment, either way of 1970, that a calendar has (ECMA-262 §21.4.1.1), in ms. */
export const calendarMsMax = 8.64e15
