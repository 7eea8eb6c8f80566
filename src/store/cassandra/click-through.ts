import {
  type ClickThrough,
  clickEventType,
  type Exposure,
  exposureRange,
  type Impression,
  impressionEventType,
  joinClicks,
  readClick,
  readImpression,
} from '../exposure.ts'
import type { Filter, TimeRange } from '../store.ts'
import { checkKept, visitSeen } from './seen.ts'
import type { Session } from './session.ts'

/** What was recommended, seen and clicked: read from the rows, joined in memory. */
export async function joinExposures(
  session: Session,
  range: TimeRange,
  filter: Filter,
): Promise<ClickThrough> {
  const impressions: Impression[] = []
  const clicks: Exposure[] = []
  const wider = exposureRange(range)
  const shown = { ...filter, eventType: impressionEventType }
  await visitSeen(session, wider, shown, ['parameters'], ({ parameters, eventTime }) => {
    impressions.push(...readImpression(parameters, eventTime))
    checkKept(impressions.length, 'items of impressions')
  })
  const clicked = { ...filter, eventType: clickEventType }
  await visitSeen(session, wider, clicked, ['parameters', 'item_id'], (row) => {
    const click = readClick(row.parameters, row.itemId, row.eventTime)
    if (click !== undefined) clicks.push(click)
    checkKept(clicks.length, 'clicks')
  })
  return joinClicks(impressions, clicks, range)
}
