import { Admin, type BaseOptions } from '@platformatic/kafka'
import { isMillraceError, MillraceError } from '../../event/error.ts'
import { backoffMs, waitMs } from '../../lib/retry.ts'

/** How to reach a cluster. */
export interface KafkaConnection {
  /** `HOST:PORT` of some of its brokers. */
  readonly brokers: readonly string[]
  /** How long anything may take before it counts as failed. */
  readonly timeoutMs: number
  /** PEM texts; without `ca` the system's own authorities are trusted. */
  readonly tls?: KafkaTls
  readonly sasl?: KafkaSasl
}

export interface KafkaTls {
  readonly ca?: string
  readonly certificate?: string
  readonly key?: string
}

export interface KafkaSasl {
  readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'
  readonly username: string
  readonly password: string
}

/** The part of the client's options that all of its kinds share. */
export function clientOptions({ brokers, timeoutMs, tls, sasl }: KafkaConnection): BaseOptions {
  const options: BaseOptions = {
    clientId: 'millrace',
    bootstrapBrokers: [...brokers],
    connectTimeout: Math.min(timeoutMs, 5_000),
    timeout: Math.min(timeoutMs, 5_000),
    retries: 3,
    retryDelay: 250,
  }
  if (tls !== undefined) {
    options.tls = { minVersion: 'TLSv1.2' }
    if (tls.ca !== undefined) options.tls.ca = tls.ca
    if (tls.certificate !== undefined) options.tls.cert = tls.certificate
    if (tls.key !== undefined) options.tls.key = tls.key
  }
  if (sasl !== undefined) options.sasl = { ...sasl }
  return options
}

/** A client for questions about topics, offsets and groups. */
export function createAdmin(connection: KafkaConnection): Admin {
  const admin = new Admin(clientOptions(connection))
  admin.on('error', () => {})
  return admin
}

/** Refusals that no retry changes, by the protocol's names. */
const refusals = [
  'SASL_AUTHENTICATION_FAILED',
  'UNSUPPORTED_SASL_MECHANISM',
  'ILLEGAL_SASL_STATE',
  'TOPIC_AUTHORIZATION_FAILED',
  'GROUP_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
] as const

/** What the client threw, as an error of ours that names the reason at its root. */
export function toLogError(thrown: unknown): MillraceError {
  if (isMillraceError(thrown)) return thrown
  const reason = reasonOf(thrown)
  if (isRefusal(thrown)) return new MillraceError('log_refused', reason, { cause: thrown })
  return new MillraceError('log_unavailable', reason, { cause: thrown })
}

function isRefusal(thrown: unknown): boolean {
  return (
    hasError(thrown, 'code', 'PLT_KFK_AUTHENTICATION') ||
    refusals.some((name) => hasError(thrown, 'apiId', name))
  )
}

const retryBackoff = { initialMs: 100, maxMs: 1_000 }

/**
 * Tries again what fails because Kafka is away, for at most `timeoutMs`.
 * @throws MillraceError what the last try failed with
 */
export async function persist<Result>(
  timeoutMs: number,
  operation: () => Promise<Result>,
  signal?: AbortSignal,
): Promise<Result> {
  const startedAt = performance.now()
  for (let attempt = 1; ; attempt++) {
    try {
      return await operation()
    } catch (thrown) {
      const error = toLogError(thrown)
      const isOver = performance.now() - startedAt > timeoutMs || signal?.aborted === true
      if (isOver || error.code !== 'log_unavailable') throw error
      await waitMs(backoffMs(attempt, retryBackoff), signal)
    }
  }
}

/** True when an error with this property is anywhere in what was thrown. */
export function hasError(thrown: unknown, property: 'apiId' | 'code', value: string): boolean {
  if (!(thrown instanceof Error)) return false
  if ((thrown as Error & Partial<Record<string, unknown>>)[property] === value) return true
  const inner: unknown[] = thrown instanceof AggregateError ? thrown.errors : []
  return [thrown.cause, ...inner].some((one) => hasError(one, property, value))
}

/** The client wraps errors in errors; the innermost one says what happened. */
function reasonOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown)
  const inner = thrown instanceof AggregateError ? thrown.errors.at(-1) : thrown.cause
  return inner instanceof Error ? reasonOf(inner) : thrown.message
}
