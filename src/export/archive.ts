import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, readdir, stat } from 'node:fs/promises'
import { dirname, join, relative, sep } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import tar from 'tar-stream'
import { z } from 'zod'
import { isMillraceError, MillraceError } from '../event/error.ts'
import { toError } from '../lib/assert.ts'
import { ensureFolder } from '../lib/folder.ts'

/**
 * A backup is a tar file, so that any tool can look into it:
 *
 *     manifest.json    first: what made it, what is in it, the SHA-256 of each file
 *     store/…          the files of the store, in one moment of it
 *     schemas/…        the schemas that its dead letters need to be read
 */

/** A change to the layout above is a new number. */
export const backupFormat = 1

const manifestName = 'manifest.json'
/** A year's days and some; a manifest of more is none. */
const manifestBytesMax = 16 * 1024 * 1024

const manifestSchema = z.object({
  format: z.literal(backupFormat),
  /** The version of Millrace that made it. */
  version: z.string(),
  /** ISO 8601. */
  createdAt: z.string(),
  events: z.int().min(0),
  duplicates: z.int().min(0),
  deadLetters: z.int().min(0),
  files: z.array(
    z.object({
      name: z.string().refine(isPlainName, 'a path that leads elsewhere'),
      bytes: z.int().min(0),
      sha256: z.string().regex(/^[0-9a-f]{64}$/),
    }),
  ),
})

export type BackupManifest = z.output<typeof manifestSchema>
type BackupFile = BackupManifest['files'][number]

/** Relative, by slashes, without a way up. */
function isPlainName(name: string): boolean {
  return /^[\w.=-]+(\/[\w.=-]+)+$/.test(name) && !name.split('/').some((part) => /^\.+$/.test(part))
}

/** Names, measures and hashes every file below `folder`. */
export async function describeFiles(folder: string): Promise<BackupFile[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const paths = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
  const files: BackupFile[] = []
  for (const path of paths.sort()) {
    const hash = createHash('sha256')
    for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer)
    const name = relative(folder, path).split(sep).join('/')
    files.push({ name, bytes: (await stat(path)).size, sha256: hash.digest('hex') })
  }
  return files
}

/** The bytes of the tar file: the manifest, then the files that it names, from `folder`. */
export async function* packBackup(
  folder: string,
  manifest: BackupManifest,
): AsyncGenerator<Uint8Array, void, undefined> {
  const pack = tar.pack()
  const feeding = feed(pack, folder, manifest).catch((thrown) => pack.destroy(toError(thrown)))
  try {
    for await (const chunk of pack) yield chunk as Uint8Array
  } finally {
    // The reader may have gone in the middle of a file.
    pack.destroy()
    await feeding
  }
}

/** The size of the tar file in bytes: each entry has a head of 512 and is filled up to as many. */
export function backupBytes(manifest: BackupManifest): number {
  const filled = (bytes: number): number => 512 + Math.ceil(bytes / 512) * 512
  const first = filled(Buffer.byteLength(render(manifest)))
  return manifest.files.reduce((sum, { bytes }) => sum + filled(bytes), first) + 1024
}

function render(manifest: BackupManifest): string {
  return `${JSON.stringify(manifest, null, 2)}\n`
}

async function feed(pack: tar.Pack, folder: string, manifest: BackupManifest): Promise<void> {
  const mtime = new Date(manifest.createdAt)
  const header = { mode: 0o600, mtime }
  pack.entry({ ...header, name: manifestName }, render(manifest))
  for (const { name, bytes } of manifest.files) {
    const entry = pack.entry({ ...header, name, size: bytes })
    await pipeline(createReadStream(join(folder, name)), entry)
  }
  pack.finalize()
}

/** Told of the bytes read so far and of all that the files have. */
export type OnProgress = (done: number, total: number) => void

/**
 * Writes the files of a backup below `folder`, each synced and checked against the manifest. The
 * caller removes the folder when this throws.
 * @throws MillraceError `backup_invalid` (cut off, changed, no backup at all), `backup_version`
 */
export async function unpackBackup(
  source: Readable,
  folder: string,
  onProgress: OnProgress = () => {},
): Promise<BackupManifest> {
  const extract = tar.extract()
  const reading = pipeline(source, extract)
  // Awaited below; whoever reads the entries hears of it first.
  reading.catch(() => undefined)
  try {
    const manifest = await takeEntries(extract, folder, onProgress)
    await reading
    return manifest
  } catch (thrown) {
    if (isMillraceError(thrown)) throw thrown
    const { code } = thrown as NodeJS.ErrnoException
    // The disk is full, or the folder can't be written: not the backup's fault.
    if (code?.startsWith('E') === true && !code.startsWith('ERR_')) throw thrown
    throw new MillraceError('backup_invalid', toError(thrown).message, { cause: thrown })
  }
}

async function takeEntries(
  extract: tar.Extract,
  folder: string,
  onProgress: OnProgress,
): Promise<BackupManifest> {
  let manifest: BackupManifest | undefined
  const missing = new Map<string, BackupFile>()
  let done = 0
  let total = 0
  for await (const entry of extract) {
    const { name } = entry.header
    if (manifest === undefined) {
      manifest = await readManifest(name, entry as AsyncIterable<Uint8Array>)
      for (const file of manifest.files) missing.set(file.name, file)
      total = manifest.files.reduce((sum, { bytes }) => sum + bytes, 0)
      continue
    }
    const file = missing.get(name)
    if (file === undefined || entry.header.type !== 'file')
      throw invalid(`${name} is not in its manifest`)
    await takeFile(entry as AsyncIterable<Uint8Array>, file, join(folder, name), (bytes) => {
      done += bytes
      onProgress(done, total)
    })
    missing.delete(name)
  }
  if (manifest === undefined) throw invalid('it is empty')
  if (missing.size > 0) throw invalid(`it ends before ${[...missing.keys()][0]}`)
  return manifest
}

async function readManifest(
  name: string,
  entry: AsyncIterable<Uint8Array>,
): Promise<BackupManifest> {
  if (name !== manifestName) throw invalid(`it does not begin with ${manifestName}`)
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of entry) {
    chunks.push(chunk)
    bytes += chunk.byteLength
    if (bytes > manifestBytesMax) throw invalid(`${manifestName} is too large`)
  }
  const manifest = parseJson(Buffer.concat(chunks).toString())
  const format = (manifest as { format?: unknown } | null)?.format
  if (typeof format === 'number' && format !== backupFormat) {
    throw new MillraceError('backup_version', `format ${format}, this one reads ${backupFormat}`)
  }
  const result = manifestSchema.safeParse(manifest)
  if (!result.success) throw invalid(`${manifestName}: ${z.prettifyError(result.error)}`)
  return result.data
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (thrown) {
    throw invalid(`${manifestName} is not JSON`, thrown)
  }
}

async function takeFile(
  entry: AsyncIterable<Uint8Array>,
  { name, bytes, sha256 }: BackupFile,
  path: string,
  onBytes: (bytes: number) => void,
): Promise<void> {
  ensureFolder(dirname(path))
  const handle = await open(path, 'wx', 0o600)
  try {
    const hash = createHash('sha256')
    let written = 0
    for await (const chunk of entry) {
      hash.update(chunk)
      await handle.writeFile(chunk)
      written += chunk.byteLength
      onBytes(chunk.byteLength)
    }
    if (written !== bytes || hash.digest('hex') !== sha256) throw invalid(`${name} was changed`)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function invalid(detail: string, cause?: unknown): MillraceError {
  return new MillraceError('backup_invalid', detail, { cause })
}
