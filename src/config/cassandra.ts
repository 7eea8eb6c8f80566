import { z } from 'zod'

/** Apache Cassandra; in use when `store.backend` is `cassandra`. */
export const cassandraSchema = z.strictObject({
  /** `HOST:PORT` of some nodes; they name the others. */
  contactPoints: z.array(z.string().min(1)).min(1).default(['127.0.0.1:9042']),
  /** The one that is near: a quorum of it answers, and its nodes are asked. */
  datacenter: z.string().min(1).default('datacenter1'),
  keyspace: z
    .string()
    .regex(/^[a-z][a-z0-9_]{0,47}$/)
    .default('demo'),
  /** Copies in the datacenter, when `millrace init` makes the keyspace; 0: as many as nodes, at most 3. */
  replicas: z.int().min(0).max(9).default(0),
  /** Fixes the layout of days to come; 0: by the days before, and 16 partitions on the first two. */
  expectedEventsPerDay: z.int().min(0).default(0),
  /** Log in; the password crosses the network readably unless `tls` is on. */
  username: z.string().min(1).optional(),
  password: z.string().min(1).optional(),
  /** Encrypt; the nodes' certificate is checked. */
  tls: z.boolean().default(false),
  /** PEM file of the authority that the nodes' certificate is from; unset, those that Node trusts. */
  caFile: z.string().min(1).optional(),
  /** PEM files of a certificate of our own, for nodes that ask for one. */
  certificateFile: z.string().min(1).optional(),
  keyFile: z.string().min(1).optional(),
})

/** What does not go together. */
export function cassandraFaults(cassandra: z.output<typeof cassandraSchema>): string[] {
  const faults: string[] = []
  const { caFile, certificateFile, keyFile, username, password } = cassandra
  if (!cassandra.tls && (caFile ?? certificateFile ?? keyFile) !== undefined) {
    faults.push('cassandra.caFile, certificateFile and keyFile need cassandra.tls')
  }
  if ((certificateFile === undefined) !== (keyFile === undefined)) {
    faults.push('cassandra.certificateFile and cassandra.keyFile go together')
  }
  if ((username === undefined) !== (password === undefined)) {
    faults.push('cassandra.username and cassandra.password go together')
  }
  return faults
}
