import avro from 'avsc'

/** Avro's long as a number, and as a bigint where a double cannot hold it, such as a snowflake id. */
export const exactLong: avro.types.LongType = avro.types.LongType.__with({
  fromBuffer(bytes: Buffer) {
    const value = bytes.readBigInt64LE()
    return Number.isSafeInteger(Number(value)) ? Number(value) : value
  },
  toBuffer(value: number | bigint) {
    const bytes = Buffer.alloc(8)
    bytes.writeBigInt64LE(BigInt(value))
    return bytes
  },
  fromJSON: Number,
  toJSON: Number,
  isValid: (value: unknown) => typeof value === 'bigint' || Number.isSafeInteger(value),
  compare: (a: number | bigint, b: number | bigint) => (a < b ? -1 : a > b ? 1 : 0),
})
