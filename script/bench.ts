import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'

/** Runs every claim of benchmark/, or those named: `npm run bench -- collect`. */
const claims = ['collect', 'log-to-store', 'whole-process', 'idle', 'ninety-days', 'recommend']
/** Start real servers (Java 17, Maven; the second also Python), so only when they are named. */
const withServers = ['collect-kafka', 'consumer-peer', 'spark', 'als', 'daily', 'cassandra-answers']
const named = process.argv.slice(2).filter((argument) => !argument.startsWith('-'))
const known = [...claims, ...withServers]
const unknown = named.filter((name) => !known.includes(name))
if (unknown.length > 0) {
  process.stderr.write(`unknown: ${unknown.join(', ')}; there are: ${known.join(', ')}\n`)
  process.exit(2)
}
for (const claim of named.length > 0 ? named : claims) {
  const file = new URL(`../benchmark/${claim}.ts`, import.meta.url).pathname
  if (!existsSync(file)) throw new Error(`${file} is missing`)
  process.stdout.write(`\n== ${claim}\n`)
  // Bytes that are still to be collected belong to nobody's figures.
  const { status } = spawnSync(process.execPath, ['--expose-gc', file], {
    stdio: 'inherit',
  })
  if (status !== 0) process.exitCode = 1
}
