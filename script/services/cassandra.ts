import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Client } from 'cassandra-driver'
import { fetchJars } from './jars.ts'
import { createServerProcess, freePorts, type Server } from './server.ts'

/** How to run Cassandra on this machine. */
export interface CassandraOptions {
  /** Data, logs and pid file; an absolute path. A folder that was in use before is gone on with. */
  readonly folder: string
  /** Of CQL; a free one if absent. */
  readonly port?: number
  readonly heapMb?: number
  /** Into cassandra.yaml, over our own. */
  readonly settings?: Readonly<Record<string, unknown>>
  /** Clients have to log in; `cassandra` with the password `cassandra` may do everything. */
  readonly authenticate?: boolean
  /**
   * Sync the tables of the system too: without it a node that is killed may have forgotten its
   * keyspaces. Makes the start, and every change of a table, slower.
   */
  readonly syncSystem?: boolean
  /** For nodetool; without one there is no JMX. */
  readonly jmxPort?: number
  /** Outlives this process. */
  readonly detached?: boolean
}

/** A running node. */
export interface Cassandra extends Server {
  /** `HOST:PORT` of CQL. */
  readonly address: string
  readonly datacenter: string
}

/** The superuser that a new node begins with. */
export const superuser = { username: 'cassandra', password: 'cassandra' } as const

/**
 * Starts one real node that listens on 127.0.0.1 only.
 * @throws Error with the end of the node's log when it does not come up
 */
export async function startCassandra(options: CassandraOptions): Promise<Cassandra> {
  const jars = await fetchJars('cassandra')
  const [cqlPort = 0, storagePort = 0] = await freePorts(2)
  const port = options.port ?? cqlPort
  const folder = join(options.folder, 'cassandra')
  await mkdir(join(folder, 'triggers'), { recursive: true })
  const config = join(folder, 'cassandra.yaml')
  const settings = { ...nodeSettings(options, folder, port, storagePort), ...options.settings }
  // JSON is YAML.
  await writeFile(config, JSON.stringify(settings, null, 2))
  const address = `127.0.0.1:${port}`
  const server = createServerProcess({
    name: 'cassandra',
    folder: options.folder,
    args: await javaArguments(options, folder, config, jars),
    isReady: () => isReady(options, address),
    ...(options.detached === undefined ? {} : { detached: options.detached }),
  })
  await server.start()
  return {
    address,
    datacenter: 'datacenter1',
    name: server.name,
    get pid() {
      return server.pid
    },
    start: server.start,
    stop: server.stop,
    kill: server.kill,
    pause: server.pause,
    resume: server.resume,
  }
}

/** What differs from the defaults, and why. */
function nodeSettings(
  { authenticate = false }: CassandraOptions,
  folder: string,
  port: number,
  storagePort: number,
): Record<string, unknown> {
  return {
    cluster_name: 'millrace',
    // One node owns the whole ring: no tokens to draw, a start of seconds.
    num_tokens: 1,
    initial_token: '0',
    partitioner: 'org.apache.cassandra.dht.Murmur3Partitioner',
    endpoint_snitch: 'SimpleSnitch',
    seed_provider: [
      {
        class_name: 'org.apache.cassandra.locator.SimpleSeedProvider',
        parameters: [{ seeds: `127.0.0.1:${storagePort}` }],
      },
    ],
    listen_address: '127.0.0.1',
    storage_port: storagePort,
    rpc_address: '127.0.0.1',
    start_native_transport: true,
    native_transport_port: port,
    data_file_directories: [join(folder, 'data')],
    commitlog_directory: join(folder, 'commitlog'),
    saved_caches_directory: join(folder, 'saved-caches'),
    hints_directory: join(folder, 'hints'),
    // With the default, `periodic`, a single node loses seconds of acknowledged writes when it is killed.
    commitlog_sync: 'group',
    commitlog_sync_group_window: '15ms',
    commitlog_segment_size: '32MiB',
    commitlog_total_space: '512MiB',
    memtable: {
      configurations: {
        trie: { class_name: 'TrieMemtable' },
        default: { inherits: 'trie' },
      },
    },
    memtable_allocation_type: 'offheap_objects',
    memtable_heap_space: '128MiB',
    memtable_offheap_space: '128MiB',
    sstable: { selected_format: 'bti' },
    storage_compatibility_mode: 'NONE',
    concurrent_compactors: 1,
    auto_snapshot: false,
    batch_size_warn_threshold: '128KiB',
    batch_size_fail_threshold: '1024KiB',
    authenticator: authenticate ? 'PasswordAuthenticator' : 'AllowAllAuthenticator',
    authorizer: authenticate ? 'CassandraAuthorizer' : 'AllowAllAuthorizer',
    key_cache_size: '16MiB',
    file_cache_size: '64MiB',
  }
}

async function javaArguments(
  { heapMb, jmxPort, syncSystem = false }: CassandraOptions,
  folder: string,
  config: string,
  jars: string,
): Promise<string[]> {
  const heap = `${heapMb ?? 512}m`
  const modules = await readFile(join(import.meta.dirname, 'cassandra.jvm.options'), 'utf8')
  const system = {
    'cassandra.config': `file://${config}`,
    'cassandra.storagedir': folder,
    'cassandra.logdir': folder,
    'cassandra.triggers_dir': join(folder, 'triggers'),
    'cassandra-foreground': 'yes',
    'logback.configurationFile': join(import.meta.dirname, 'logback.xml'),
    // Native libraries are unpacked there and executed, which /tmp may forbid.
    'java.io.tmpdir': folder,
    'jna.tmpdir': folder,
    'jna.nosys': 'true',
    'java.net.preferIPv4Stack': 'true',
    // There is nobody to gossip with.
    'cassandra.skip_wait_for_gossip_to_settle': '0',
    'cassandra.ring_delay_ms': '0',
    'cassandra.shutdown_announce_in_ms': '0',
    'cassandra.superuser_setup_delay_ms': '0',
    // Tables of the system itself need not be synced one by one; those of users are, see commitlog_sync.
    'cassandra.unsafesystem': `${!syncSystem}`,
    ...(jmxPort === undefined ? {} : { 'cassandra.jmx.local.port': `${jmxPort}` }),
  }
  return [
    ...[`-Xms${heap}`, `-Xmx${heap}`, '-Xss384k', '-XX:+UseG1GC', '-XX:+PerfDisableSharedMem'],
    ...['-XX:MaxDirectMemorySize=512m', '-XX:+ExitOnOutOfMemoryError'],
    ...modules.split('\n').filter((line) => line !== ''),
    ...Object.entries(system).map(([key, value]) => `-D${key}=${value}`),
    ...['-cp', `${jars}/*`, 'org.apache.cassandra.service.CassandraDaemon'],
  ]
}

async function isReady({ authenticate }: CassandraOptions, address: string): Promise<boolean> {
  const client = new Client({
    contactPoints: [address],
    localDataCenter: 'datacenter1',
    ...(authenticate === true ? { credentials: superuser } : {}),
    socketOptions: { connectTimeout: 2_000, readTimeout: 5_000 },
  })
  try {
    await client.execute('SELECT now() FROM system.local')
    return true
  } finally {
    await client.shutdown()
  }
}
