import { execFile, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const cache = join(import.meta.dirname, '..', '..', 'node_modules', '.cache')

/**
 * The folder of a Python environment with what `NAME.requirements.txt` beside this file asks for, in a
 * place that `npm ci` throws away. It is moved there when it is whole, so the scripts in its `bin` name
 * a folder that is gone: call `bin/python -m …`.
 * @throws Error with pip's own output
 */
export async function prepareVenv(name: string): Promise<string> {
  const requirements = join(import.meta.dirname, `${name}.requirements.txt`)
  const text = await readFile(requirements)
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 12)
  const folder = join(cache, `${name}-${hash}`)
  if (!existsSync(folder)) await install(name, requirements, folder)
  return folder
}

/** Whole or not at all: two test files may want it at once, and an installation may be interrupted. */
async function install(name: string, requirements: string, folder: string): Promise<void> {
  await mkdir(cache, { recursive: true })
  const fresh = await mkdtemp(join(cache, `${name}-installing-`))
  try {
    await run('python3', ['-m', 'venv', fresh])
    const python = join(fresh, 'bin', 'python')
    await run(python, ['-m', 'pip', 'install', '--quiet', '-r', requirements])
    await rename(fresh, folder)
  } catch (thrown) {
    await rm(fresh, { recursive: true, force: true })
    if (!existsSync(folder)) throw thrown
  }
}

/** True when this machine's Python can make environments. */
export function hasPython(): boolean {
  return spawnSync('python3', ['-c', 'import venv, ensurepip']).status === 0
}
