import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { ensureFolder } from '../../src/lib/folder.ts'

const folder = mkdtempSync(join(tmpdir(), 'millrace-folder-'))
after(() => rmSync(folder, { recursive: true, force: true }))

test('missing folders are made, also when they are there already', () => {
  const path = join(folder, 'a', 'b', 'c')
  ensureFolder(path)
  ensureFolder(path)
  assert.ok(existsSync(path))
})

test('a file in the way and a place that takes no folder are errors, not an endless try', () => {
  writeFileSync(join(folder, 'file'), '')
  assert.throws(() => ensureFolder(join(folder, 'file')), { code: 'EEXIST' })
  assert.throws(() => ensureFolder(join(folder, 'file', 'below')), { code: /ENOTDIR|EEXIST/ })
  if (existsSync('/proc/self')) assert.throws(() => ensureFolder('/proc/nope'), { code: 'ENOENT' })
})
