/** A bounded memory of computed values. A hit on a fresh entry is one lookup, nothing is moved. */
export interface Cache<Value> {
  readonly get: (key: string) => Value | undefined
  readonly set: (key: string, value: Value) => void
  readonly size: () => number
}

/**
 * Keeps at least the `entriesMax / 2` most recently used entries and never more than `entriesMax`,
 * in two generations: when the young one is full it becomes the old one, and what was not used
 * since is forgotten. An exact order of use would cost every hit a removal and an insertion.
 */
export function createCache<Value>(entriesMax: number): Cache<Value> {
  const generationMax = Math.max(1, Math.floor(entriesMax / 2))
  let young = new Map<string, Value>()
  let old = new Map<string, Value>()

  function set(key: string, value: Value): void {
    if (young.size >= generationMax && !young.has(key)) {
      old = young
      young = new Map()
    }
    young.set(key, value)
  }

  function get(key: string): Value | undefined {
    const fresh = young.get(key)
    if (fresh !== undefined) return fresh
    const stale = old.get(key)
    if (stale !== undefined) {
      old.delete(key)
      set(key, stale)
    }
    return stale
  }

  return { get, set, size: () => young.size + old.size }
}
