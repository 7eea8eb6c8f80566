import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { describe, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { loadShop } from '../../src/collect/shop.ts'
import { openScene } from './scene.ts'

const folder = new URL('../../example/shop/', import.meta.url)

describe('the example shop', () => {
  test('is every file of its folder, with type, policy and entity tag', async (t) => {
    const scene = await openScene(t)
    const types = { html: 'text/html', css: 'text/css', js: 'text/javascript', svg: 'image/svg' }
    for (const name of readdirSync(folder)) {
      const { status, headers, body } = await scene.get(`/shop/${name}`)
      assert.equal(status, 200, name)
      assert.ok(body.length > 100, name)
      const extension = name.split('.')[1] as keyof typeof types
      assert.ok(headers['content-type']?.startsWith(types[extension]), name)
      assert.match(
        headers['content-security-policy'] ?? '',
        /^default-src 'none'; script-src 'self'/,
      )
      assert.doesNotMatch(headers['content-security-policy'] ?? '', /unsafe/)
      assert.equal(headers['cache-control'], 'no-cache')
      const known = { 'If-None-Match': headers['etag'] ?? '' }
      const again = await scene.get(`/shop/${name}`, known)
      assert.deepEqual([again.status, again.body.length], [304, 0])
    }
  })

  test('begins with the list, and leads there without the slash', async (t) => {
    const scene = await openScene(t)
    const list = await scene.get('/shop/index.html')
    assert.deepEqual((await scene.get('/shop/?q=kettle')).body, list.body)
    for (const path of ['/shop', '/shop?q=kettle']) {
      const answer = await scene.get(path)
      assert.deepEqual([answer.status, answer.headers['location']], [308, '/shop/'])
    }
  })

  test('answers nothing but its own files', async (t) => {
    const scene = await openScene(t)
    const paths = [
      '/shop/absent.html',
      '/shop/..%2f..%2fpackage.json',
      '/shop/a/../../package.json',
    ]
    for (const path of [...paths, '/shop/%2e%2e/package.json', '/shop/toString', '/shopping']) {
      assert.equal((await scene.get(path)).json().error.code, 'not_found', path)
    }
    const posted = await scene.send({ method: 'POST', path: '/shop/' })
    assert.deepEqual([posted.status, posted.headers['allow']], [405, 'GET, HEAD'])
  })

  test('is for this machine only, unless switched on', async (t) => {
    const scene = await openScene(t)
    for (const headers of [{ Host: 'evil.example' }, { 'X-Forwarded-For': '127.0.0.1' }]) {
      for (const path of ['/shop', '/shop/', '/shop/shop.js', '/shop/absent']) {
        const answer = await scene.get(path, headers)
        assert.deepEqual([answer.status, answer.json().error.code], [403, 'loopback_only'], path)
      }
    }
    const open = await openScene(t, { publicPages: true })
    assert.equal((await open.get('/shop/', { Host: 'shop.example' })).status, 200)
  })

  test('names the tag and the dashboard of this collector', async () => {
    const { body } = (await loadShop('my-tag.js', 'http://[::1]:9/?"')).file('')
    assert.match(body, /<script src="\/my-tag\.js\?modules=delivery,shelf" defer><\/script>/)
    assert.match(body, /href="http:\/\/\[::1\]:9\/\?&#34;"/)
    assert.doesNotMatch(body, /divolte\.js|8291/)
    assert.match((await loadShop('a.js', null)).file('basket.html').body, /href="\/">See what/)
  })

  test('that is not installed is a 404 that says so', async () => {
    const shop = await loadShop('divolte.js', null, pathToFileURL('/absent/'))
    assert.throws(() => shop.file(''), { code: 'shop_absent', status: 404 })
  })
})
