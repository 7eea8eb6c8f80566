import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { createSenderOf, keepAddress, normaliseAddress } from '../../src/collect/address.ts'

const noCountry = () => null

describe('the sender of a request', () => {
  const senderOf = createSenderOf(['127.0.0.1', '10.0.0.0/8', 'fd00::/8'], 'full', noCountry)

  test('is the peer, whatever is forwarded, unless the peer is a trusted proxy', () => {
    assert.equal(senderOf('192.0.2.1', '203.0.113.9').address, '192.0.2.1')
    assert.equal(senderOf('127.0.0.1', undefined).address, '127.0.0.1')
    assert.equal(senderOf('127.0.0.1', '203.0.113.9').address, '203.0.113.9')
    assert.equal(senderOf('::ffff:127.0.0.1', '203.0.113.9').address, '203.0.113.9')
    assert.equal(senderOf('fd12::1', '203.0.113.9').address, '203.0.113.9')
    assert.equal(
      createSenderOf([], 'full', noCountry)('127.0.0.1', '203.0.113.9').address,
      '127.0.0.1',
    )
  })

  test('is the rightmost forwarded address that is no trusted proxy', () => {
    assert.equal(senderOf('127.0.0.1', '1.1.1.1, 203.0.113.9, 10.1.2.3').address, '203.0.113.9')
    assert.equal(senderOf('127.0.0.1', '10.9.9.9, 10.1.2.3').address, '10.9.9.9')
  })

  test('is the peer when what is forwarded is no address', () => {
    for (const value of [
      'not an ip',
      'localhost',
      '',
      'unknown',
      '1.2.3',
      '203.0.113.9, x',
      '1.2.3.4.5',
    ]) {
      assert.equal(senderOf('127.0.0.1', value).address, '127.0.0.1', value)
    }
  })

  test('is limited by its IPv4 address or by its /64', () => {
    assert.equal(senderOf('192.0.2.1', undefined).limitKey, '192.0.2.1')
    assert.equal(senderOf('2001:db8:1:2:aaaa::1', undefined).limitKey, '2001:db8:1:2::')
    assert.equal(senderOf('2001:db8:1:2:bbbb::2', undefined).limitKey, '2001:db8:1:2::')
  })
})

test('the country of a sender is looked up once, by the whole address', () => {
  const asked: string[] = []
  const countryOf = (address: string) => {
    asked.push(address)
    return 'NL'
  }
  const senderOf = createSenderOf([], 'none', countryOf)
  for (let time = 0; time < 3; time++) {
    const sender = senderOf('::ffff:192.0.2.129', undefined)
    assert.deepEqual([sender.country, sender.kept], ['NL', ''])
  }
  assert.deepEqual(asked, ['192.0.2.129'])
})

describe('normaliseAddress', () => {
  test('writes one address in one way', () => {
    assert.equal(normaliseAddress('::ffff:192.0.2.1'), '192.0.2.1')
    assert.equal(normaliseAddress('192.0.2.1:8080'), '192.0.2.1')
    assert.equal(normaliseAddress('[2001:DB8::1]:443'), '2001:db8::1')
    assert.equal(normaliseAddress('fe80::1%eth0'), 'fe80::1')
    assert.equal(normaliseAddress('2001:0db8:0:0:1:0:0:0'), '2001:db8:0:0:1::')
    assert.equal(normaliseAddress('64:ff9b::192.0.2.33'), '64:ff9b::c000:221')
    assert.equal(normaliseAddress('::'), '::')
  })

  test('agrees with the WHATWG form of every IPv6 address', () => {
    const group = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff }))
    fc.assert(
      fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
        const text = groups.map((one) => one.toString(16)).join(':')
        fc.pre(!text.startsWith('0:0:0:0:0:ffff:'))
        assert.equal(`[${normaliseAddress(text)}]`, new URL(`http://[${text}]`).hostname)
      }),
    )
  })

  test('is undefined for anything else', () => {
    for (const text of ['', 'localhost', '1.2.3', '1.2.3.256', '::1::', 'gggg::', '[::1']) {
      assert.equal(normaliseAddress(text), undefined, text)
    }
  })
})

test('an address is kept masked, full or not at all', () => {
  assert.equal(keepAddress('192.0.2.129', 'masked'), '192.0.2.0')
  assert.equal(keepAddress('2001:db8:1:2:3:4:5:6', 'masked'), '2001:db8:1::')
  assert.equal(keepAddress('::1', 'masked'), '::')
  assert.equal(keepAddress('192.0.2.129', 'full'), '192.0.2.129')
  assert.equal(keepAddress('192.0.2.129', 'none'), '')
})
