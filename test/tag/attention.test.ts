import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { decodeMincode } from '../../src/event/mincode-decode.ts'
import type { FakePage } from './fake-page.ts'
import { eventsOf, loadTag } from './load-tag.ts'

/** The module `attention` in a fake page, whose clock the tests turn. */

async function open(): Promise<FakePage> {
  return await loadTag({ autoload: true, window: { scrollY: 0 } }, { modules: ['attention'] })
}

function told(page: FakePage): unknown[] {
  return eventsOf(page)
    .filter((event) => event['t'] === 'attention')
    .map((event) => decodeMincode(event['u'] ?? '', 10))
}

/** Somebody who moves the mouse every 10 s. */
function passActive(page: FakePage, ms: number): void {
  for (let leftMs = ms; leftMs > 0; leftMs -= 10_000) {
    page.fire('mousemove')
    page.pass(Math.min(10_000, leftMs))
  }
}

describe('attention', () => {
  test('is told after each 30 s of it, as totals', async () => {
    const page = await open()
    passActive(page, 29_000)
    assert.deepEqual(told(page), [])
    passActive(page, 62_000)
    assert.deepEqual(
      told(page).map((event) => (event as { engaged_ms: number }).engaged_ms),
      [30_000, 60_000, 90_000],
    )
    assert.deepEqual(told(page)[0], { engaged_ms: 30_000, scroll_percent: 50 })
  })

  test('ends 15 s after the last touch, until the next', async () => {
    const page = await open()
    page.pass(600_000)
    page.hide()
    assert.deepEqual(told(page), [{ engaged_ms: 15_000, scroll_percent: 50 }])
    page.show()
    page.pass(3_000)
    page.hide()
    assert.deepEqual(told(page)[1], { engaged_ms: 18_000, scroll_percent: 50 })
  })

  test('is none while the page is hidden, whatever is touched', async () => {
    const page = await open()
    page.pass(5_000)
    page.hide()
    passActive(page, 60_000)
    page.fire('pagehide')
    assert.deepEqual(told(page), [{ engaged_ms: 5_000, scroll_percent: 50 }])
  })
})
