import { MillraceError } from '../../event/error.ts'
import { openSession, type Session, type SessionOptions } from './session.ts'
import { migrations, tablesVersion } from './tables.ts'

export interface PrepareOptions extends SessionOptions {
  /** Copies of every row in the datacenter; 0: as many as it has nodes, at most 3. */
  readonly replicas: number
}

/**
 * Makes the keyspace and its tables, or brings them to this version. Can be run again, also by
 * several at once; it removes nothing and leaves the replication of a keyspace that exists alone.
 * @throws MillraceError `store_unavailable`, `store_unauthorized`, `store_version` when a newer
 *   Millrace was there
 */
export async function prepareKeyspace(options: PrepareOptions): Promise<void> {
  const { keyspace, datacenter } = options
  const outside = await openSession({ ...options, keyspace: '' })
  try {
    const replicas = options.replicas || Math.max(1, Math.min(3, outside.nodes()))
    await outside.rows(
      `CREATE KEYSPACE IF NOT EXISTS ${keyspace} WITH replication = {'class': 'NetworkTopologyStrategy', '${datacenter.replaceAll("'", "''")}': ${replicas}}`,
    )
  } finally {
    await outside.close()
  }
  const session = await openSession(options)
  try {
    await session.rows(
      'CREATE TABLE IF NOT EXISTS migrations (version int PRIMARY KEY, applied_at timestamp)',
    )
    const applied = await readVersion(session)
    if (applied > tablesVersion) throw newer(keyspace, applied)
    for (const [index, statements] of migrations.entries()) {
      if (index < applied) continue
      for (const statement of statements) await session.rows(statement)
      await session.rows(
        'INSERT INTO migrations (version, applied_at) VALUES (?, toTimestamp(now()))',
        [index + 1],
      )
    }
  } finally {
    await session.close()
  }
}

/**
 * Checks that the tables are those of this version.
 * @throws MillraceError `store_unprepared`, `store_version`, `store_unavailable`
 */
export async function checkTables(session: Session): Promise<void> {
  const { keyspace } = session
  const known = await session.rows(
    `SELECT table_name FROM system_schema.tables WHERE keyspace_name = ? AND table_name = 'migrations'`,
    [keyspace],
  )
  const applied = known.length === 0 ? 0 : await readVersion(session)
  if (applied > tablesVersion) throw newer(keyspace, applied)
  if (applied === tablesVersion) return
  const found = applied === 0 ? 'has no tables' : `has tables of version ${applied}`
  throw new MillraceError('store_unprepared', `${keyspace} ${found}, not ${tablesVersion}`)
}

async function readVersion(session: Session): Promise<number> {
  const rows = await session.rows('SELECT version FROM migrations')
  return Math.max(0, ...rows.map((row) => row['version'] as number))
}

function newer(keyspace: string, version: number): MillraceError {
  const found = `${keyspace} has tables of version ${version}, this is ${tablesVersion}`
  return new MillraceError('store_version', found)
}
