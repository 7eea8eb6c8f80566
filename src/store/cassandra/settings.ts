import { readFileSync } from 'node:fs'
import { MillraceError } from '../../event/error.ts'
import { toError } from '../../lib/assert.ts'
import type { HistoryTarget } from '../history.ts'
import type { Store } from '../store.ts'
import { openHistoryTarget } from './adopt.ts'
import { openCassandraStore } from './cassandra.ts'
import { prepareKeyspace } from './migrate.ts'
import type { SessionOptions, TlsOptions } from './session.ts'

/** The settings of the section `cassandra`, as they were validated. */
export interface CassandraSettings {
  readonly contactPoints: readonly string[]
  readonly datacenter: string
  readonly keyspace: string
  readonly replicas: number
  readonly expectedEventsPerDay: number
  readonly username?: string | undefined
  readonly password?: string | undefined
  readonly tls: boolean
  readonly caFile?: string | undefined
  readonly certificateFile?: string | undefined
  readonly keyFile?: string | undefined
}

/** @throws MillraceError see `openCassandraStore`; `config_invalid` when a PEM file can't be read */
export async function openConfiguredStore(
  settings: CassandraSettings,
  { retentionDays }: { readonly retentionDays: number },
): Promise<Store> {
  const { expectedEventsPerDay } = settings
  return openCassandraStore({ ...sessionOf(settings), retentionDays, expectedEventsPerDay })
}

/** @throws MillraceError see `openHistoryTarget` */
export function openConfiguredHistory(settings: CassandraSettings): Promise<HistoryTarget> {
  return openHistoryTarget(sessionOf(settings))
}

/** Makes keyspace and tables; see `prepareKeyspace`. */
export async function prepareConfiguredKeyspace(settings: CassandraSettings): Promise<void> {
  await prepareKeyspace({ ...sessionOf(settings), replicas: settings.replicas })
}

function sessionOf(settings: CassandraSettings): SessionOptions {
  const { contactPoints, datacenter, keyspace, username, password, tls } = settings
  return {
    contactPoints,
    datacenter,
    keyspace,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(tls && { tls: tlsOf(settings) }),
  }
}

function tlsOf({ caFile, certificateFile, keyFile }: CassandraSettings): TlsOptions {
  return {
    ...(caFile !== undefined && { ca: readPem(caFile) }),
    ...(certificateFile !== undefined && { cert: readPem(certificateFile) }),
    ...(keyFile !== undefined && { key: readPem(keyFile) }),
  }
}

function readPem(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (thrown) {
    throw new MillraceError('config_invalid', toError(thrown).message, { cause: thrown })
  }
}
