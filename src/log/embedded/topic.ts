import { randomUUID } from 'node:crypto'
import { link, open, readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { MillraceError } from '../../event/error.ts'
import { fingerprintOf } from '../../event/schema.ts'
import { ensureFolder } from '../../lib/folder.ts'
import { syncPath } from '../../lib/sync.ts'
import { isAbsent, isPresent, unwritable } from './failure.ts'

/** The version of the whole layout of a topic's folder. */
const formatVersion = 1

/** What `log.json` says; written once. */
export interface TopicFile {
  readonly format: number
  readonly identity: string
  readonly topic: string
}

/**
 * Reads what a topic is, making it if it is new and `create` is set.
 * @throws MillraceError `log_version`, `log_corrupt`, `log_unwritable` naming the file
 */
export async function openTopic(
  folder: string,
  topic: string,
  create: boolean,
): Promise<TopicFile> {
  const path = join(folder, 'log.json')
  try {
    if (create) {
      ensureFolder(join(folder, 'schemas'))
      if (!(await exists(path))) {
        await refuseLeftovers(folder, path)
        const file: TopicFile = { format: formatVersion, identity: randomUUID(), topic }
        await writeOnce(path, `${JSON.stringify(file, null, 2)}\n`)
      }
    }
    return parseTopic(await readFile(path, 'utf8'), path, topic)
  } catch (thrown) {
    throw unwritable(path, thrown)
  }
}

/** The schemas of a topic, a file each. */
export class Schemas {
  readonly #folder: string
  readonly #texts = new Map<string, string>()

  constructor(topicFolder: string) {
    this.#folder = join(topicFolder, 'schemas')
  }

  async add(text: string): Promise<void> {
    const fingerprint = fingerprintOf(text)
    if (this.#texts.has(fingerprint)) return
    const path = this.#pathOf(fingerprint)
    try {
      if (!(await exists(path))) await writeOnce(path, text)
    } catch (thrown) {
      throw unwritable(path, thrown)
    }
    this.#texts.set(fingerprint, text)
  }

  async get(fingerprint: string): Promise<string | undefined> {
    const known = this.#texts.get(fingerprint)
    if (known !== undefined || !/^[0-9a-f]{1,64}$/.test(fingerprint)) return known
    const path = this.#pathOf(fingerprint)
    let text: string
    try {
      text = await readFile(path, 'utf8')
    } catch (thrown) {
      if (isAbsent(thrown)) return undefined
      throw unwritable(path, thrown)
    }
    if (fingerprintOf(text) !== fingerprint) {
      throw new MillraceError('log_corrupt', `${path} is not the schema that its name says`)
    }
    this.#texts.set(fingerprint, text)
    return text
  }

  #pathOf(fingerprint: string): string {
    return join(this.#folder, `${fingerprint}.avsc`)
  }
}

/** The numbers of the partitions that exist in a topic's folder, rising. */
export async function listPartitions(topicFolder: string): Promise<number[]> {
  const names = await readdir(topicFolder)
  return names
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .sort((a, b) => a - b)
}

function parseTopic(text: string, path: string, topic: string): TopicFile {
  let file: Partial<TopicFile> | null
  try {
    file = JSON.parse(text) as Partial<TopicFile> | null
  } catch (thrown) {
    throw new MillraceError('log_corrupt', `${path} is not JSON`, { cause: thrown })
  }
  if (file?.format !== undefined && file.format !== formatVersion) {
    const detail = `${path} has format ${file.format}, this version reads ${formatVersion}`
    throw new MillraceError('log_version', detail)
  }
  if (file?.format === undefined || typeof file.identity !== 'string' || file.identity === '') {
    throw new MillraceError('log_corrupt', `${path} lacks a format or an identity`)
  }
  if (file.topic !== topic) {
    throw new MillraceError('log_corrupt', `${path} is of topic ${file.topic}, not ${topic}`)
  }
  return { format: file.format, identity: file.identity, topic }
}

/** Records without their `log.json` have lost their identity: a new one must not adopt them. */
async function refuseLeftovers(folder: string, path: string): Promise<void> {
  for (const partition of await listPartitions(folder)) {
    const names = await readdir(join(folder, String(partition)))
    if (names.some((name) => name.endsWith('.mdb'))) {
      throw new MillraceError('log_corrupt', `${path} is missing beside the records of the log`)
    }
  }
}

/**
 * Makes a file that appears whole or not at all and survives a power cut. Of several that do it at
 * once one wins and the others find its file.
 */
async function writeOnce(path: string, text: string): Promise<void> {
  const temporary = `${path}.${randomUUID()}`
  const handle = await open(temporary, 'wx')
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
  try {
    await link(temporary, path)
  } catch (thrown) {
    if (!isPresent(thrown)) throw thrown
  } finally {
    await rm(temporary)
  }
  await syncPath(join(path, '..'))
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (thrown) {
    if (isAbsent(thrown)) return false
    throw thrown
  }
}
