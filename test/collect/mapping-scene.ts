import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** A configuration with a mapping, as a user has it. */

export const orderSchema = {
  type: 'record',
  namespace: 'shop',
  name: 'Order',
  fields: [
    { name: 'visitor', type: ['null', 'string'], default: null },
    { name: 'kind', type: 'string' },
    { name: 'item', type: 'string' },
    { name: 'price', type: ['null', 'double'], default: null },
    { name: 'eventTime', type: 'string', default: 'unknown' },
    { name: 'agent', type: ['null', { type: 'array', items: 'string' }], default: null },
  ],
} as const

/** What a record of it may be. */
export interface Order {
  readonly visitor: string | null
  readonly kind: string
  readonly item: string
  readonly price: number | null
  readonly eventTime: string
  readonly agent: readonly string[] | null
}

/**
 * Writes configuration and schema into a folder; returns the path of the configuration.
 * @param item the expression that the record's item is
 * @param more members of the configuration, as text
 * @param imports lines before it
 */
export function writeMappedConfig(folder: string, item: string, more = '', imports = ''): string {
  const schema = join(folder, 'order.avsc')
  writeFileSync(schema, JSON.stringify(orderSchema))
  const file = join(folder, 'mapped.config.ts')
  writeFileSync(
    file,
    `import { defineConfig } from 'millrace/config'
import { cookie, digest, fromJson, headerValues, jsonPath, parameters } from 'millrace/mapping'
${imports}

export default defineConfig({
  mappings: {
    orders: {
      schema: ${JSON.stringify(schema)},
      map: (event, request) => ({
        visitor: event.partyId && digest('SHA-256', event.partyId).toString('hex'),
        kind: event.eventType,
        item: ${item},
        price: fromJson(jsonPath(parameters(event), '$.price')),
        agent: headerValues(request, 'x-test'),
      }),
      rowOf: (record) => ({ eventType: record.kind, itemId: record.item }),
    },
    ${more}
  },
})
`,
  )
  return file
}
