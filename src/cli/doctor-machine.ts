import { randomUUID } from 'node:crypto'
import { existsSync, globSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import type { Config } from '../config.ts'
import { toError } from '../lib/assert.ts'
import { minuteMs } from '../lib/clock.ts'
import { type Finding, failing, fine, sizeText, warning } from './doctor-finding.ts'

/** What can be seen without asking anybody: Node, the folder, the disk, the clock. */

const nodeMajorMin = 24
/** Disk beyond the reserve at which somebody should begin to look. */
const roomBytesMin = 1024 ** 3
/** Two clocks of one network differ by less. */
const clockSlackMs = 5 * minuteMs

export function* checkMachine(config: Config): Generator<Finding> {
  yield checkNode(process.versions.node)
  yield checkFolder(config.data)
  yield checkDisk(config)
  if (!existsSync(config.data)) return
  yield* checkOwnerFile(config.data)
  yield checkClock(config.data, Date.now())
  yield checkLogSize(config)
  yield checkStoreSize(config)
}

/** @param version as `process.versions.node` */
export function checkNode(version: string): Finding {
  if (Number(version.split('.')[0]) >= nodeMajorMin) return fine('node', `Node.js ${version}`)
  const advice = `Install Node.js ${nodeMajorMin} or later; npm start in a clone brings its own`
  return failing('node', `Node.js ${version} is too old`, advice)
}

function checkFolder(data: string): Finding {
  const path = resolve(data)
  const stats = statSync(path, { throwIfNoEntry: false })
  if (stats === undefined) {
    return warning(
      'data folder',
      `${path} does not exist`,
      'millrace start or millrace init makes it',
    )
  }
  if (!stats.isDirectory()) {
    return failing('data folder', `${path} is a file`, 'Name a folder with --data or MILLRACE_DATA')
  }
  const probe = join(path, `doctor.${randomUUID()}`)
  try {
    writeFileSync(probe, 'x', { flag: 'wx' })
    return fine('data folder', `${path} can be written`)
  } catch (thrown) {
    const advice = 'Give the folder to the user who runs Millrace: chown -R, and look at the mount'
    return failing('data folder', toError(thrown).message, advice)
  } finally {
    rmSync(probe, { force: true })
  }
}

function checkDisk({ data, log }: Config): Finding {
  let folder = resolve(data)
  while (!existsSync(folder)) folder = dirname(folder)
  const { bavail, bsize } = statfsSync(folder)
  return judgeDisk(bavail * bsize, log.diskReserveBytes)
}

/** Both in bytes. */
export function judgeDisk(free: number, reserve: number): Finding {
  const text = `${sizeText(free)} free, of which ${sizeText(reserve)} stay free`
  if (free <= reserve) {
    const advice = 'Free the disk: below log.diskReserveBytes the collector says 503'
    return failing('disk', text, advice)
  }
  if (free < reserve + roomBytesMin) return warning('disk', text, 'Free the disk before it is full')
  return fine('disk', text)
}

/** The token of the run is in it: who can read it can read and erase events. */
function* checkOwnerFile(data: string): Generator<Finding> {
  const path = join(data, 'owner.json')
  const stats = statSync(path, { throwIfNoEntry: false })
  if (stats === undefined || process.platform === 'win32') return
  const mode = (stats.mode & 0o777).toString(8)
  if ((stats.mode & 0o077) === 0) yield fine('owner.json', `only its user can read it (${mode})`)
  else {
    yield failing(
      'owner.json',
      `others can read the token in it (${mode})`,
      `chmod 600 ${path}, then restart Millrace: the token is another then`,
    )
  }
}

function checkClock(data: string, now: number): Finding {
  const files = globSync('{log,store}/**', { cwd: data })
  let newest = 0
  for (const name of files) {
    newest = Math.max(newest, statSync(join(data, name), { throwIfNoEntry: false })?.mtimeMs ?? 0)
  }
  return judgeClock(newest, now)
}

/** @param newest when the newest file was written, ms since 1970, 0 without any */
export function judgeClock(newest: number, now: number): Finding {
  if (newest <= now + clockSlackMs) return fine('clock', `it is ${new Date(now).toISOString()}`)
  const text = `it says ${new Date(now).toISOString()}, but files were written at ${new Date(newest).toISOString()}`
  return failing('clock', text, 'Set the clock (NTP): events would be placed in the wrong day')
}

function checkLogSize({ data, log }: Config): Finding {
  return judgeLogSize(bytesBelow(join(data, 'log')), log.maxBytes)
}

/** Both in bytes. */
export function judgeLogSize(bytes: number, max: number): Finding {
  const text = `${sizeText(bytes)} of at most ${sizeText(max)}`
  const advice = 'Let the consumer catch up, or raise log.maxBytes: a full log refuses events'
  if (bytes >= max) return failing('log size', text, advice)
  if (bytes >= 0.8 * max) return warning('log size', text, advice)
  return fine('log size', text)
}

function checkStoreSize({ data, store }: Config): Finding {
  const bytes = sizeText(bytesBelow(join(data, 'store')))
  return fine('store size', `${bytes}, days are kept for ${store.retentionDays} days`)
}

function bytesBelow(folder: string): number {
  let bytes = 0
  for (const name of globSync('**', { cwd: folder })) {
    const stats = statSync(join(folder, name), { throwIfNoEntry: false })
    // What the disk holds: the log's files have holes.
    if (stats?.isFile()) bytes += Math.min(stats.size, stats.blocks * 512)
  }
  return bytes
}
