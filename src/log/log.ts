/** The log contract: ordered records, durable when `append` resolves. A folder each implements it. */

declare const brand: unique symbol
/** A record's place in its partition, from 0; never used twice. Exact up to 2^53. */
export type Offset = number & { readonly [brand]: 'Offset' }

/** What a writer hands over. */
export interface AppendRecord {
  /** What places the record in a partition where the log has several: the party, else the event id. */
  readonly key: string
  readonly value: Uint8Array
  /** Fingerprint of the schema that wrote `value`; registered with `addSchema` before. */
  readonly schema: string
  /** What travels beside the value, by names that begin with `millrace-`; see event/envelope.ts. */
  readonly headers?: RecordHeaders
  /** A topic of Kafka that the record goes to instead of this log's own; nobody of us reads it there. */
  readonly copyTo?: string
}

/** Short texts by their names. */
export type RecordHeaders = Readonly<Record<string, string>>

/** What a reader gets. `value` is valid until the next batch is asked for; copy what must live on. */
export interface LogRecord extends AppendRecord {
  readonly offset: Offset
  /** ms since 1970: when it was appended, or sent, by the log; absent where the log does not keep it. */
  readonly timestamp?: number
}

/**
 * Records of one partition with contiguous rising offsets; at least one record. Between two batches
 * offsets may be left out (Kafka's markers and compaction): those hold no record.
 */
export interface LogBatch {
  readonly partition: number
  readonly records: readonly LogRecord[]
  /** The offset after the last record: what to read next and what to commit. */
  readonly nextOffset: Offset
}

/** The offsets that a partition holds now: `first` is the oldest kept, `next` the one not yet written. */
export interface PartitionRange {
  readonly partition: number
  readonly first: Offset
  readonly next: Offset
}

/** How far a group is behind in one partition. */
export interface PartitionLag {
  readonly partition: number
  readonly committed: Offset
  readonly next: Offset
  readonly lag: number
}

/** How to read. */
export interface ReadOptions {
  /**
   * Where to start in each partition, asked for when the partition is met: it may appear later, be
   * given to another reader of the group and come back, and is then asked for again. `undefined`
   * means the oldest record kept; `'end'` means after the newest one that there was when the
   * reading began.
   */
  readonly from: (partition: number) => Promise<Offset | 'end' | undefined>
  /** The group whose partitions are shared among its readers; without one, all are read (a tail). */
  readonly group?: string
  /** Most records in one batch. */
  readonly recordsMax: number
  /** End the iteration when every partition is read to the end that it had at the start. */
  readonly untilEnd?: boolean
  readonly signal?: AbortSignal
}

/** One topic. */
export interface Log {
  readonly topic: string
  /** Names this log for ever; another log, or a restored copy of this one, has another identity. */
  readonly identity: string

  /**
   * Resolves when every record is durable (on disk, or on every in-sync replica) and readable.
   * Rejects when any may not be; the caller then promises nothing. Calls made together share a sync.
   * @throws MillraceError `log_full`, `log_unwritable`, `log_unavailable`
   */
  append(records: readonly AppendRecord[]): Promise<void>

  /** Rejects with what `append` would reject with if a record came now; cheap enough for /ping. */
  check(): Promise<void>

  /**
   * Batches in the order of each partition; the next one is fetched only when asked for. Records
   * are seen only once they are durable. Ends when `signal` aborts, without an error.
   * @throws MillraceError `log_gap` when `from` is before the partition's first offset,
   *   `log_unavailable` when the log was away for long; read again from where the store stands
   */
  read(options: ReadOptions): AsyncIterable<LogBatch>

  /** The partitions that exist now and what they hold. */
  partitions(): Promise<readonly PartitionRange[]>

  /** Remembers that `group` is done with all before `nextOffset`: for lag and for retention. */
  commit(group: string, partition: number, nextOffset: Offset): Promise<void>

  /** How far `group` is behind, a line for each partition. */
  lag(group: string): Promise<readonly PartitionLag[]>

  /** Keeps the text of a schema beside the records; the same text again changes nothing. */
  addSchema(text: string): Promise<void>

  /** The text of a schema by its fingerprint, or undefined. */
  schema(fingerprint: string): Promise<string | undefined>

  /**
   * Frees what is older than the retention and what exceeds the size, never what a group has not
   * read. Called by the owner from time to time; returns the bytes freed.
   */
  retain(now: number): Promise<number>

  /** Waits for appends under way, then lets go of everything. The log can be opened again at once. */
  close(): Promise<void>
}

/** The group under which the consumer of the store commits; it holds back retention from the start. */
export const storeGroup = 'store'
