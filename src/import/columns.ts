import { MillraceError } from '../event/error.ts'
import { nearest } from '../lib/settings.ts'

/** Which column of a file is which field of an event. */

/** What a column can be. `day` and `clock` are a time in two columns. */
export const fieldNames = [
  'party',
  'session',
  'item',
  'time',
  'day',
  'clock',
  'eventType',
  'eventId',
  'pageView',
  'location',
  'referer',
  'userAgent',
  'country',
  'parameters',
] as const
export type FieldName = (typeof fieldNames)[number]

/** The names of the API for the same fields. */
const aliases: Readonly<Record<string, FieldName>> = {
  partyId: 'party',
  sessionId: 'session',
  itemId: 'item',
  eventTime: 'time',
  pageViewId: 'pageView',
}

/** Field → the column's name in the file. */
export type ColumnMap = ReadonlyMap<FieldName, string>

/** What the user says of the columns. */
export interface ColumnOptions {
  /** undefined: columns are taken that have the name of a field. */
  readonly columns?: ColumnMap | undefined
  /** Further columns that become parameters of the event. */
  readonly parameters: readonly string[]
}

/**
 * Reads `session=SessionId,item=ItemId,time=Time`.
 * @throws MillraceError `import_columns`
 */
export function parseColumns(text: string): ColumnMap {
  const columns = new Map<FieldName, string>()
  for (const part of text.split(',')) {
    const equals = part.indexOf('=')
    const name = part.slice(0, Math.max(0, equals)).trim()
    const column = part.slice(equals + 1).trim()
    if (name === '' || column === '') {
      throw new MillraceError('import_columns', `${JSON.stringify(part)} is not field=column`)
    }
    const field = fieldOf(name)
    if (field === undefined) {
      throw new MillraceError(
        'import_columns',
        `there is no field ${name}${nearest(name, fieldNames)}`,
      )
    }
    if (columns.has(field)) throw new MillraceError('import_columns', `${field} is given twice`)
    columns.set(field, column)
  }
  return columns
}

/** Where a row has each field, and the columns that become parameters. */
export interface Layout<Place> {
  readonly fields: ReadonlyMap<FieldName, Place>
  readonly parameters: readonly (readonly [name: string, place: Place])[]
}

/**
 * Finds the columns in the header of a file.
 * @throws MillraceError `import_columns` when one is missing, with those that are there
 */
export function layOut(header: readonly string[], options: ColumnOptions): Layout<number> {
  const place = (column: string): number => {
    const at = header.indexOf(column)
    if (at < 0) {
      const there = header.slice(0, 100).map((name) => JSON.stringify(name.slice(0, 100)))
      const detail = `there is no column ${JSON.stringify(column)}; the file has ${there.join(', ')}`
      throw new MillraceError('import_columns', detail)
    }
    return at
  }
  const columns = options.columns ?? columnsByName(header)
  const fields = new Map([...columns].map(([field, column]) => [field, place(column)]))
  const parameters = options.parameters.map((name) => [name, place(name)] as const)
  checkTime(columns, header)
  if (options.columns === undefined) checkWho(columns, header)
  return { fields, parameters }
}

/**
 * How a field is found in an object: by the map, else by the name of the field or the API's name.
 * @throws MillraceError `import_columns` when the map has no time
 */
export function memberReader(
  options: ColumnOptions,
): (object: Readonly<Record<string, unknown>>, field: FieldName) => unknown {
  const { columns } = options
  if (columns !== undefined) {
    checkTime(columns, undefined)
    return (object, field) => own(object, columns.get(field))
  }
  const otherNames = new Map(Object.entries(aliases).map(([name, field]) => [field, name]))
  return (object, field) => own(object, field) ?? own(object, otherNames.get(field))
}

function own(object: Readonly<Record<string, unknown>>, name: string | undefined): unknown {
  return name !== undefined && Object.hasOwn(object, name) ? object[name] : undefined
}

function columnsByName(header: readonly string[]): ColumnMap {
  const columns = new Map<FieldName, string>()
  for (const column of header) {
    const field = fieldOf(column)
    if (field !== undefined && !columns.has(field)) columns.set(field, column)
  }
  return columns
}

/** Rows of nobody have a part in few answers: that is believed of a map, not of a guess. */
function checkWho(columns: ColumnMap, header: readonly string[]): void {
  if (columns.has('party') || columns.has('session')) return
  throw new MillraceError(
    'import_columns',
    `none has the name party or session; the file has ${header.slice(0, 100).join(', ')}`,
  )
}

/** Without a time there is no event; everything else may be missing. */
function checkTime(columns: ColumnMap, header: readonly string[] | undefined): void {
  if (columns.has('time') || (columns.has('day') && columns.has('clock'))) return
  const there = header === undefined ? '' : `; the file has ${header.slice(0, 100).join(', ')}`
  throw new MillraceError('import_columns', `none is the time${there}`)
}

function fieldOf(name: string): FieldName | undefined {
  return fieldNames.find((field) => field === name) ?? aliases[name]
}
