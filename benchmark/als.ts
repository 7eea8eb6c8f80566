import { spawnSync } from 'node:child_process'
import { globSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { prepareSpark } from '../script/services/spark.ts'
import { machine } from './process.ts'

/**
 * Claim: what Millrace serves foresees the next click at least as well as Spark MLlib's ALS, on the
 * public sessions of RecSys 2015 and of bol.com, in both protocols.
 * Method: `millrace recommend evaluate` writes the prefixes that it asks about, deploy/spark/als.py
 * answers them, and `millrace recommend evaluate --scores` prints the table of all models.
 *
 *     node benchmark/als.ts [folder of NAME.train*.tsv.gz and NAME.test.tsv.gz]
 */
const data = process.argv[2] ?? new URL('../../shared/data/sessions', import.meta.url).pathname
const cli = new URL('../src/cli/millrace.ts', import.meta.url).pathname
const job = new URL('../deploy/spark/als.py', import.meta.url).pathname

const tests = globSync(join(data, '*.test.tsv.gz')).sort()
if (tests.length === 0) throw new Error(`${data} has no NAME.test.tsv.gz`)
const { submit, python } = await prepareSpark()
process.stdout.write(`${machine()}\n`)
const folder = await mkdtemp(join(tmpdir(), 'millrace-bench-'))
try {
  for (const test of tests) {
    const [train] = globSync(test.replace(/\.test\.tsv\.gz$/, '.train*.tsv.gz'))
    if (train === undefined) continue
    const [prefixes, scores] = [join(folder, 'prefixes.txt'), join(folder, 'scores.tsv')]
    const files = ['--train', train, '--test', test]
    evaluate([...files, '--prefixes', prefixes])
    const startedAt = performance.now()
    run(submit, [job, '--train', train, '--prefixes', prefixes, '--out', scores], {
      PYSPARK_PYTHON: python,
    })
    const seconds = ((performance.now() - startedAt) / 1_000).toFixed(0)
    process.stdout.write(`\n${test}: ALS learnt and asked in ${seconds} s\n`)
    process.stdout.write(evaluate([...files, '--scores', scores]))
  }
} finally {
  await rm(folder, { recursive: true, force: true })
}

function evaluate(args: readonly string[]): string {
  return run(process.execPath, [cli, 'recommend', 'evaluate', ...args])
}

function run(command: string, args: readonly string[], env: Record<string, string> = {}): string {
  const options = { env: { ...process.env, ...env }, encoding: 'utf8', maxBuffer: 2 ** 26 } as const
  const { status, stdout, stderr } = spawnSync(command, args, options)
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}\n${stderr.slice(-4_000)}`)
  return stdout
}
