import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { fuzzConfig } from '../test/collect/fuzz-requests.ts'
import { growthMiB, runFuzz } from '../test/collect/fuzz-run.ts'
import { freePort, startMillrace, temporaryFolder } from '../test/fault/process.ts'

/** Sends random requests to a collector of its own and watches it: `npm run fuzz`. */

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    requests: { type: 'string', default: '1000000' },
    minutes: { type: 'string', default: '120' },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) {
  process.stdout.write('npm run fuzz -- [--seed N] [--requests N] [--minutes N, at most]\n')
  process.exit(0)
}
/** A leak of a hundred bytes a request would be more. */
const growthMiBMax = 48

const folder = temporaryFolder()
const config = join(folder.path, 'millrace.config.ts')
writeFileSync(config, fuzzConfig)
const running = await startMillrace({
  folder: folder.path,
  collectPort: await freePort(),
  apiPort: await freePort(),
  command: ['collect'],
  env: { MILLRACE_COLLECT_REQUESTS_PER_SECOND_MAX: '0', MILLRACE_CONFIG: config },
})
const startedAt = performance.now()
try {
  const verdict = await runFuzz({
    port: Number(new URL(running.collectorUrl).port),
    pid: running.child.pid,
    seed: Number(values.seed),
    requests: Number(values.requests),
    signal: AbortSignal.timeout(Number(values.minutes) * 60_000),
    onSample: ({ requests, residentMiB, ownMiB }) =>
      process.stdout.write(`${requests} requests: ${residentMiB} MiB, ${ownMiB} without files\n`),
  })
  const seconds = Math.round((performance.now() - startedAt) / 1_000)
  const isAlive = (await fetch(`${running.collectorUrl}/ping`)).ok
  const code = await running.stop()
  const growth = growthMiB(verdict.samples)
  process.stdout.write(`seed ${values.seed}: ${verdict.sent} requests in ${seconds} s, `)
  process.stdout.write(`answers ${JSON.stringify(verdict.statuses)}, `)
  process.stdout.write(`2xx ${JSON.stringify(verdict.taken)}\n`)
  for (const fault of verdict.faults) process.stdout.write(`FAULT ${fault}\n`)
  process.stdout.write(`${verdict.faultCount} faults, memory grew by ${growth} MiB after warm-up, `)
  process.stdout.write(`/ping ${isAlive ? 'answers' : 'DOES NOT ANSWER'}, exit code ${code}\n`)
  const isSound = verdict.faultCount === 0 && isAlive && code === 0 && growth <= growthMiBMax
  process.stdout.write(isSound ? 'no crash, no 5xx, memory flat\n' : 'BROKEN PROMISE\n')
  process.exitCode = isSound ? 0 : 1
} finally {
  await running.stop()
  folder.remove()
}
