import { isMillraceError } from '../event/error.ts'
import { toError } from '../lib/assert.ts'
import { backoffMs, waitMs } from '../lib/retry.ts'
import type { DeadLetter, Row, Store, WriteBatch } from '../store/store.ts'

export interface WriteOptions {
  readonly retryInitialMs: number
  readonly retryMaxMs: number
}

interface WriteRun extends WriteOptions {
  readonly signal: AbortSignal
  readonly onRetry: (error: Error, attempt: number) => void
}

/**
 * Writes a batch and does not give up: a store that is away is waited for, a row that the store
 * refuses for itself becomes a dead letter and harms no neighbour. Returns false only when `signal`
 * aborts first; the position then has not moved.
 */
export async function writeUntilStored(
  store: Store,
  batch: WriteBatch,
  run: WriteRun,
): Promise<boolean> {
  for (let attempt = 1; !run.signal.aborted; attempt++) {
    try {
      await store.write(batch)
      return true
    } catch (thrown) {
      if (!isMillraceError(thrown, 'store_unavailable')) {
        if (batch.rows.length > 0) return writeApart(store, batch, run, toError(thrown))
      }
      run.onRetry(toError(thrown), attempt)
      await waitMs(
        backoffMs(attempt, { initialMs: run.retryInitialMs, maxMs: run.retryMaxMs }),
        run.signal,
      )
    }
  }
  return false
}

/** Halves the rows until the refused ones stand alone; dead letters and positions go last. */
async function writeApart(
  store: Store,
  batch: WriteBatch,
  run: WriteRun,
  error: Error,
): Promise<boolean> {
  const { rows, deadLetters, positions } = batch
  if (rows.length === 1) {
    const refused = rows.map((row) => refusedRow(row, error))
    return writeUntilStored(
      store,
      { rows: [], deadLetters: [...deadLetters, ...refused], positions },
      run,
    )
  }
  const middle = rows.length >> 1
  const halves = [rows.slice(0, middle), rows.slice(middle)]
  for (const half of halves) {
    const stored = await writeUntilStored(
      store,
      { rows: half, deadLetters: [], positions: [] },
      run,
    )
    if (!stored) return false
  }
  return writeUntilStored(store, { rows: [], deadLetters, positions }, run)
}

function refusedRow(row: Row, error: Error): DeadLetter {
  return {
    position: row.position,
    receivedAt: row.receivedAt,
    code: 'record_invalid',
    message: `the store refused the row: ${error.message}`,
    source: 'log',
    value: Buffer.from(JSON.stringify(row)),
    schema: '',
    replayable: false,
  }
}
