import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { openCountryDatabase } from '../../src/collect/country.ts'
import { eventOfRejection } from '../../src/collect/replay.ts'
import { parseConfig } from '../../src/config.ts'
import type { Rejection } from '../../src/event/event.ts'
import { encodeDatabase, type Value } from './mmdb.ts'
import { openScene, tagPath } from './scene.ts'

const folder = mkdtempSync(join(tmpdir(), 'millrace-country-'))
after(() => rmSync(folder, { recursive: true, force: true }))

function writeFile(name: string, bytes: Buffer | string): string {
  const path = join(folder, name)
  writeFileSync(path, bytes)
  return path
}

describe('the default database', () => {
  test('knows addresses of both kinds, and no country of a private one', async () => {
    const countryOf = await openCountryDatabase('default')
    const german = ['193.99.144.80', '2a02:2e0:3fe::1']
    assert.deepEqual(german.map(countryOf), ['DE', 'DE'])
    assert.equal(countryOf('90.0.0.1'), 'FR')
    const nowhere = ['127.0.0.1', '10.1.2.3', '172.16.0.1', '192.168.1.1', '169.254.1.1', '']
    for (const address of [...nowhere, '0.0.0.0', '203.0.113.9', '::', '::1', 'fe80::1', 'fd00::1'])
      assert.equal(countryOf(address), null, address)
  })
})

describe("a user's database", () => {
  async function open(entry: Value, ipVersion: 4 | 6 = 6) {
    const bytes = encodeDatabase([[[42, 0, 0, 0], 8, entry]], ipVersion)
    return openCountryDatabase(writeFile('own.mmdb', bytes))
  }

  test("may have GeoLite2-Country's shape or ip-location-db's", async () => {
    for (const entry of [{ country: { iso_code: 'NL', geoname_id: 1 } }, { country_code: 'NL' }]) {
      const countryOf = await open(entry)
      assert.equal(countryOf('42.1.2.3'), 'NL')
      assert.equal(countryOf('43.1.2.3'), null)
    }
  })

  test('gives no country for what is no code', async () => {
    for (const entry of [
      {},
      'NL',
      { country_code: '' },
      { country_code: 'None' },
      { country: { iso_code: 528 } },
      { country: 'NL' },
    ]) {
      assert.equal((await open(entry))('42.1.2.3'), null, JSON.stringify(entry))
    }
  })

  test('of IPv4 only gives no country for IPv6, whose first bits would look like IPv4', async () => {
    const countryOf = await open({ country_code: 'NL' }, 4)
    assert.equal(countryOf('42.1.2.3'), 'NL')
    assert.equal(countryOf('2a00::1'), null)
  })

  test('with a broken entry costs the country only', async () => {
    const bytes = encodeDatabase([[[42, 0, 0, 0], 8, { country_code: 'NL' }]], 4)
    // The last record of the tree points far behind the end of the file.
    bytes.fill(0xff, 6 * 7 + 0, 6 * 7 + 6)
    const countryOf = await openCountryDatabase(writeFile('broken.mmdb', bytes))
    assert.equal(countryOf('42.1.2.3'), null)
  })

  test('that cannot be read is refused by its name when the collector starts', async (t) => {
    const cases = [
      [join(folder, 'absent.mmdb'), /collect\.countryDatabase: .*absent\.mmdb: ENOENT/],
      [folder, /collect\.countryDatabase: .*EISDIR/],
      [writeFile('empty.mmdb', ''), /empty\.mmdb/],
      [writeFile('other.mmdb', 'x'.repeat(10_000)), /other\.mmdb/],
      [writeFile('packed.mmdb', Buffer.from('1f8b0800', 'hex')), /packed\.mmdb/],
    ] as const
    for (const [countryDatabase, message] of cases) {
      await assert.rejects(openScene(t, { countryDatabase }), { code: 'config_invalid', message })
    }
  })
})

describe('the country of an event', () => {
  const headers = { 'X-Forwarded-For': '193.99.144.80' }
  const trustedProxies = ['127.0.0.1']

  test('is stored whatever is kept of the address, also without a party', async (t) => {
    for (const address of ['masked', 'full', 'none'] as const) {
      const scene = await openScene(t, { address, trustedProxies })
      await scene.get(tagPath(), headers)
      await scene.post({ eventType: 'a' }, { ...headers, 'Sec-GPC': '1' })
      await scene.get(tagPath())
      const stored = await scene.storedEvents()
      assert.deepEqual(
        stored.map(({ country, privacy }) => [country, privacy]),
        [
          ['DE', null],
          ['DE', 'gpc'],
          [null, null],
        ],
      )
    }
  })

  test('is not looked up when there is no database', async (t) => {
    const scene = await openScene(t, { countryDatabase: 'none', trustedProxies })
    await scene.get(tagPath(), headers)
    assert.equal((await scene.storedEvents())[0]?.country, null)
  })

  test('is kept with what is refused, so that a replay has it', async (t) => {
    const scene = await openScene(t, { address: 'none', trustedProxies, textCharactersMax: 3 })
    await scene.get(tagPath(), headers)
    await scene.post({ eventType: 'a rather long type' }, headers)
    const rejections = (await scene.storedRejections()) as [Rejection, Rejection]
    const position = { topic: 'rejected', partition: 0, offset: 0 }
    const events = rejections.map((one) => {
      return eventOfRejection(one, position, parseConfig({}).collect)
    })
    assert.deepEqual(
      events.map(({ country, remoteAddress }) => [country, remoteAddress]),
      [
        ['DE', ''],
        ['DE', ''],
      ],
    )
  })
})
