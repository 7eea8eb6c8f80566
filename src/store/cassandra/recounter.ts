import { MillraceError } from '../../event/error.ts'
import { dayMs, minuteMs } from '../../lib/clock.ts'
import { readDays } from './days.ts'
import { type RecountFor, type Recounting, recountDay } from './recount.ts'
import type { Session } from './session.ts'
import { deleteTallies } from './tallies.ts'

/**
 * Counts in the background, so that no question waits for what could have been counted before: slots
 * that are over in the days that this process writes to, and days with a large slot that a question
 * found outdated. It works a tenth of the time at most.
 */
export interface Recounter {
  /** Days (whole ones since 1970) that were written to. */
  readonly wrote: (days: Iterable<number>) => void
  /** A day of which a question found that a large slot is outdated. */
  readonly ask: (day: number) => void
  /** Ends what is under way. */
  readonly close: () => Promise<void>
}

/** From the wish to the work: what comes meanwhile is counted with it. */
const pauseMs = 2_000

/** How often the days that were written to are looked at. */
const writtenMs = minuteMs / 2

/** For each ms of work, so many of rest. */
const restShare = 9

export function createRecounter(session: Session, recounting: Recounting): Recounter {
  const asked = new Set<number>()
  const written = new Set<number>()
  let timer: { readonly handle: NodeJS.Timeout; readonly at: number } | undefined
  let working: Promise<void> | undefined
  let restsUntil = 0
  let writtenAt = performance.now()
  let isClosed = false
  const counting: Recounting = {
    ...recounting,
    check() {
      if (isClosed) throw new MillraceError('store_unavailable', 'it is closed')
    },
  }

  /** Begins in `ms` at the latest, but for the rest: who asks again and again does not put it off. */
  function plan(ms: number): void {
    if (isClosed || working !== undefined) return
    const now = performance.now()
    const at = Math.max(now + ms, restsUntil)
    if (timer !== undefined && timer.at <= at) return
    clearTimeout(timer?.handle)
    timer = { handle: setTimeout(begin, at - now), at }
    // It may be late, but never keeps a process from ending.
    timer.handle.unref()
  }

  function begin(): void {
    timer = undefined
    const began = performance.now()
    working = work().then(() => {
      working = undefined
      const now = performance.now()
      restsUntil = now + restShare * (now - began)
      if (asked.size > 0) plan(pauseMs)
      if (written.size > 0) plan(writtenMs)
    })
  }

  async function work(): Promise<void> {
    const wanted = [...asked]
    asked.clear()
    for (const day of wanted) await countDay(session, counting, day, 'background')
    if (performance.now() - writtenAt < writtenMs) return
    writtenAt = performance.now()
    for (const day of [...written]) {
      // What is written from now on is looked at the next time.
      written.delete(day)
      const isWhole = await countDay(session, counting, day, 'written')
      if (!isWhole) written.add(day)
      if (isClosed) return
    }
  }

  return {
    wrote(days) {
      for (const day of days) written.add(day)
      if (written.size > 0) plan(writtenMs)
    },
    ask(day) {
      asked.add(day)
      plan(pauseMs)
    },
    async close() {
      isClosed = true
      clearTimeout(timer?.handle)
      await working
    },
  }
}

/** Whether nothing of the day is left to be counted. */
async function countDay(
  session: Session,
  recounting: Recounting,
  number: number,
  reason: RecountFor,
): Promise<boolean> {
  try {
    const [day] = await readDays(session, rangeOf(number))
    if (day === undefined) return true
    const { asOf } = await recountDay(session, day, recounting, reason)
    // Retention may have deleted the day meanwhile: then what was counted is of no day.
    const isThere = (await readDays(session, rangeOf(number))).length > 0
    if (!isThere) await deleteTallies(session, day)
    return asOf === null
  } catch {
    // Whatever it is, questions meet it and say so; what is not counted here, they count.
    return false
  }
}

function rangeOf(day: number): { from: number; to: number } {
  return { from: day * dayMs, to: day * dayMs + 1 }
}
