import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseConfig } from '../../src/config.ts'
import { clientOptions, toLogError } from '../../src/log/kafka/client.ts'
import { kafkaConnection } from '../../src/log/kafka/settings.ts'

/** How the configuration becomes a connection to Kafka; nothing is connected here. */

const certificateFile = join(import.meta.dirname, 'tls', 'broker.pem')
const keyFile = join(import.meta.dirname, 'tls', 'broker-key.pem')
const login = { saslMechanism: 'SCRAM-SHA-512', saslUsername: 'me', saslPassword: '0042' }

test('TLS and login reach the client: files are read, their texts passed on', async () => {
  const kafka = { tls: true, caFile: certificateFile, certificateFile, keyFile, ...login }
  const options = clientOptions(await kafkaConnection(parseConfig({ kafka }).kafka))
  assert.match(`${options.tls?.ca}`, /BEGIN CERTIFICATE/)
  assert.equal(options.tls?.cert, options.tls?.ca)
  assert.match(`${options.tls?.key}`, /BEGIN PRIVATE KEY/)
  assert.deepEqual(options.sasl, { mechanism: 'SCRAM-SHA-512', username: 'me', password: '0042' })
})

test('by default nothing is encrypted and nobody logs in', async () => {
  const options = clientOptions(await kafkaConnection(parseConfig({}).kafka))
  assert.equal(options.tls, undefined)
  assert.equal(options.sasl, undefined)
  assert.deepEqual(options.bootstrapBrokers, ['127.0.0.1:9092'])
})

test('TLS alone trusts the authorities of the system, and checks', async () => {
  const options = clientOptions(await kafkaConnection(parseConfig({ kafka: { tls: true } }).kafka))
  assert.deepEqual(options.tls, { minVersion: 'TLSv1.2' })
})

test('a PEM file that is not there is named', async () => {
  const { kafka } = parseConfig({ kafka: { tls: true, caFile: '/nowhere/ca.pem' } })
  await assert.rejects(kafkaConnection(kafka), {
    code: 'config_invalid',
    message: /nowhere\/ca\.pem/,
  })
})

test('settings that do not go together are refused before anything is opened', () => {
  const cases: readonly [object, RegExp][] = [
    [{ framing: 'confluent' }, /needs kafka\.schemaRegistryUrl/],
    [{ caFile: 'ca.pem' }, /need kafka\.tls/],
    [{ tls: true, keyFile: 'key.pem' }, /go together/],
    [{ saslMechanism: 'PLAIN', saslUsername: 'me' }, /needs kafka\.saslUsername and/],
    [{ saslPassword: 'x' }, /need kafka\.saslMechanism/],
    [{ saslMechanism: 'GSSAPI' }, /kafka\.saslMechanism/],
    [{ topic: 'no spaces' }, /kafka\.topic/],
    [{ brokers: [] }, /kafka\.brokers/],
    [{ schemaRegistryUrl: 'ftp://registry' }, /kafka\.schemaRegistryUrl/],
  ]
  for (const [kafka, message] of cases) {
    assert.throws(() => parseConfig({ kafka }), { code: 'config_invalid', message })
  }
})

test('a refusal deep inside what the client threw is told from an absence', () => {
  const deep = (inner: Error) => new AggregateError([new Error('x', { cause: inner })], 'outer')
  const refusal = Object.assign(new Error('who?'), { apiId: 'TOPIC_AUTHORIZATION_FAILED' })
  assert.equal(toLogError(deep(refusal)).code, 'log_refused')
  const absence = toLogError(deep(new Error('connect ECONNREFUSED')))
  assert.equal(absence.code, 'log_unavailable')
  assert.match(absence.message, /connect ECONNREFUSED/)
  assert.equal(toLogError(absence), absence)
})
