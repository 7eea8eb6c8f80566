import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { mentionsParty } from '../event/mention.ts'
import { fingerprintOf } from '../event/schema.ts'
import type { Clock } from '../lib/clock.ts'
import type { Erasure, Position, Row, Store, StoredDeadLetter } from '../store/store.ts'
import { type BackupManifest, backupFormat, describeFiles } from './archive.ts'
import { exportPages } from './export.ts'

/** What is needed to take everything along, all of it or one party's; see `cli` for who makes it. */
export interface TakeAlong {
  /** A folder of the store's disk for the files of answers under way. */
  readonly temp: string
  readonly store: Pick<
    Store,
    'events' | 'deadLetters' | 'partyRows' | 'erasures' | 'health' | 'snapshot'
  >
  readonly clock: Clock
  readonly version: string
  /**
   * Resolves when all is stored that the log holds now.
   * @throws MillraceError `store_unavailable` when that does not come to pass in time
   */
  readonly caughtUp: (signal: AbortSignal) => Promise<void>
  /** The text of a record's schema by its fingerprint. */
  readonly schemaText: (fingerprint: string) => Promise<string | undefined>
  /** Erases a party, and waits a moment for the erasure to become final. */
  readonly erase: (partyId: string) => Promise<Erasure>
  /** ms since 1970: when the log has let go of every record that was received until `at`. */
  readonly logExpiresAt: (at: number) => number
}

export type { Erasure } from '../store/store.ts'

/** Years 1 to 9999: what a day can be. */
const always = { from: -62_135_596_800_000, to: Date.UTC(10_000, 0, 1) }

/** All events of a party, bots or not, of whatever time. */
export function partyPages(
  { store }: TakeAlong,
  partyId: string,
): AsyncGenerator<readonly Row[], void, undefined> {
  return exportPages(store, { range: always, filter: { bots: 'include', partyId } })
}

const letterPage = 200

/** The dead letters that name a party. */
export async function* partyLetters(
  { store }: TakeAlong,
  partyId: string,
): AsyncGenerator<StoredDeadLetter, void, undefined> {
  for await (const letter of allLetters(store)) {
    if (mentionsParty(letter.value, partyId) || letter.message.includes(partyId)) yield letter
  }
}

async function* allLetters(
  store: Pick<Store, 'deadLetters'>,
): AsyncGenerator<StoredDeadLetter, void, undefined> {
  let after: Position | undefined
  do {
    const page = await store.deadLetters({ limit: letterPage, ...(after && { after }) })
    yield* page
    after = page.length < letterPage ? undefined : page.at(-1)?.position
  } while (after !== undefined)
}

/**
 * Makes the files of a backup below `folder`, which must not exist: the store in one moment of it,
 * after all that the log holds now. The caller removes the folder.
 */
export async function makeBackup(
  takeAlong: TakeAlong,
  folder: string,
  signal: AbortSignal,
): Promise<BackupManifest> {
  const { store, clock, version } = takeAlong
  await takeAlong.caughtUp(signal)
  const storeFolder = join(folder, 'store')
  const schemaFolder = join(folder, 'schemas')
  for (const path of [storeFolder, schemaFolder]) await mkdir(path, { recursive: true })
  const createdAt = new Date(clock()).toISOString()
  await store.snapshot(storeFolder)
  await writeSchemas(takeAlong, schemaFolder)
  const { events, duplicates, deadLetters } = await store.health()
  const files = await describeFiles(folder)
  return { format: backupFormat, version, createdAt, events, duplicates, deadLetters, files }
}

/** Dead letters are read by the schema that wrote them, which only the log has. */
async function writeSchemas({ store, schemaText }: TakeAlong, folder: string): Promise<void> {
  const known = new Set([''])
  for await (const { schema } of allLetters(store)) {
    if (known.has(schema)) continue
    known.add(schema)
    const text = await schemaText(schema)
    if (text === undefined) continue
    await writeFile(join(folder, `${fingerprintOf(text)}.avsc`), text)
  }
}

/** Empties the folder for files of answers under way: what is in it, a killed process left. */
export async function emptyTemp(temp: string): Promise<void> {
  await rm(temp, { recursive: true, force: true })
  await mkdir(temp, { recursive: true, mode: 0o700 })
}
