import cassandra from 'cassandra-driver'
import { isMillraceError, MillraceError } from '../../event/error.ts'
import { toError } from '../../lib/assert.ts'

/** How to reach Cassandra. */
export interface SessionOptions {
  /** `HOST:PORT` each; those that do not answer are passed over. */
  readonly contactPoints: readonly string[]
  readonly datacenter: string
  readonly keyspace: string
  readonly username?: string
  readonly password?: string
  /** PEM texts; absent, the connection is not encrypted. */
  readonly tls?: TlsOptions
}

export interface TlsOptions {
  /** Of the authority that signed the nodes' certificates; absent, those that Node trusts. */
  readonly ca?: string
  /** What this client shows, where the nodes ask for a certificate. */
  readonly cert?: string
  readonly key?: string
}

/** A bound value; undefined leaves the column as it is. */
export type Value = string | number | boolean | null | undefined | Buffer | Date | object
export type CqlRow = cassandra.types.Row

/** A statement of a batch. */
export interface Statement {
  readonly query: string
  readonly params: Value[]
}

/**
 * A connection to a keyspace. Everything that is sent is idempotent, prepared once, answered by a
 * quorum of the local datacenter, and sent to a node that holds the partition. All methods throw
 * MillraceError `store_unavailable` when Cassandra does not do it.
 */
export interface Session {
  readonly keyspace: string
  /** All rows of a small answer. */
  readonly rows: (query: string, params?: Value[]) => Promise<CqlRow[]>
  /** One page of a large one, and where the next begins: undefined at the end. */
  readonly page: (query: string, params: Value[], page: PageRequest) => Promise<Page>
  /** A conditional statement; false when its condition did not hold, or may have been met before. */
  readonly compareAndSet: (query: string, params: Value[]) => Promise<boolean>
  /** One mutation: all statements are of one partition key. */
  readonly batch: (statements: readonly Statement[]) => Promise<void>
  /** Nodes of the datacenter. */
  readonly nodes: () => number
  readonly close: () => Promise<void>
}

export interface PageRequest {
  readonly rowsMax: number
  readonly state: string | undefined
}

export interface Page {
  readonly rows: CqlRow[]
  readonly state: string | undefined
}

const { consistencies, responseErrorCodes } = cassandra.types

/**
 * Connects; `keyspace` '' to none.
 * @throws MillraceError `store_unavailable` when no contact point answers, `store_unauthorized`,
 *   `store_unprepared` when there is no such keyspace
 */
export async function openSession(options: SessionOptions): Promise<Session> {
  const client = createClient(options)
  try {
    await client.connect()
  } catch (thrown) {
    await closeUnconnected(client)
    throw connectError(thrown, options)
  }
  return sessionOf(client, options)
}

/**
 * `shutdown` does nothing before there is a connection for requests. The one over which the driver
 * found out that it cannot go on would stay, and keep the process alive.
 */
async function closeUnconnected(client: cassandra.Client): Promise<void> {
  await client.shutdown().catch(() => undefined)
  const { controlConnection } = client as unknown as {
    readonly controlConnection?: {
      shutdown(): void
      readonly connection?: { close(done: () => void): void } | null
    }
  }
  controlConnection?.shutdown()
  await new Promise<void>((resolve) => {
    const connection = controlConnection?.connection
    if (connection) connection.close(resolve)
    else resolve()
  })
}

function createClient(options: SessionOptions): cassandra.Client {
  const { contactPoints, datacenter, keyspace, username, password, tls } = options
  return new cassandra.Client({
    contactPoints: [...contactPoints],
    localDataCenter: datacenter,
    ...(keyspace !== '' && { keyspace }),
    ...(username !== undefined && { credentials: { username, password: password ?? '' } }),
    ...(tls !== undefined && { sslOptions: { rejectUnauthorized: true, ...tls } }),
    encoding: { useBigIntAsLong: true },
    queryOptions: { consistency: consistencies.localQuorum, prepare: true, isIdempotent: true },
    // A node that comes back is wanted back at once: the consumer waits for it.
    policies: {
      reconnection: new cassandra.policies.reconnection.ExponentialReconnectionPolicy(
        100,
        2_000,
        false,
      ),
      timestampGeneration: serverTimestamps,
    },
    socketOptions: { connectTimeout: 5_000, readTimeout: 15_000 },
  })
}

/**
 * What is written without a time of its own (marks, erasures, what was closed) is stamped by Cassandra,
 * which the driver does for null; its types leave that out. By the clock of this machine, what a
 * process writes whose clock is a day ahead could not be changed by others for a day.
 */
const serverTimestamps =
  null as unknown as cassandra.policies.timestampGeneration.TimestampGenerator

function sessionOf(client: cassandra.Client, { keyspace, datacenter }: SessionOptions): Session {
  async function execute(
    query: string,
    params: Value[],
    options: cassandra.QueryOptions,
  ): Promise<cassandra.types.ResultSet> {
    try {
      return await client.execute(query, params, { prepare: true, ...options })
    } catch (thrown) {
      throw requestError(thrown)
    }
  }
  return {
    keyspace,
    async rows(query, params = []) {
      const rows: CqlRow[] = []
      let state: string | undefined
      do {
        const options = { fetchSize: 5_000, ...(state !== undefined && { pageState: state }) }
        const result = await execute(query, params, options)
        // Statements that answer nothing have none.
        for (const row of result.rows ?? []) rows.push(row)
        state = result.pageState ?? undefined
      } while (state !== undefined)
      return rows
    },
    async page(query, params, { rowsMax, state }) {
      const options = { fetchSize: rowsMax, ...(state !== undefined && { pageState: state }) }
      const result = await execute(query, params, options)
      return { rows: result.rows, state: result.pageState ?? undefined }
    },
    async compareAndSet(query, params) {
      const options = { serialConsistency: consistencies.localSerial }
      for (let attempt = 1; ; attempt++) {
        try {
          return (await execute(query, params, options)).wasApplied()
        } catch (thrown) {
          // Others wanted the same row. Whether it was done is not known: our callers look again.
          if (attempt === compareAttemptsMax || !isContention(thrown)) throw thrown
        }
      }
    },
    async batch(statements) {
      try {
        await client.batch(statements as { query: string; params: Value[] }[], {
          prepare: true,
          logged: false,
        })
      } catch (thrown) {
        throw requestError(thrown)
      }
    },
    nodes() {
      const hosts = client.hosts.values()
      return hosts.filter((host) => host.datacenter === datacenter).length
    },
    close: () => client.shutdown(),
  }
}

const compareAttemptsMax = 5

function isContention(thrown: unknown): boolean {
  const { cause } = toError(thrown)
  return (
    cause instanceof cassandra.errors.ResponseError &&
    cause.code === responseErrorCodes.writeTimeout
  )
}

/** Whatever is wrong with the store is not the fault of a row: none may be given up for it. */
export function requestError(thrown: unknown): MillraceError {
  if (isMillraceError(thrown)) return thrown
  return new MillraceError('store_unavailable', detailOf(thrown), { cause: thrown })
}

function connectError(thrown: unknown, { keyspace, username }: SessionOptions): MillraceError {
  const causes = innerErrors(thrown)
  if (causes.some((cause) => cause instanceof cassandra.errors.AuthenticationError)) {
    const who = username === undefined ? 'no user name is set' : `as ${username}`
    return new MillraceError('store_unauthorized', who, { cause: thrown })
  }
  const { ResponseError } = cassandra.errors
  const isInvalid = (cause: Error): boolean =>
    cause instanceof ResponseError && cause.code === responseErrorCodes.invalid
  if (keyspace !== '' && causes.some(isInvalid)) {
    return new MillraceError('store_unprepared', `there is no keyspace ${keyspace}`, {
      cause: thrown,
    })
  }
  return requestError(thrown)
}

/** The driver says only that no host answered; why is inside, by host. */
function innerErrors(thrown: unknown): Error[] {
  if (!(thrown instanceof cassandra.errors.NoHostAvailableError)) return [toError(thrown)]
  return Object.values(thrown.innerErrors as Record<string, Error>)
}

function detailOf(thrown: unknown): string {
  if (!(thrown instanceof cassandra.errors.NoHostAvailableError)) return toError(thrown).message
  const inner = Object.entries(thrown.innerErrors as Record<string, Error>)
  if (inner.length === 0) return 'no node is up'
  return inner.map(([host, error]) => `${host}: ${error.message}`).join('; ')
}

/** A whole number as CQL's bigint, timestamp or counter: 8 bytes. */
export function int64(value: number): Buffer {
  const buffer = Buffer.allocUnsafe(8)
  const high = Math.floor(value / 2 ** 32)
  buffer.writeInt32BE(high, 0)
  buffer.writeUInt32BE(value - high * 2 ** 32, 4)
  return buffer
}

/** A time in ms as microseconds since 1970, which write timestamps are. */
export function microseconds(timeMs: number): Buffer {
  const whole = timeMs * 1_000
  if (Number.isSafeInteger(whole)) return int64(whole)
  const buffer = Buffer.allocUnsafe(8)
  buffer.writeBigInt64BE(BigInt(timeMs) * 1_000n, 0)
  return buffer
}

/** ms since 1970 of a selected timestamp. */
export function timeOf(value: unknown): number {
  return (value as Date).getTime()
}
