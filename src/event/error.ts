import { apiErrors } from './api-error.ts'
import { requestErrors } from './request-error.ts'

/**
 * Every error that a user of Millrace can meet: a stable code, the HTTP status that answers it, a
 * message (`%s` takes the detail) and a hint that says what to do. Match by code, never by text.
 */
const table = {
  ...requestErrors,
  // The log.
  log_full: [
    503,
    'The log is full: %s',
    'Let the consumer catch up, free the disk, or raise log.maxBytes',
  ],
  spool_full: [
    503,
    'The log is away and its spool is full: %s',
    'Bring Kafka back, free the disk of the data folder, or raise spool.maxBytes',
  ],
  log_unwritable: [
    503,
    'The log could not store the event: %s',
    'Look at the disk of the data folder and at the owner of its files',
  ],
  log_unavailable: [
    503,
    'The log does not answer: %s',
    'Is Kafka running, and is kafka.brokers right? Nothing was promised: try again',
  ],
  log_refused: [
    503,
    'The log does not let us in: %s',
    'Look at kafka.tls, saslMechanism, saslUsername, saslPassword and the rights of that user',
  ],
  log_replicas: [
    500,
    'The topic would lose records with one broker: %s',
    'Give it at least 2 replicas and min.insync.replicas 2; for a trial set MILLRACE_KAFKA_ALLOW_SINGLE_REPLICA=true',
  ],
  log_topic: [
    500,
    'The topic is not fit for a log: %s',
    'Change its settings as named, or set MILLRACE_KAFKA_TOPIC to a name that does not exist yet',
  ],
  record_too_large: [
    413,
    'The record is larger than %s bytes',
    'Send less in the event parameters; Kafka takes no larger ones by default',
  ],
  registry_unavailable: [
    503,
    'The schema registry does not answer: %s',
    'Is it running, and is kafka.schemaRegistryUrl right?',
  ],
  registry_refused: [
    500,
    'The schema registry refuses: %s',
    'Fields may only be appended, each with a default; look at the compatibility of the subject',
  ],
  log_locked: [
    503,
    'The log partition is in use: %s',
    'Stop the other process first, or give this one a data folder of its own',
  ],
  log_corrupt: [
    500,
    'The log cannot be read: %s',
    'Restore the folder from a backup, or move it away to begin a new log',
  ],
  log_version: [
    500,
    'The log was written by another version: %s',
    'Use the version of Millrace that wrote it, or move the folder away',
  ],
  log_gap: [
    500,
    'The log no longer has what the store wants to read next: %s',
    'Run with --accept-gap to go on after the lost range, which is then kept as a dead letter',
  ],
  log_unknown: [
    500,
    'The store was filled from another log: %s',
    'Run with --accept-log if this log really continues it',
  ],
  schema_unknown: [
    500,
    'The log has no schema with this fingerprint: %s',
    'The record stays a dead letter until the schema is known',
  ],
  schema_incompatible: [
    500,
    'The schema cannot be read as an event: %s',
    'Fields may only be appended, each with a default',
  ],
  record_undecodable: [
    500,
    'The record is not a value of its schema: %s',
    'It is kept as a dead letter',
  ],
  record_invalid: [500, 'The record cannot be a row: %s', 'It is kept as a dead letter'],
  mapping_failed: [
    500,
    'The function consume.rowOf cannot make a row of the record: %s',
    'Mend it in millrace.config.ts; millrace dead-letters replay then tries the record again',
  ],
  event_unmapped: [
    500,
    'The mapping cannot make a record of the event: %s',
    'Mend it in millrace.config.ts; millrace dead-letters replay then maps the event again',
  ],
  // The store.
  store_locked: [
    503,
    'The store is in use: %s',
    'Commands go through its owner; stop it first to use the file directly',
  ],
  store_corrupt: [
    500,
    'The store cannot be read: %s',
    'Restore the file from a backup, or move it away: the log fills a new one',
  ],
  store_version: [
    500,
    'The store was written by another version: %s',
    'Use the version of Millrace that wrote it',
  ],
  store_unprepared: [
    500,
    'The store is not prepared: %s',
    'Run millrace init: it makes the keyspace and its tables, and brings older ones up to date',
  ],
  store_unauthorized: [
    500,
    'The store refuses the login: %s',
    'Set MILLRACE_CASSANDRA_USERNAME and MILLRACE_CASSANDRA_PASSWORD',
  ],
  store_copy_elsewhere: [
    500,
    'The store is not copied by Millrace: %s',
    'Back up the keyspace with nodetool snapshot, or a tool that does it on every node',
  ],
  store_unavailable: [
    503,
    'The store does not answer: %s',
    'The consumer waits and tries again; nothing is lost',
  ],
  ...apiErrors,
  // Imports.
  import_format: [
    400,
    'The name of the file does not say its format: %s',
    'Name it: --format tsv, csv, ndjson or avro',
  ],
  import_columns: [
    400,
    'The columns do not fit the file: %s',
    'Name them: --columns session=SessionId,item=ItemId,time=Time',
  ],
  import_unreadable: [400, 'The file cannot be read: %s', 'Check the path and who may read it'],
  import_broken: [
    400,
    'The file cannot be read further: %s',
    'Rows before the break are imported; get the file again and import it, nothing appears twice',
  ],
  import_damaged: [
    400,
    'The compressed file is damaged: %s',
    'Nothing was imported, as what it says cannot be trusted; get the file again',
  ],
  import_empty: [400, 'The file has no rows', 'Look at the file and at --format'],
  import_refused: [
    400,
    'The rows cannot be events: %s',
    'Nothing was imported; look at --format, --columns and --time-unit',
  ],
  import_row: [
    400,
    'The row cannot be an event: %s',
    'It is kept as a dead letter; mend it in the file and import that again',
  ],
  import_changed: [
    409,
    'The file has changed while it was read',
    'Import it again when nothing writes to it; nothing appears twice',
  ],
  import_outside_retention: [
    409,
    'The file has days that retention would delete at once: %s',
    'Nothing was imported; --outside-retention keeps them until millrace import FILE --forget',
  ],
  import_invalid: [
    400,
    'The import is not valid: %s',
    'Use the command millrace import of the version that runs',
  ],
  // Moving.
  migrate_refused: [
    500,
    'The installation is not moved: %s',
    'Nothing is lost where it was; see docs/moving.md',
  ],
  migrate_differs: [
    500,
    'The two stores differ: %s',
    'Run the same command again; what is named then was refused: millrace dead-letters list',
  ],
  migrate_stopped: [
    500,
    'The move is not complete: %s',
    'Run the same command again: it goes on with the day where it stopped',
  ],
  // Recommendations.
  recommendations_away: [
    503,
    'Nobody can recommend anything now',
    'Is the process that owns the store running? The page goes on without',
  ],
  evaluate_invalid: [
    400,
    'The files cannot be evaluated: %s',
    'A row is SessionId<TAB>ItemId<TAB>Time, or a line is one session; a test file may have prefix<TAB>target',
  ],
  model_unknown: [404, 'There is no such model: %s', 'millrace recommend models lists them'],
  model_incomplete: [
    409,
    'The model is not whole: %s',
    'It is not served; build another one: millrace recommend build',
  ],
  model_changed: [
    409,
    'Another model was published meanwhile: %s',
    'Publish again: this one is then compared with that one',
  ],
  model_empty: [
    409,
    'There is nothing to make a model from: %s',
    'Ask for more days, or look at recommend.eventTypes',
  ],
  spark_absent: [
    500,
    'Spark cannot be started: %s',
    'Install Spark 3.5 and Java 17, and set recommend.sparkSubmit to its bin/spark-submit',
  ],
  spark_failed: [
    500,
    'The Spark job failed: %s',
    'The model in service stays; mend what is named and build again',
  ],
  internal: [500, 'Something went wrong: %s', 'Look at the log of the process'],
  // Set-up.
  types_outdated: [
    500,
    'The types are not those of the schemas: %s',
    'Run millrace types --out FILE and look at what changed',
  ],
  config_invalid: [500, 'The configuration is not valid: %s', 'See docs/configuration.md'],
  address_in_use: [
    500,
    'The address is in use: %s',
    'Stop the other process, or choose another port',
  ],
  address_unavailable: [
    500,
    'The address cannot be listened on: %s',
    'Choose an address of this machine and a port that you may use',
  ],
  owner_absent: [
    500,
    'No running Millrace owns this data folder: %s',
    'Start it with millrace start, or set MILLRACE_API_URL',
  ],
  file_exists: [
    409,
    'There is a file already: %s',
    'Give another name, or --force to write over it',
  ],
  owner_present: [
    500,
    'Another process owns this data folder: %s',
    'Stop it first; commands go through its API',
  ],
  spool_left: [
    500,
    'The spool is not empty: %s',
    'Bring Kafka back and run millrace drain again before you take this data folder away',
  ],
  worker_ended: [500, 'A worker ended before it listened: %s', 'The lines above say why'],
  collector_absent: [
    500,
    'No collector answers: %s',
    'Start one with millrace start, or name it with --url',
  ],
  api_unreachable: [
    500,
    'The API does not answer: %s',
    'Is millrace start or millrace consume running?',
  ],
} as const satisfies Record<string, ErrorEntry>

/** What the table holds for each code. */
export type ErrorEntry = readonly [status: number, message: string, hint: string]

/** A stable name of one error. */
export type ErrorCode = keyof typeof table

export const errorTable: Readonly<Record<ErrorCode, ErrorEntry>> = table

/** An error with a code of the table; `cause` keeps what was thrown first. */
export class MillraceError extends Error {
  readonly code: ErrorCode
  readonly status: number
  readonly hint: string

  /** @param detail what `%s` in the table's message becomes */
  constructor(code: ErrorCode, detail = '', options?: ErrorOptions) {
    const [status, message, hint] = errorTable[code]
    super(
      message.replace('%s', () => detail),
      options,
    )
    this.name = 'MillraceError'
    this.code = code
    this.status = status
    this.hint = hint
  }

  /** The shape in which every HTTP answer shows an error. */
  toJSON(): { code: ErrorCode; message: string; hint: string } {
    return { code: this.code, message: this.message, hint: this.hint }
  }
}

/** True for an error of ours, with any of `codes` when some are given. */
export function isMillraceError(thrown: unknown, ...codes: ErrorCode[]): thrown is MillraceError {
  return thrown instanceof MillraceError && (codes.length === 0 || codes.includes(thrown.code))
}
