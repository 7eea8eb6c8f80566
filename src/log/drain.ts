import { isMillraceError } from '../event/error.ts'
import { waitMs } from '../lib/retry.ts'
import { type AppendRecord, type Log, type Offset, storeGroup } from './log.ts'

/** What to move where. */
export interface DrainOptions {
  /** Read under the group of the store, as nobody else reads a spool. */
  readonly spool: Log
  readonly log: Log
  /** Most records a second; unlimited unless given. */
  readonly perSecondMax?: number
  readonly signal?: AbortSignal
  /** Called after each batch that the log has and the spool has done with. */
  readonly onBatch?: (records: number) => void
  /** Called when damage has cost so many records. */
  readonly onLost?: (records: number, reason: Error) => void
}

/** Fits into one send to Kafka with records of an ordinary size. */
const batchRecordsMax = 1_000

/**
 * Moves what the spool holds now to the end of the log, in the order of each partition, and commits
 * after each batch: what was under way at a crash is sent again. Damaged blocks are left out, all
 * others are moved. Returns how many records were moved; ends early when `signal` aborts.
 * @throws MillraceError what `log.append` and `log.addSchema` throw, and `log_unwritable`
 */
export async function drain(options: DrainOptions): Promise<number> {
  const drainer = new Drainer(options)
  for (;;) {
    try {
      await drainer.moveAll()
      return drainer.moved
    } catch (thrown) {
      if (!isMillraceError(thrown, 'log_corrupt')) throw thrown
      await drainer.passDamage(thrown)
    }
  }
}

/** Records that no reader of a spool has taken yet. */
export async function spooledRecords(spool: Log): Promise<number> {
  return (await spool.lag(storeGroup)).reduce((sum, { lag }) => sum + lag, 0)
}

/** The first record that no reader of a spool has taken yet. */
export async function oldestRecord(spool: Log): Promise<AppendRecord | undefined> {
  for (const { partition, committed, lag } of await spool.lag(storeGroup)) {
    if (lag === 0) continue
    for await (const { records } of readOne(spool, partition, committed)) {
      return records.map(copyOf)[0]
    }
  }
  return
}

/** Adds to `log` the schemas of records in `spool`, each once for all who share `known`. */
export async function teachSchemas(
  { spool, log }: Pick<DrainOptions, 'spool' | 'log'>,
  fingerprints: Iterable<string>,
  known: Set<string>,
): Promise<void> {
  for (const fingerprint of fingerprints) {
    if (known.has(fingerprint)) continue
    const text = await spool.schema(fingerprint)
    // One that is lost makes dead letters, which say so; holding back the others would help nobody.
    if (text !== undefined) await log.addSchema(text)
    known.add(fingerprint)
  }
}

class Drainer {
  moved = 0
  readonly #options: DrainOptions
  readonly #known = new Set<string>()

  constructor(options: DrainOptions) {
    this.#options = options
  }

  async moveAll(): Promise<void> {
    const { spool, signal } = this.#options
    const committed = await committedOf(spool)
    const batches = spool.read({
      from: async (partition) => committed.get(partition),
      recordsMax: batchRecordsMax,
      untilEnd: true,
      ...(signal === undefined ? {} : { signal }),
    })
    for await (const { partition, records, nextOffset } of batches) {
      await this.#move(partition, records.map(copyOf), nextOffset)
    }
  }

  /** Goes on behind what cannot be read, having moved what stands before it in its partition. */
  async passDamage(reason: Error): Promise<void> {
    const { spool, onLost } = this.#options
    for (const { partition, committed, next } of await spool.lag(storeGroup)) {
      const { records, end } = await readUntilDamage(spool, partition, committed)
      if (records.length > 0) await this.#move(partition, records, end)
      if (end >= next || (await isReadable(spool, partition, end))) continue
      let good = (end + 1) as Offset
      while (good < next && !(await isReadable(spool, partition, good))) good++
      onLost?.(good - end, reason)
      await spool.commit(storeGroup, partition, good)
    }
  }

  async #move(partition: number, records: readonly AppendRecord[], next: Offset): Promise<void> {
    const { spool, log, perSecondMax, signal, onBatch } = this.#options
    const startedAt = performance.now()
    const fingerprints = new Set(records.map(({ schema }) => schema))
    await teachSchemas(this.#options, fingerprints, this.#known)
    await log.append(records)
    await spool.commit(storeGroup, partition, next)
    this.moved += records.length
    onBatch?.(records.length)
    if (perSecondMax === undefined) return
    const restMs = (records.length / perSecondMax) * 1_000 - (performance.now() - startedAt)
    if (restMs > 0) await waitMs(restMs, signal)
  }
}

async function committedOf(spool: Log): Promise<ReadonlyMap<number, Offset>> {
  const lags = await spool.lag(storeGroup)
  return new Map(lags.map(({ partition, committed }) => [partition, committed]))
}

/** A send that ran out of time may hold on to a record for longer than the reader of its file does. */
function copyOf({ key, value, schema, headers, copyTo }: AppendRecord): AppendRecord {
  return {
    key,
    value: Buffer.from(value),
    schema,
    ...(headers !== undefined && { headers }),
    ...(copyTo !== undefined && { copyTo }),
  }
}

/** At most a batch, read one by one: a longer read that meets damage gives nothing. */
async function readUntilDamage(
  spool: Log,
  partition: number,
  from: Offset,
): Promise<{ readonly records: readonly AppendRecord[]; readonly end: Offset }> {
  const records: AppendRecord[] = []
  let end = from
  try {
    for await (const batch of readOne(spool, partition, from)) {
      records.push(...batch.records.map(copyOf))
      end = batch.nextOffset
      if (records.length >= batchRecordsMax) break
    }
  } catch (thrown) {
    if (!isMillraceError(thrown, 'log_corrupt')) throw thrown
  }
  return { records, end }
}

async function isReadable(spool: Log, partition: number, from: Offset): Promise<boolean> {
  try {
    for await (const _ of readOne(spool, partition, from)) return true
    return true
  } catch (thrown) {
    if (!isMillraceError(thrown, 'log_corrupt')) throw thrown
    return false
  }
}

function readOne(spool: Log, partition: number, offset: Offset): ReturnType<Log['read']> {
  const from = async (number: number) => (number === partition ? offset : 'end')
  return spool.read({ from, recordsMax: 1, untilEnd: true })
}
