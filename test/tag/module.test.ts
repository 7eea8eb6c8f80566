import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { tagModules } from '../../src/collect/script.ts'
import { parseConfig } from '../../src/config.ts'
import { domain } from '../../src/tag/domain.ts'
import { createTag } from '../../src/tag/module.ts'
import type { Page } from '../../src/tag/tag.ts'
import { createFakePage, startMs } from './fake-page.ts'
import { eventsOf, loadTag } from './load-tag.ts'

function pageOf(fake: { readonly window: object }): Page {
  return fake.window as Page
}

test('the module needs no window until a tag is created, and then says that it does', () => {
  assert.throws(() => createTag('https://events.example.com/'), /no window/)
})

test('a tag of the module has the API of the script and leaves no global', async () => {
  const fake = createFakePage({ autoload: true })
  const before = Object.keys(fake.window)
  const tag = createTag('https://events.example.com/in', { page: pageOf(fake) })
  assert.deepEqual(Object.keys(fake.window), before)
  assert.deepEqual(Object.keys(tag), Object.keys((await loadTag()).tag))
  const id = tag.signal('event', { item_id: 101321 })
  assert.equal(eventsOf(fake)[1]?.['e'], id)
  assert.equal(eventsOf(fake)[1]?.['u'], '(ditem_id!266h!)')
  for (const request of fake.requests) {
    assert.ok(request.startsWith('https://events.example.com/in/csc-event?'))
  }
})

test('the module and the script have the same defaults: those of the configuration', async (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: startMs })
  const script = await loadTag({ cookies: '_dvp=0:k:party; _dvs=0:k:session' })
  const fake = createFakePage({ cookies: '_dvp=0:k:party; _dvs=0:k:session' })
  createTag('https://t.example.com', { page: pageOf(fake) })
  assert.deepEqual(fake.cookieWrites, script.cookieWrites)
  assert.deepEqual(fake.timers, [parseConfig({}).tag.eventTimeoutMs])
  assert.deepEqual(fake.timers, script.timers)
  const address = (request: string | undefined) => request?.replace(/\?.*/, '')
  assert.equal(address(fake.requests[0]), address(script.requests[0]))
})

test('the options of the module reach the tag', () => {
  const fake = createFakePage({ autoload: true, href: 'http://shop.example.com/' })
  const tag = createTag('http://c.example', {
    page: pageOf(fake),
    eventSuffix: 'collect',
    serverPageViewId: 'spv',
    partyCookie: 'pc',
    autoPageView: false,
  })
  assert.equal(fake.requests.length, 0)
  assert.equal(tag.signal('x'), 'spv0')
  assert.ok(fake.requests[0]?.startsWith('http://c.example/collect?'))
  assert.ok(fake.cookieWrites[1]?.startsWith('pc='))
  assert.equal(tag.isServerPageView, true)
})

test("a program finds every module but the one that is the collector's choice", () => {
  const { exports } = JSON.parse(readFileSync('package.json', 'utf8')) as { exports: object }
  const found = Object.keys(exports).filter((path) => path.startsWith('./tag/'))
  const expected = tagModules.filter((name) => name !== 'httponly').map((name) => `./tag/${name}`)
  assert.deepEqual(found.sort(), expected.sort())
})

test('the module `domain` finds the domain of a tag that a page starts itself', () => {
  const fake = createFakePage({ autoload: true })
  createTag('https://events.example.com/', { page: pageOf(fake), modules: [domain] })
  const [, , session, party] = fake.cookieWrites
  assert.match(session ?? '', /^_dvs=0:.*; domain=example\.com/)
  assert.match(party ?? '', /^_dvp=0:.*; domain=example\.com/)
})
