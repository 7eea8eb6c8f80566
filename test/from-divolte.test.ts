import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { mappingSchema, sourcesSchema } from '../src/config/mapping.ts'
import { parseConfig } from '../src/config.ts'

/** docs/from-divolte.md leaves out no key of Divolte's, and names no setting that is not there. */

/** Every key of Divolte 0.9's configuration, by the section of the document that has to name it. */
const keys: Readonly<Record<string, readonly string[]>> = {
  'Server and mapper': [
    'server.host',
    'server.port',
    'server.use_x_forwarded_for',
    'server.serve_static_resources',
    'server.debug_requests',
    'server.shutdown_delay',
    'server.shutdown_timeout',
    'mapper.buffer_size',
    'mapper.threads',
    'mapper.duplicate_memory_size',
    'mapper.ip2geo_database',
    'mapper.user_agent_parser.type',
    'mapper.user_agent_parser.cache_size',
  ],
  'Where records go': [
    ...['enabled', 'threads', 'buffer_size', 'client'].map((key) => `hdfs.${key}`),
    ...['enabled', 'threads', 'buffer_size'].map((key) => `gcs.${key}`),
    ...['enabled', 'threads', 'buffer_size', 'producer'].map((key) => `kafka.${key}`),
    'bootstrap.servers',
    'client.id',
    'acks',
    'retries',
    'compression.type',
    'max.in.flight.requests.per.connection',
    ...['enabled', 'threads', 'buffer_size', 'project_id'].map((key) => `gcps.${key}`),
    'sinks.type',
    'replication',
    ...[
      'roll_every',
      'sync_file_after_records',
      'sync_file_after_duration',
      'working_dir',
      'publish_dir',
    ].map((key) => `file_strategy.${key}`),
    'bucket',
    ...[
      'max_attempts',
      'total_timeout',
      'initial_retry_delay',
      'retry_delay_multiplier',
      'max_retry_delay',
      'jitter_factor',
      'jitter_delay',
      'initial_rpc_timeout',
      'rpc_timeout_multiplier',
      'max_rpc_timeout',
    ].map((key) => `retry_settings.${key}`),
    ...['element_count_threshold', 'request_bytes_threshold', 'delay_threshold'].map(
      (key) => `batching_settings.${key}`,
    ),
    'topic',
    'mode',
  ],
  Sources: [
    'type',
    'prefix',
    'event_suffix',
    'cookie_domain',
    'party_cookie',
    'party_timeout',
    'session_cookie',
    'session_timeout',
    'http_response_delay',
    'javascript.name',
    'javascript.logging',
    'javascript.debug',
    'javascript.auto_page_view_event',
    'javascript.event_timeout',
    'event_path',
    'party_id_parameter',
    'maximum_body_size',
  ],
  Mappings: [
    'sources',
    'sinks',
    'schema_file',
    'mapping_script_file',
    'confluent_id',
    'discard_corrupted',
    'discard_duplicates',
  ],
  Environment: [
    'DIVOLTE_CONF_DIR',
    'DIVOLTE_HOST',
    'DIVOLTE_PORT',
    'DIVOLTE_KAFKA_BROKER_LIST',
    'DIVOLTE_KAFKA_CLIENT_ID',
    'DIVOLTE_JAVA_OPTS',
    'HADOOP_CONF_DIR',
    'JAVA_HOME',
  ],
}

const text = readFileSync('docs/from-divolte.md', 'utf8')

/** The left and the right cells of the section's table. */
function rowsOf(section: string): [left: string, right: string][] {
  const body = text.split(`\n### ${section}`)[1]?.split('\n### ')[0] ?? ''
  const lines = body.split('\n').filter((line) => line.startsWith('| ') && line.includes('`'))
  return lines.map((line) => {
    const [, left = '', right = ''] = line.split('|')
    return [left, right]
  })
}

function named(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name)
}

describe('docs/from-divolte.md', () => {
  test('has every key of Divolte, each with a counterpart or the reason why there is none', () => {
    for (const [section, expected] of Object.entries(keys)) {
      const rows = rowsOf(section)
      const left = rows.flatMap(([cell]) => named(cell))
      assert.deepEqual(
        expected.filter((key) => !left.includes(key)),
        [],
        section,
      )
      const bare = rows.filter(([, right]) => !right.includes('`') && !right.includes('none: '))
      assert.deepEqual(bare, [], section)
    }
    const all = Object.values(keys).flat()
    assert.ok(new Set(all).size >= 80)
  })

  test('names only settings and variables that exist', () => {
    const config = parseConfig({}) as unknown as Record<string, Record<string, unknown>>
    const optional = ['tag.cookieDomain', 'kafka.caFile', 'kafka.certificateFile', 'kafka.keyFile']
    const secret = ['kafka.saslMechanism', 'kafka.saslUsername', 'kafka.saslPassword']
    const known = [...optional, ...secret, 'kafka.schemaRegistryUrl']
    const sections = Object.keys(config).join('|')
    const names = [...text.matchAll(new RegExp(`\`((${sections})\\.([a-z]\\w+))\``, 'g'))]
    // Divolte's own keys stand on the left under names of their own.
    const divolte = new Set(Object.values(keys).flat())
    const unknown = names
      .filter(([, name = '']) => !divolte.has(name) && !known.includes(name))
      .filter(([, , section = '', key = '']) => !(key in (config[section] ?? {})))
    assert.deepEqual(
      unknown.map(([, name]) => name),
      [],
    )
    assert.ok(names.length > 30)
    const members = [
      ...Object.keys(mappingSchema.shape),
      ...sourcesSchema.valueType.options.flatMap(({ shape }) => Object.keys(shape)),
    ]
    for (const section of ['Sources', 'Mappings']) {
      for (const [, right] of rowsOf(section)) {
        const [, member] = /^ `(\w+)` of a member/.exec(right) ?? []
        if (member !== undefined) assert.ok(members.includes(member), member)
      }
    }
  })
})
