import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { isMillraceError } from '../../src/event/error.ts'
import {
  blockBytesOf,
  checkBlock,
  decodeBlock,
  decodeBlockHead,
  encodeBlock,
} from '../../src/log/embedded/block.ts'
import type { Offset } from '../../src/log/log.ts'

const records = fc.array(
  fc.record(
    {
      key: fc.string({ unit: 'grapheme', maxLength: 20 }),
      value: fc.uint8Array({ maxLength: 50 }).map((bytes) => Buffer.from(bytes)),
      schema: fc.constantFrom('0123456789abcdef', 'fedcba9876543210', ''),
      headers: fc.dictionary(fc.string(), fc.string({ unit: 'grapheme' }), {
        maxKeys: 3,
        noNullPrototype: true,
      }),
      copyTo: fc.string({ maxLength: 5 }),
    },
    { noNullPrototype: true, requiredKeys: ['key', 'value', 'schema'] },
  ),
  { maxLength: 30 },
)
const offset = fc.maxSafeNat().map((first) => (first - (first % 100)) as Offset)

describe('a block of the embedded log', () => {
  it('gives back what was packed into it, at any offset', () => {
    fc.assert(
      fc.property(records, offset, fc.maxSafeNat(), fc.boolean(), (packed, first, at, sealed) => {
        const bytes = encodeBlock(packed, first, at, sealed)
        checkBlock(bytes, first, 'file')
        const block = decodeBlock(bytes, 'file')
        const end = first + packed.length
        assert.deepEqual(
          block.records.map(({ offset: _, ...record }) => record),
          packed,
        )
        assert.deepEqual(
          block.records.map((record) => record.offset),
          packed.map((_, index) => first + index),
        )
        const { records: _, ...head } = block
        assert.deepEqual(head, { first, end, appendedAt: at, sealed })
        assert.deepEqual(decodeBlockHead(bytes, 'file'), head)
      }),
    )
  })

  it('takes no more bytes than were reckoned with', () => {
    fc.assert(
      fc.property(records, (packed) => {
        const reckoned = packed.reduce((sum, record) => sum + blockBytesOf(record), 0)
        const bytes = encodeBlock(packed, 0 as Offset, 0, false)
        assert.ok(bytes.byteLength <= reckoned + 100)
      }),
    )
  })

  it('is known to be damaged when any bit has changed or any bytes are missing', () => {
    const damage = fc.record({ at: fc.nat(), bit: fc.nat(7), cut: fc.option(fc.nat()) })
    fc.assert(
      fc.property(records, damage, (packed, { at, bit, cut }) => {
        const bytes = Buffer.from(encodeBlock(packed, 7 as Offset, 1, false))
        const place = at % bytes.byteLength
        bytes[place] = (bytes[place] as number) ^ (1 << bit)
        const damaged = cut === null ? bytes : bytes.subarray(0, cut % bytes.byteLength)
        assert.throws(
          () => checkBlock(damaged, 7 as Offset, 'the-file'),
          (thrown) => isMillraceError(thrown, 'log_corrupt') && /the-file.*7/.test(thrown.message),
        )
      }),
    )
  })

  it('is refused at an offset that it was not written for', () => {
    const bytes = encodeBlock([], 7 as Offset, 1, false)
    assert.throws(
      () => checkBlock(bytes, 8 as Offset, 'file'),
      (thrown) => isMillraceError(thrown, 'log_corrupt'),
    )
  })
})
