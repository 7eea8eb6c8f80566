import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { type EventSchemaOptions, openEventSchemas } from '../../src/collect/event-schema.ts'
import { isMillraceError } from '../../src/event/error.ts'
import { encodeMincode } from '../../src/event/mincode.ts'
import { temporaryFolder } from '../fault/process.ts'
import { openScene, tagPath } from './scene.ts'

/** Events that are not as the user's schemas say. */

const folder = temporaryFolder()
after(() => folder.remove())

let made = 0
function conformTo(
  schemas: Readonly<Record<string, unknown>>,
  options: Partial<EventSchemaOptions>,
) {
  const path = join(folder.path, `${made++}`)
  mkdirSync(path)
  for (const [name, schema] of Object.entries(schemas)) {
    writeFileSync(join(path, `${name}.json`), JSON.stringify(schema))
  }
  return openEventSchemas({
    eventSchemas: path,
    wrongEvents: 'mark',
    unknownEvents: 'accept',
    ...options,
  })
}

const purchase = {
  type: 'object',
  required: ['price'],
  properties: { price: { type: 'number' }, when: { type: 'string', format: 'date' } },
}
const tagEvent = (parameters: unknown) => tagPath({ t: 'purchase', u: encodeMincode(parameters) })

describe('a wrong event', () => {
  test('is stored with its fault and all that it had, whichever way it came', async (t) => {
    const scene = await openScene(t, {}, { conform: await conformTo({ purchase }, {}) })
    const line = tagEvent({ price: '2' }).split('?')[1] ?? ''
    assert.equal((await scene.get(tagEvent({ price: 'x', a: 1 }))).status, 200)
    await scene.send({
      method: 'POST',
      path: '/csc-event',
      headers: { 'Content-Type': 'text/plain' },
      body: line,
    })
    await scene.post('{"eventType":"purchase","parameters":{"big":12345678901234567890}}')
    await scene.post({ eventType: 'purchase' })
    await scene.post({ eventType: 'purchase', parameters: [1] })
    await scene.post({ eventType: 'purchase', parameters: { price: 2.5, when: 'today' } })
    await scene.post({ eventType: 'other', parameters: { price: 'x' } })
    const texts = (await scene.storedEvents()).map(({ parameters }) => parameters)
    const fault = (reason: string) => `{"millrace_fault":"purchase: ${reason}"`
    const missing = "its parameters must have required property 'price'"
    assert.deepEqual(texts, [
      `${fault('price must be number')},"price":"x","a":1}`,
      `${fault('price must be number')},"price":"2"}`,
      `${fault(missing)},"big":12345678901234567890}`,
      `${fault(missing)}}`,
      `${fault('its parameters must be object')},"value":[1]}`,
      '{"price":2.5,"when":"today"}',
      '{"price":"x"}',
    ])
    assert.deepEqual(await scene.storedRejections(), [])
  })

  test('is refused with its reason where the setting says so; its neighbours are taken', async (t) => {
    const conform = await conformTo({ purchase }, { wrongEvents: 'refuse' })
    const scene = await openScene(t, {}, { conform })
    const image = await scene.get(tagEvent({ price: 'x' }))
    assert.deepEqual([image.status, image.json().error.code], [400, 'event_schema'])
    const { results } = (
      await scene.post({
        events: [
          { eventType: 'purchase', parameters: { price: 1 } },
          { eventType: 'purchase', parameters: {} },
        ],
      })
    ).json()
    assert.deepEqual(
      results.map(({ status, error }) => [status, error?.code]),
      [
        ['accepted', undefined],
        ['rejected', 'event_schema'],
      ],
    )
    assert.equal((await scene.storedEvents()).length, 1)
    const rejections = await scene.storedRejections()
    assert.deepEqual(
      rejections.map(({ code, truncated }) => [code, truncated]),
      [
        ['event_schema', false],
        ['event_schema', false],
      ],
    )
  })

  test('may be one without a schema; those of the tag itself never are', async (t) => {
    const options = { wrongEvents: 'refuse', unknownEvents: 'wrong' } as const
    const scene = await openScene(t, {}, { conform: await conformTo({ purchase }, options) })
    assert.equal((await scene.get(tagPath({ t: 'purchas' }))).json().error.code, 'event_schema')
    assert.equal((await scene.get(tagPath({ t: 'pageView' }))).status, 200)
  })
})

describe('schemas', () => {
  test('of draft 7 are read as such', async () => {
    const schema = {
      $schema: 'http://json-schema.org/draft-07/schema#',
      properties: { at: { items: [{ type: 'number' }], additionalItems: false } },
    }
    const event = { eventType: 'x', parameters: '{"at":[1,2]}' } as never
    const draft7 = await conformTo({ x: schema }, { wrongEvents: 'refuse' })
    assert.throws(() => draft7?.(event), /at must NOT have more than 1 items/)
    const good = { eventType: 'x', parameters: '{"at":[1]}' } as never
    assert.equal(draft7?.(good), good)
  })

  test('that cannot be used stop the start, and the error names the file', async () => {
    const isInvalid = (part: RegExp) => (thrown: unknown) =>
      isMillraceError(thrown, 'config_invalid') && part.test(thrown.message)
    await assert.rejects(conformTo({ x: { type: 'objet' } }, {}), isInvalid(/x\.json/))
    await assert.rejects(conformTo({ x: { $ref: 'y.json' } }, {}), isInvalid(/x\.json/))
    await assert.rejects(conformTo({ x: [] }, {}), isInvalid(/x\.json: a JSON Schema is/))
    await assert.rejects(conformTo({}, {}), isInvalid(/no file such as/))
    const none = { eventSchemas: 'none', wrongEvents: 'mark', unknownEvents: 'wrong' } as const
    assert.equal(await openEventSchemas(none), undefined)
  })
})
