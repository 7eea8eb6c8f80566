import { dayMs, hourMs } from '../../lib/clock.ts'
import type { Offset } from '../log.ts'
import type { Groups } from './groups.ts'
import type { Partition } from './partition.ts'
import {
  listSegments,
  newestBlock,
  openSegment,
  removeSegment,
  type SegmentSettings,
  segmentPath,
} from './segment.ts'
import { fileBytes, topicBytes } from './space.ts'

export interface RetentionSettings extends SegmentSettings {
  readonly retentionDays: number
  readonly maxBytes: number
}

/** A sealed segment that every group has read to its end. */
interface ReadSegment {
  readonly partition: Partition
  readonly first: Offset
  readonly bytes: number
  /** ms since 1970: when the last block of it or of one before it was written; clocks go back. */
  readonly appendedAt: number
}

/** How old the oldest record of a segment may be before the next segment is begun. */
export function segmentAgeMs(retentionDays: number): number {
  return Math.max(hourMs, (retentionDays * dayMs) / 7)
}

/**
 * Unlinks, of partitions that the caller owns, the segments that are older than the retention, and
 * the oldest ones while the topic has `maxBytes` or more; never one that a known group has yet to
 * read, never one that is not sealed. Returns the bytes freed.
 */
export async function freeSegments(
  topicFolder: string,
  partitions: readonly Partition[],
  groups: Groups,
  settings: RetentionSettings,
  now: number,
): Promise<number> {
  // Without a retention also what was written since `now`, the seal of a moment ago.
  const isKept = settings.retentionDays > 0
  const expired = isKept ? now - settings.retentionDays * dayMs : Number.POSITIVE_INFINITY
  let total = topicBytes(topicFolder)
  const youngest = total < settings.maxBytes ? expired : Number.POSITIVE_INFINITY
  const readToTheEnd: ReadSegment[] = []
  for (const partition of partitions) {
    readToTheEnd.push(...(await readSegments(partition, groups, settings, youngest)))
  }
  readToTheEnd.sort((a, b) => a.appendedAt - b.appendedAt || a.first - b.first)
  let freed = 0
  // A partition must stay without holes: once one of its segments is kept, so are those after it.
  const kept = new Set<Partition>()
  for (const { partition, first, bytes, appendedAt } of readToTheEnd) {
    if (kept.has(partition)) continue
    if (appendedAt >= expired && total < settings.maxBytes) {
      kept.add(partition)
      continue
    }
    await removeSegment(partition.folder, first)
    total -= bytes
    freed += bytes
  }
  return freed
}

/** Oldest first, as far as they were written before `youngest`. */
async function readSegments(
  partition: Partition,
  groups: Groups,
  settings: SegmentSettings,
  youngest: number,
): Promise<ReadSegment[]> {
  const segments = await listSegments(partition.folder)
  const done = await groups.leastCommitted(partition.number)
  const found: ReadSegment[] = []
  let appendedAt = Number.NEGATIVE_INFINITY
  for (const [index, first] of segments.entries()) {
    // A segment is sealed when there is a next one, whose first offset is its end.
    const end = segments[index + 1]
    if (end === undefined || end > done) break
    const segment = await openSegment(partition.folder, first, settings)
    if (segment === undefined) break
    try {
      const last = await newestBlock(segment)
      const bytes = fileBytes(segmentPath(partition.folder, first))
      if (last === undefined) break
      appendedAt = Math.max(appendedAt, last.appendedAt)
      if (appendedAt >= youngest) break
      found.push({ partition, first, bytes, appendedAt })
    } finally {
      await segment.close()
    }
  }
  return found
}
