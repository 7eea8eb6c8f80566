import type { Command } from 'commander'
import type { Config } from '../config.ts'
import { MillraceError } from '../event/error.ts'
import { toError } from '../lib/assert.ts'
import { type Finding, failing } from './doctor-finding.ts'
import { checkMachine } from './doctor-machine.ts'
import { checkRunning } from './doctor-running.ts'
import { checkSettings } from './doctor-settings.ts'
import { type CommonFlags, configOf, createCommand } from './options.ts'
import { printable } from './terminal.ts'

interface DoctorFlags extends CommonFlags {
  readonly json?: boolean
}

/** `millrace doctor`: what is wrong with this set-up, in words, and what to do about it. */
export function doctorCommand(): Command {
  return createCommand('doctor', 'Say what is wrong with this set-up, and what to do about it')
    .option('--json', 'print JSON, a line for each check')
    .action(async (flags: DoctorFlags) => {
      const findings: Finding[] = []
      for await (const finding of examine(flags)) {
        findings.push(finding)
        process.stdout.write(flags.json === true ? `${JSON.stringify(finding)}\n` : render(finding))
      }
      const count = (level: Finding['level']): number =>
        findings.filter((finding) => finding.level === level).length
      if (flags.json !== true) {
        process.stdout.write(
          `${count('fail')} to mend, ${count('warn')} to look at, ${count('ok')} fine\n`,
        )
      }
      if (count('fail') > 0) process.exitCode = 1
    })
}

async function* examine(flags: DoctorFlags): AsyncGenerator<Finding, void, undefined> {
  let config: Config
  try {
    config = await configOf(flags)
  } catch (thrown) {
    const { message } = toError(thrown)
    const hint = thrown instanceof MillraceError ? thrown.hint : ''
    yield failing('configuration', message, hint)
    return
  }
  yield { check: 'configuration', level: 'ok', text: 'every setting is valid', advice: null }
  yield* checkMachine(config)
  yield* checkSettings(config)
  yield* checkRunning(config)
}

function render({ check, level, text, advice }: Finding): string {
  const line = `${level.padEnd(4)}  ${check.padEnd(18)} ${printable(text)}\n`
  return advice === null ? line : `${line}${' '.repeat(25)}→ ${printable(advice)}\n`
}
