import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  dayChoices,
  exposureTitles,
  hashOf,
  metricTitles,
  parseHash,
  type Route,
  routeTo,
  softwareTitles,
  viewNames,
} from '../../src/dashboard/route.ts'

const text = fc.string({ unit: 'grapheme', maxLength: 40 })
const keysOf = <Key extends string>(titles: Record<Key, string>): Key[] =>
  Object.keys(titles) as Key[]

const anyRoute: fc.Arbitrary<Route> = fc.record({
  view: fc.constantFrom(...viewNames),
  days: fc.constantFrom(...dayChoices),
  bots: fc.constantFrom('exclude', 'include'),
  metric: fc.constantFrom(...keysOf(metricTitles)),
  steps: fc.array(text.filter((step) => step !== '')),
  eventType: text,
  software: fc.constantFrom(...keysOf(softwareTitles)),
  exposure: fc.constantFrom(...keysOf(exposureTitles)),
  partyId: text,
})

describe('the address of a view', () => {
  it('leads back to the route that it was made of, whatever visitors named things', () => {
    fc.assert(
      fc.property(anyRoute, (route) => {
        const back = parseHash(hashOf(route))
        assert.equal(hashOf(back), hashOf(route))
        for (const name of ['view', 'days', 'bots'] as const) assert.equal(back[name], route[name])
        if (route.view === 'party') assert.equal(back.partyId, route.partyId)
        if (route.view === 'funnel') assert.deepEqual(back.steps, route.steps)
        if (route.view === 'top') assert.equal(back.eventType, route.eventType)
        if (route.view === 'recommendations') assert.equal(back.exposure, route.exposure)
        if (route.view === 'overview') assert.equal(back.metric, route.metric)
      }),
    )
  })

  it('is a view for any text, the overview of 30 days for none that it knows', () => {
    fc.assert(fc.property(text, (hash) => void viewNames.includes(parseHash(hash).view)))
    for (const hash of ['', '#', '#/', '#main', '#/nowhere?days=31', '#/?bots=yes&days=%']) {
      assert.equal(hashOf(parseHash(hash)), '#/', hash)
    }
    assert.equal(parseHash('#/party/%E0%A4%A').partyId, '%E0%A4%A')
  })

  it('keeps range and filter on the way to another view, and nothing else', () => {
    const route = parseHash('#/funnel?days=60&bots=include&step=a&step=b')
    assert.deepEqual(route.steps, ['a', 'b'])
    assert.equal(hashOf(routeTo(route, 'top')), '#/top?days=60&bots=include')
    assert.equal(
      hashOf(routeTo(route, 'party', '0:a/b?c#d')),
      '#/party/0%3Aa%2Fb%3Fc%23d?days=60&bots=include',
    )
    assert.equal(parseHash(hashOf(routeTo(route, 'party', '0:a/b?c#d'))).partyId, '0:a/b?c#d')
  })
})
