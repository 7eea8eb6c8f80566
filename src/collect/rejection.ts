import type { MillraceError } from '../event/error.ts'
import type { Privacy, Rejection, Source } from '../event/event.ts'
import { encodeRejection, rejectionRecordSchema } from '../event/record.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../log/log.ts'
import { createBudget } from './limits.ts'
import type { CollectOptions } from './options.ts'
import { cut, type Receipt } from './receipt.ts'

/** A refused request, or one refused event of a batch. */
export interface Refused {
  readonly source: Source
  readonly error: MillraceError
  /** What was sent, without what the receipt's privacy forbids to keep. */
  readonly body: string
  /** True when `body` is not all that was sent. */
  readonly truncated?: boolean
  /** Where the event itself says more than its request. */
  readonly privacy?: Privacy | null
}

/** Keeps what was refused as dead letters, within the budget. */
export interface Rejections {
  /** Resolves when all are kept, or known not to be; never rejects: the answer is decided already. */
  readonly keep: (refused: readonly Refused[], receipt: Receipt) => Promise<void>
}

export interface RejectionsParts {
  readonly log: Log
  readonly clock: Clock
  readonly onNotKept: (count: number, reason: 'budget' | 'log') => void
}

export function createRejections(
  options: Pick<
    CollectOptions,
    'queryBytesMax' | 'parametersBytesMax' | 'rejectionsPerSecondMax' | 'rejectionBytesPerSecondMax'
  >,
  { log, clock, onNotKept }: RejectionsParts,
): Rejections {
  const bodyMax = Math.max(options.queryBytesMax, options.parametersBytesMax)
  const budget = createBudget(
    options.rejectionsPerSecondMax,
    options.rejectionBytesPerSecondMax,
    clock,
  )
  const { fingerprint } = rejectionRecordSchema

  async function keep(refused: readonly Refused[], receipt: Receipt): Promise<void> {
    const values: Buffer[] = []
    for (const one of refused) {
      const value = encodeRejection(toRejection(one, receipt, bodyMax))
      if (budget(value.length)) values.push(value)
    }
    if (values.length < refused.length) onNotKept(refused.length - values.length, 'budget')
    if (values.length === 0) return
    try {
      await log.append(values.map((value) => ({ key: '', value, schema: fingerprint })))
    } catch {
      onNotKept(values.length, 'log')
    }
  }

  return { keep }
}

function toRejection(refused: Refused, receipt: Receipt, bodyMax: number): Rejection {
  const body = cut(refused.body, bodyMax)
  return {
    receivedAt: receipt.receivedAt,
    code: refused.error.code,
    message: refused.error.message,
    source: refused.source,
    body,
    truncated: refused.truncated === true || body.length < refused.body.length,
    remoteAddress: receipt.remoteAddress,
    userAgent: receipt.userAgent,
    privacy: refused.privacy ?? receipt.privacy,
    country: receipt.country,
  }
}
