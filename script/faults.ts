import { parseArgs } from 'node:util'
import { killRun } from '../test/fault/kill.ts'

/** Kills Millrace at random moments under load and counts every event: `npm run faults`. */
const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    kills: { type: 'string', default: '20' },
    rate: { type: 'string', default: '2000' },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) {
  process.stdout.write('npm run faults -- [--seed N] [--kills N] [--rate EVENTS_PER_SECOND]\n')
  process.exit(0)
}
const kills = Number(values.kills)
const options = { seed: Number(values.seed), kills, rate: Number(values.rate) }

process.stdout.write(
  `kill -9 at ${kills} moments (seed ${values.seed}) under ${values.rate} events/s\n`,
)
const verdict = await killRun({
  ...options,
  onKill: (kill, { sent, acknowledged }) =>
    process.stdout.write(
      `  kill ${kill} of ${kills}: ${sent.size} sent, ${acknowledged.size} acknowledged\n`,
    ),
})
process.stdout.write(`${JSON.stringify(verdict)}\n`)
const script = new URL('../test/fault/hasty.ts', import.meta.url).pathname
const control = await killRun({ ...options, kills: 3, script })
process.stdout.write(`negative control, answers before it stores: ${JSON.stringify(control)}\n`)

const isClean = verdict.lost + verdict.twice + verdict.ghosts === 0 && verdict.acknowledged > 0
const isCaught = control.lost > 0
process.stdout.write(
  isClean ? 'nothing lost, nothing twice, nothing invented\n' : 'BROKEN PROMISE\n',
)
if (!isCaught) process.stdout.write('THE CHECKER MISSED THE NEGATIVE CONTROL\n')
process.exitCode = isClean && isCaught ? 0 : 1
