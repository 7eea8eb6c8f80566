import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { startMs } from './fake-page.ts'
import { eventsOf, loadTag } from './load-tag.ts'

/** The module `consent` in a fake page. */

describe('a denial', () => {
  test('drops what waits for its image, and calls back those who wait for it', async () => {
    const page = await loadTag({}, { modules: ['consent'] })
    page.tag.consent?.grant()
    for (let count = 0; count < 5; count++) page.tag.signal('granted')
    let called = 0
    page.tag.whenCommitted(() => called++)
    page.tag.consent?.deny()
    page.images[0]?.onload?.()
    page.pass(10_000)
    assert.deepEqual(
      eventsOf(page).map((event) => event['t']),
      ['pageView'],
    )
    assert.equal(called, 1)
    page.tag.consent?.grant()
    page.tag.signal('again')
    assert.equal(eventsOf(page)[1]?.['t'], 'again')
  })

  for (const cookieDomain of [undefined, 'example.com']) {
    test(`deletes both cookies on every domain of the page, with cookieDomain ${cookieDomain}`, async () => {
      const options = { href: 'https://www.example.com/' }
      const page = await loadTag(options, { modules: ['consent'], cookieDomain })
      page.tag.consent?.deny()
      const epoch = new Date(0).toUTCString()
      const deleted = (domain: string) =>
        ['_dvs', '_dvp'].map((name) => {
          return `${name}=; path=/; expires=${epoch}; max-age=0${domain}; SameSite=Lax; Secure`
        })
      assert.deepEqual(page.cookieWrites, [
        ...deleted('; domain=www.example.com'),
        ...deleted('; domain=example.com'),
        ...deleted('; domain=com'),
        ...deleted(''),
      ])
    })
  }

  test('before any consent asks the browser for no domain: no cookie is ever set', async () => {
    const page = await loadTag({}, { modules: ['consent', 'domain'] })
    page.tag.consent?.deny()
    const alive = page.cookieWrites.filter((cookie) => !/=; .*max-age=0/.test(cookie))
    assert.deepEqual(alive, [])
    assert.ok(page.cookieWrites.length > 0)
  })
})

test('what was held before a consent keeps the time at which it happened', async () => {
  const page = await loadTag({ autoload: true }, { modules: ['consent'] })
  page.pass(5_000)
  page.tag.consent?.grant()
  assert.equal(eventsOf(page)[0]?.['c'], startMs.toString(36))
})
