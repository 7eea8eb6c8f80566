import { cut } from '../collect/receipt.ts'
import { isMillraceError, type MillraceError } from '../event/error.ts'
import { type EventMaking, eventOfRow, type RowFields } from './event.ts'
import { createIdChain, type IdChain } from './identity.ts'
import type { ImportItem } from './source.ts'

/** Rows as a file has them, numbered and turned into items. */

/** A row of a text file: its fields, or why it has none. */
export interface FoundRow {
  /** Of its first line, from 1. */
  readonly lineNumber: number
  readonly text: string
  readonly fields: RowFields | MillraceError
}

/** Enough of a refused row to find it. */
const refusedCharactersMax = 8_192

/** Numbers rows from 0 and makes an item of each. */
export interface RowNumbering {
  /**
   * @param make the item's event; a `MillraceError` it throws refuses the row
   * @param where `line 18`
   */
  readonly item: (
    row: string | Uint8Array,
    where: string,
    make: (derivedId: string) => ImportEvent,
  ) => ImportItem
}

type ImportEvent = Extract<ImportItem, { event: unknown }>['event']

export function createRowNumbering(chain: IdChain = createIdChain()): RowNumbering {
  let next = 0
  return {
    item(content, where, make) {
      const row = next++
      const derivedId = chain.next(content)
      try {
        return { row, event: make(derivedId) }
      } catch (thrown) {
        if (!isMillraceError(thrown)) throw thrown
        const text = typeof content === 'string' ? content : Buffer.from(content).toString('hex')
        const reason = `${where}: ${thrown.message}`.toWellFormed()
        return { row, reason, text: cut(text, refusedCharactersMax).toWellFormed() }
      }
    },
  }
}

/** The items of rows with columns. */
export async function* itemsOfRows(
  found: AsyncIterable<readonly FoundRow[]>,
  making: EventMaking,
): AsyncGenerator<readonly ImportItem[], void, undefined> {
  const numbering = createRowNumbering()
  for await (const rows of found) {
    yield rows.map(({ fields, text, lineNumber }) =>
      numbering.item(text, `line ${lineNumber}`, (derivedId) => {
        if (isMillraceError(fields)) throw fields
        return eventOfRow(fields, derivedId, making)
      }),
    )
  }
}
