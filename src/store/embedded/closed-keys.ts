import type { DuckDBConnection, DuckDBValue } from '@duckdb/node-api'
import { isMillraceError } from '../../event/error.ts'
import { dayMs } from '../../lib/clock.ts'
import { selectFromFiles } from './closed-file.ts'
import { daysOf } from './days.ts'
import { lookUp, type Wanted } from './lookup.ts'
import { type ClosedDay, readManifest } from './manifest.ts'
import { groupsOf, rowsOf } from './sql.ts'

/**
 * Finds events in the closed days' files for the writer. Only replays, imports and clients with
 * wrong clocks come there. A few events of a large day are looked up in its file by their very
 * times; otherwise the days' keys are laid into a temporary table in the order of time, where a
 * batch's stretch is found without reading the rest (20 times faster in a replay). Days that a batch
 * touches together are laid into one table, as a statement costs some milliseconds whatever it reads.
 * The tables used last stay there.
 */
export interface ClosedKeys {
  /** Calls `visit` with `eventKeyColumns` of every row that is at the time of a wanted one, or near. */
  readonly lookUp: (wanted: readonly Wanted[], visit: Visit) => Promise<void>
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

/** Fewer events of a day are looked up in its file, unless the whole day is not much more. */
const tableMin = 50
const smallDayRows = 5_000

/** Rows in the temporary tables together; some 120 bytes each. A day beyond is read from its file. */
const tableRowsMax = 1_000_000

/** Days that one statement reads: the memory of a file is bounded, that of many together is not. */
const filesMax = 64

const tablePrefix = 'closed_keys_'

type Visit = (values: readonly DuckDBValue[]) => void

/** The wanted events of a closed day. */
interface WantedDay {
  readonly entry: ClosedDay
  readonly file: string
  readonly wanted: readonly Wanted[]
}

/** What the manifest says now; to be loaded anew when it has changed. */
export async function loadClosedKeys(connection: DuckDBConnection): Promise<ClosedKeys> {
  const entries = new Map((await readManifest(connection)).map((entry) => [entry.day, entry]))
  const tables = await createKeyTables(connection)
  const unread = new Set<number>()

  async function lookUpIn(name: string, days: readonly WantedDay[], visit: Visit): Promise<void> {
    const table = { name, time: 'event_time', columns: eventKeyColumns }
    const wanted = days.flatMap((day) => day.wanted)
    await lookUp(connection, { ...table, isTable: name.startsWith(tablePrefix) }, wanted, visit)
  }

  /** Days whose keys are not in a table yet: those worth one get it, the others are read once. */
  async function lookUpNew(days: readonly WantedDay[], visit: Visit): Promise<void> {
    const isForTable = ({ entry, wanted }: WantedDay): boolean =>
      entry.rows <= tableRowsMax && (wanted.length >= tableMin || entry.rows <= smallDayRows)
    for (const group of groupsOf(days.filter(isForTable), filesMax)) {
      for (const part of partsOf(group)) await lookUpIn(await tables.make(part), part, visit)
    }
    const fromFiles = days.filter((day) => !isForTable(day))
    for (const group of groupsOf(fromFiles, filesMax)) {
      await lookUpIn(`(${selectFromFiles(group.map(({ file }) => file))})`, group, visit)
    }
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
      const byTable = new Map<string, WantedDay[]>()
      const fresh: WantedDay[] = []
      for (const [day, ofDay] of byDay) {
        const entry = entries.get(day) as ClosedDay
        const file = await fileOrUnread(entry)
        if (file === undefined) continue
        const table = tables.nameOf(day)
        if (table === undefined) fresh.push({ entry, file, wanted: ofDay })
        else byTable.set(table, [...(byTable.get(table) ?? []), { entry, file, wanted: ofDay }])
      }
      for (const [table, days] of byTable) await lookUpIn(table, days, visit)
      await lookUpNew(fresh, visit)
    },
    takeUnread() {
      const taken = [...unread]
      unread.clear()
      return taken
    },
  }
}

/** Parts of a group of days that fit into the tables, some of them at once. */
function partsOf(days: readonly WantedDay[]): WantedDay[][] {
  const parts: WantedDay[][] = []
  let rows = Number.POSITIVE_INFINITY
  for (const day of days) {
    rows += day.entry.rows
    if (rows > tableRowsMax / 4) {
      parts.push([])
      rows = day.entry.rows
    }
    parts.at(-1)?.push(day)
  }
  return parts
}

/** The temporary tables of the days that were used last. */
interface KeyTables {
  /** The table that has a day's keys, which counts as a use of it. */
  readonly nameOf: (day: number) => string | undefined
  /** Makes one for these days. */
  readonly make: (days: readonly WantedDay[]) => Promise<string>
}

interface KeyTable {
  readonly days: readonly number[]
  readonly rows: number
}

async function createKeyTables(connection: DuckDBConnection): Promise<KeyTables> {
  await dropTables(connection)
  /** In the order of their last use. */
  const tables = new Map<string, KeyTable>()
  const names = new Map<number, string>()
  let made = 0

  async function makeRoom(rows: number): Promise<void> {
    let used = [...tables.values()].reduce((sum, table) => sum + table.rows, 0)
    for (const [name, table] of [...tables]) {
      if (used + rows <= tableRowsMax) return
      tables.delete(name)
      for (const day of table.days) names.delete(day)
      used -= table.rows
      await connection.run(`DROP TABLE ${name}`)
    }
  }

  return {
    nameOf(day) {
      const name = names.get(day)
      if (name === undefined) return
      const table = tables.get(name) as KeyTable
      tables.delete(name)
      tables.set(name, table)
      return name
    },
    async make(days) {
      const rows = days.reduce((sum, { entry }) => sum + entry.rows, 0)
      await makeRoom(rows)
      const name = `${tablePrefix}${made++}`
      const files = selectFromFiles(days.map(({ file }) => file))
      await connection.run(
        `CREATE TEMP TABLE ${name} AS SELECT ${eventKeyColumns.join(', ')}
         FROM (${files}) ORDER BY event_time`,
      )
      tables.set(name, { days: days.map(({ entry }) => entry.day), rows })
      for (const { entry } of days) names.set(entry.day, name)
      return name
    },
  }
}

/** Tables of keys loaded before: the connection keeps them for its life. */
async function dropTables(connection: DuckDBConnection): Promise<void> {
  const sql = `SELECT table_name FROM duckdb_tables() WHERE temporary AND starts_with(table_name, $1)`
  for (const [name] of await rowsOf(connection, sql, [tablePrefix])) {
    await connection.run(`DROP TABLE temp."${name}"`)
  }
}
