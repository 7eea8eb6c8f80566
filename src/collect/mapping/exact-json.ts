const longNumber = /\d{16}/

/** JSON with bigints for whole numbers that a double would change. @throws SyntaxError */
export function parseJson(text: string): unknown {
  return longNumber.test(text) ? JSON.parse(text, revive) : JSON.parse(text)
}

function revive(_name: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value
  const { source } = context ?? {}
  return source !== undefined && /^-?\d+$/.test(source) ? BigInt(source) : value
}
