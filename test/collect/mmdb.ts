/**
 * Writes a MaxMind DB (https://maxmind.github.io/MaxMind-DB/, version 2.0) with records of 24 bits:
 * the search tree, 16 zero bytes, the data section, the marker, the metadata.
 */

export type Value = string | number | { readonly [key: string]: Value }

/** `[network, length of its prefix, entry]`; the network as its bytes, `[2, 16, 0, 0]`. */
export type Network = readonly [bytes: readonly number[], prefix: number, entry: Value]

interface Node {
  readonly children: [Node | Value | undefined, Node | Value | undefined]
}

const marker = Buffer.concat([Buffer.from('abcdef', 'hex'), Buffer.from('MaxMind.com')])

export function encodeDatabase(networks: readonly Network[], ipVersion: 4 | 6): Buffer {
  const root: Node = { children: [undefined, undefined] }
  for (const [bytes, prefix, entry] of networks) {
    const isShort = ipVersion === 6 && bytes.length === 4
    const bits = bitsOf(isShort ? [...new Array<number>(12).fill(0), ...bytes] : bytes)
    insert(root, bits.slice(0, prefix + (isShort ? 96 : 0)), entry)
  }
  const nodes = [root]
  for (const node of nodes) for (const child of node.children) if (isNode(child)) nodes.push(child)
  const data: Buffer[] = []
  let dataLength = 0
  const tree = nodes.flatMap((node) =>
    node.children.map((child) => {
      if (child === undefined) return nodes.length
      if (isNode(child)) return nodes.indexOf(child)
      const offset = dataLength
      const bytes = encodeValue(child)
      data.push(bytes)
      dataLength += bytes.length
      return nodes.length + 16 + offset
    }),
  )
  const metadata = encodeValue({
    binary_format_major_version: 2,
    database_type: 'Test-Country',
    ip_version: ipVersion,
    node_count: nodes.length,
    record_size: 24,
  })
  const records = tree.map((number) => Buffer.from([number >> 16, number >> 8, number]))
  return Buffer.concat([...records, Buffer.alloc(16), ...data, marker, metadata])
}

function isNode(value: Node | Value | undefined): value is Node {
  return typeof value === 'object' && Array.isArray((value as Node).children)
}

function insert(root: Node, bits: readonly number[], entry: Value): void {
  let node = root
  for (const bit of bits.slice(0, -1)) {
    const next = node.children[bit as 0 | 1] ?? { children: [undefined, undefined] }
    node.children[bit as 0 | 1] = next
    node = next as Node
  }
  node.children[bits.at(-1) as 0 | 1] = entry
}

function bitsOf(bytes: readonly number[]): number[] {
  return bytes.flatMap((byte) => [...byte.toString(2).padStart(8, '0')].map(Number))
}

/** A control byte (three bits of type, five of length below 29), then the content. */
function encodeValue(value: Value): Buffer {
  if (typeof value === 'string') {
    return Buffer.concat([Buffer.from([(2 << 5) | value.length]), Buffer.from(value)])
  }
  if (typeof value === 'number') {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32BE(value)
    return Buffer.concat([Buffer.from([(6 << 5) | 4]), bytes])
  }
  const pairs = Object.entries(value).map(([key, one]) => [encodeValue(key), encodeValue(one)])
  return Buffer.concat([Buffer.from([(7 << 5) | pairs.length]), ...pairs.flat()])
}
