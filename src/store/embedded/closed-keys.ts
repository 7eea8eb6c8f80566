import type { DuckDBConnection, DuckDBValue } from '@duckdb/node-api'
import { isMillraceError } from '../../event/error.ts'
import { dayMs } from '../../lib/clock.ts'
import { selectFromFiles } from './closed-file.ts'
import { daysOf } from './days.ts'
import { lookUp, type Wanted } from './lookup.ts'
import { type ClosedDay, readManifest } from './manifest.ts'
import { rowsOf } from './sql.ts'

/**
 * Finds events in the closed days' files for the writer. Only replays, imports and clients with
 * wrong clocks come there. A few events of a day are looked up in its file by their very times; for
 * many, the day's keys are laid into a temporary table in the order of time, where a batch's stretch
 * is found without reading the rest (20 times faster in a replay). The last days used stay there.
 */
export interface ClosedKeys {
  /** Calls `visit` with `eventKeyColumns` of every row that is at the time of a wanted one, or near. */
  readonly lookUp: (
    wanted: readonly Wanted[],
    visit: (values: readonly DuckDBValue[]) => void,
  ) => Promise<void>
  /** The closed days among them whose file could not be read since it was last asked. */
  readonly takeUnread: () => number[]
}

/** What is known of a stored event: enough to tell whether it is there. */
export const eventKeyColumns = [
  'event_time',
  'event_id',
  'party_id',
  'received_at',
  'clock_source',
] as const

/** Fewer events of a day are looked up in its file; that takes some 10 ms. */
const tableMin = 50

/** Rows in the temporary tables together; some 120 bytes each. A day beyond is read from its file. */
const tableRowsMax = 1_000_000

const tablePrefix = 'closed_keys_'

/** What the manifest says now; to be loaded anew when it has changed. */
export async function loadClosedKeys(connection: DuckDBConnection): Promise<ClosedKeys> {
  const entries = new Map((await readManifest(connection)).map((entry) => [entry.day, entry]))
  const tables = await createKeyTables(connection)
  const unread = new Set<number>()

  async function lookUpDay(
    entry: ClosedDay,
    wanted: readonly Wanted[],
    visit: (values: readonly DuckDBValue[]) => void,
  ): Promise<void> {
    const file = await fileOrUnread(entry)
    if (file === undefined) return
    const isFew = wanted.length < tableMin || entry.rows > tableRowsMax
    const name =
      isFew && !tables.has(entry.day)
        ? `(${selectFromFiles([file])})`
        : await tables.nameOf(entry, file)
    await lookUp(connection, { name, time: 'event_time', columns: eventKeyColumns }, wanted, visit)
  }

  async function fileOrUnread(entry: ClosedDay): Promise<string | undefined> {
    try {
      return await daysOf(connection).check(entry)
    } catch (thrown) {
      if (!isMillraceError(thrown, 'store_corrupt')) throw thrown
      unread.add(entry.day)
      return
    }
  }

  return {
    async lookUp(wanted, visit) {
      if (entries.size === 0) return
      const byDay = new Map<number, Wanted[]>()
      for (const one of wanted) {
        const day = Math.floor(one.time / dayMs)
        if (!entries.has(day)) continue
        const ofDay = byDay.get(day)
        if (ofDay === undefined) byDay.set(day, [one])
        else ofDay.push(one)
      }
      for (const [day, ofDay] of byDay) await lookUpDay(entries.get(day) as ClosedDay, ofDay, visit)
    },
    takeUnread() {
      const taken = [...unread]
      unread.clear()
      return taken
    },
  }
}

/** The temporary tables of the days that were used last. */
interface KeyTables {
  readonly has: (day: number) => boolean
  /** The name of a day's table, which is made when it is not there. */
  readonly nameOf: (entry: ClosedDay, file: string) => Promise<string>
}

async function createKeyTables(connection: DuckDBConnection): Promise<KeyTables> {
  await dropTables(connection)
  /** In the order of their last use. */
  const tables = new Map<number, ClosedDay>()

  async function makeRoom(rows: number): Promise<void> {
    let used = [...tables.values()].reduce((sum, entry) => sum + entry.rows, 0)
    for (const entry of [...tables.values()]) {
      if (used + rows <= tableRowsMax) return
      tables.delete(entry.day)
      used -= entry.rows
      await connection.run(`DROP TABLE ${tableName(entry)}`)
    }
  }

  return {
    has: (day) => tables.has(day),
    async nameOf(entry, file) {
      if (!tables.delete(entry.day)) {
        await makeRoom(entry.rows)
        await connection.run(
          `CREATE TEMP TABLE ${tableName(entry)} AS SELECT ${eventKeyColumns.join(', ')}
           FROM (${selectFromFiles([file])}) ORDER BY event_time`,
        )
      }
      tables.set(entry.day, entry)
      return tableName(entry)
    },
  }
}

/** Names have no sign: days before 1970 are shifted. */
function tableName({ day }: ClosedDay): string {
  return `${tablePrefix}${day + 1_000_000}`
}

/** Tables of keys loaded before: the connection keeps them for its life. */
async function dropTables(connection: DuckDBConnection): Promise<void> {
  const sql = `SELECT table_name FROM duckdb_tables() WHERE temporary AND starts_with(table_name, $1)`
  for (const [name] of await rowsOf(connection, sql, [tablePrefix])) {
    await connection.run(`DROP TABLE temp."${name}"`)
  }
}
