/** The parts that the shapes of answers are made of. */

export type JsonSchema = Readonly<Record<string, unknown>>

export const text: JsonSchema = { type: 'string' }
export const textOrNull: JsonSchema = { type: ['string', 'null'] }
export const time: JsonSchema = { type: 'string', format: 'date-time' }
export const timeOrNull: JsonSchema = { type: ['string', 'null'], format: 'date-time' }
export const flag: JsonSchema = { type: 'boolean' }
export const numberOrNull: JsonSchema = { type: ['number', 'null'] }
export const count: JsonSchema = { type: 'integer', minimum: 0 }
export const countOrNull: JsonSchema = { type: ['integer', 'null'], minimum: 0 }

/** An object with exactly the members of `Shape`; the compiler holds the two together. */
export function object<Shape>(properties: Readonly<Record<keyof Shape, JsonSchema>>): JsonSchema {
  return {
    type: 'object',
    required: Object.keys(properties),
    properties,
    additionalProperties: false,
  }
}

export function list(items: JsonSchema): JsonSchema {
  return { type: 'array', items }
}

/** With until when the answer has everything, which is there only where it may be behind. */
export function dated(schema: JsonSchema): JsonSchema {
  const asOf = { ...time, description: 'What was stored later is still being counted' }
  return { ...schema, properties: { ...(schema['properties'] as object), asOf } }
}
