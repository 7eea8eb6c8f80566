import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { loadPageFiles } from '../../src/api/pages.ts'
import { sceneOf } from './scene.ts'

/** gzip -9, all that `/` loads. The promise is 120 KB. */
const pageBytesMax = 60_000

async function bodyOf(incoming: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of incoming) chunks.push(chunk)
  return Buffer.concat(chunks)
}

describe('the files of the dashboard', () => {
  it(`are at most ${pageBytesMax} bytes together, gzipped`, async (t) => {
    const files = await loadPageFiles(true)
    const sizes = files.map(({ path, gzip }) => `${path} ${gzip.length}`)
    t.diagnostic(sizes.join(', '))
    assert.ok(files.every(({ body }) => body.length > 100))
    assert.ok(files.reduce((sum, { gzip }) => sum + gzip.length, 0) <= pageBytesMax)
  })

  it('are gzipped for whoever takes that, the same text', async (t) => {
    const { open } = await sceneOf(t)
    for (const path of ['/', '/page.js', '/page.css', '/icon.svg']) {
      const plain = await open(path)
      const zipped = await open(path, { headers: { 'accept-encoding': 'br, gzip;q=0.5' } })
      const refused = await open(path, { headers: { 'accept-encoding': 'gzip;q=0, br' } })
      assert.equal(plain.headers['content-encoding'], undefined)
      assert.equal(refused.headers['content-encoding'], undefined)
      assert.equal(zipped.headers['content-encoding'], 'gzip')
      assert.equal(zipped.headers.vary, 'accept-encoding')
      const text = await bodyOf(plain)
      assert.ok(text.equals(gunzipSync(await bodyOf(zipped))), path)
      assert.ok(text.equals(await bodyOf(refused)), path)
    }
  })

  it('are asked for each time and answered with 304 when they are known', async (t) => {
    const { open } = await sceneOf(t)
    for (const headers of [{}, { 'accept-encoding': 'gzip' }]) {
      const first = await open('/page.js', { headers })
      first.resume()
      const etag = first.headers.etag ?? ''
      assert.equal(first.headers['cache-control'], 'no-cache')
      const again = await open('/page.js', { headers: { ...headers, 'if-none-match': etag } })
      assert.equal(again.statusCode, 304)
      assert.equal(again.headers.etag, etag)
      assert.equal((await bodyOf(again)).length, 0)
    }
  })

  it('show a way out only where there is a login', async () => {
    const [open] = await loadPageFiles(false)
    const [guarded] = await loadPageFiles(true)
    assert.ok(!open?.body.includes('data-login'))
    assert.ok(guarded?.body.includes('data-login="yes"'))
  })
})
