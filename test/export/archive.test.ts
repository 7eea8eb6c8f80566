import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { after, describe, it } from 'node:test'
import tar from 'tar-stream'
import {
  type BackupManifest,
  backupBytes,
  backupFormat,
  describeFiles,
  packBackup,
  unpackBackup,
} from '../../src/export/archive.ts'

const root = mkdtempSync(join(tmpdir(), 'millrace-archive-'))
after(() => rmSync(root, { recursive: true, force: true }))

const folder = join(root, 'source')
mkdirSync(join(folder, 'store', 'days'), { recursive: true })
writeFileSync(join(folder, 'store', 'store.duckdb'), Buffer.alloc(300_000, 7))
writeFileSync(join(folder, 'store', 'days', '2026-03-10.parquet'), 'PAR1')
writeFileSync(join(folder, 'store', 'empty'), '')

async function manifestOf(): Promise<BackupManifest> {
  return {
    format: backupFormat,
    version: '1.2.3',
    createdAt: '2026-03-10T15:30:00.000Z',
    events: 3,
    duplicates: 1,
    deadLetters: 0,
    files: await describeFiles(folder),
  }
}

async function packed(over: object = {}): Promise<Buffer> {
  const manifest = { ...(await manifestOf()), ...over }
  return buffer(Readable.from(packBackup(folder, manifest as BackupManifest)))
}

let targets = 0
function unpack(bytes: Buffer, onProgress?: (done: number, total: number) => void) {
  const target = join(root, `target-${targets++}`)
  mkdirSync(target)
  const chunks = Array.from({ length: Math.ceil(bytes.length / 5_000) }, (_, n) =>
    bytes.subarray(n * 5_000, (n + 1) * 5_000),
  )
  return { target, done: unpackBackup(Readable.from(chunks), target, onProgress) }
}

describe('a backup', () => {
  it('comes back file by file, in a tar of the size that was told', async () => {
    const bytes = await packed()
    assert.equal(bytes.length, backupBytes(await manifestOf()))
    const progress: number[][] = []
    const { target, done } = unpack(bytes, (read, total) => progress.push([read, total]))
    assert.deepEqual(await done, await manifestOf())
    assert.deepEqual(progress.at(-1), [300_004, 300_004])
    for (const { name } of (await manifestOf()).files) {
      assert.deepEqual(readFileSync(join(target, name)), readFileSync(join(folder, name)))
    }
  })

  it('that was cut off anywhere is refused', async () => {
    const bytes = await packed()
    // The last 1,024 bytes only say that nothing follows.
    for (const length of [0, 100, 512, 1_000, 1_536, 2_048, 2_560, 150_000, bytes.length - 1_600]) {
      const { done } = unpack(bytes.subarray(0, length))
      await assert.rejects(done, { code: 'backup_invalid' }, `${length} bytes`)
    }
  })

  it('of which a byte was changed is refused', async () => {
    const bytes = await packed()
    bytes[200_000] = 8
    await assert.rejects(unpack(bytes).done, { code: 'backup_invalid' })
  })

  it('of another version is refused by name', async () => {
    const { done } = unpack(await packed({ format: 2 }))
    await assert.rejects(done, { code: 'backup_version', message: /format 2, this one reads 1/ })
  })

  it('that is no backup is refused', async () => {
    const foreign = tar.pack()
    foreign.entry({ name: 'readme.txt' }, 'hello')
    foreign.finalize()
    const named = tar.pack()
    named.entry({ name: 'manifest.json' }, 'hello')
    named.finalize()
    for (const bytes of [
      Buffer.from('hello'),
      Buffer.alloc(10_000, 'x'),
      await buffer(foreign),
      await buffer(named),
    ]) {
      await assert.rejects(unpack(bytes).done, { code: 'backup_invalid' })
    }
  })

  it('whose names lead elsewhere, or that has more than it names, is refused', async () => {
    const [file] = (await manifestOf()).files
    for (const name of [
      '../evil',
      '/etc/evil',
      'store/../../evil',
      'store/./evil',
      'a/..',
      'x\\y',
    ]) {
      const archive = tar.pack()
      const manifest = { ...(await manifestOf()), files: [{ ...file, name }] }
      archive.entry({ name: 'manifest.json' }, JSON.stringify(manifest))
      archive.entry({ name }, 'evil')
      archive.finalize()
      await assert.rejects(unpack(await buffer(archive)).done, { code: 'backup_invalid' }, name)
    }
    const more = tar.pack()
    more.entry({ name: 'manifest.json' }, JSON.stringify({ ...(await manifestOf()), files: [] }))
    more.entry({ name: 'store/more' }, 'more')
    more.finalize()
    await assert.rejects(unpack(await buffer(more)).done, { code: 'backup_invalid' })
  })

  it('whose reader goes away in the middle ends', async () => {
    for await (const _ of packBackup(folder, await manifestOf())) break
  })
})
