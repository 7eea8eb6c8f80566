import { Command, InvalidArgumentError } from 'commander'
import { type Config, type ConfigInput, fromText, loadConfig } from '../config.ts'

/** The flags that every command takes. */
export interface CommonFlags {
  readonly config?: string
  readonly data?: string
  readonly set?: readonly [path: string, text: string][]
}

/** The flags of commands that run stages. */
export interface StageFlags extends CommonFlags {
  readonly collectHost?: string
  readonly collectPort?: number
  readonly apiHost?: string
  readonly apiPort?: number
  readonly acceptLog?: boolean
  readonly acceptGap?: boolean
}

/** A command with the flags that all share. */
export function createCommand(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .option('--config <file>', 'configuration file (default: millrace.config.ts, if it is there)')
    .option('--data <folder>', 'folder of log and store (MILLRACE_DATA, default ./data)')
    .option('--set <setting=value>', 'any setting, such as collect.address=none', collectSetting)
    .showHelpAfterError('(the same command with --help shows its options)')
    .exitOverride()
}

export function withCollectFlags(command: Command): Command {
  return command
    .option('--collect-host <host>', 'where the collector listens (default 127.0.0.1)')
    .option('--collect-port <port>', 'its port (default 8290)', parseInteger)
}

export function withApiFlags(command: Command): Command {
  return command
    .option('--api-host <host>', 'where the API listens (default 127.0.0.1)')
    .option('--api-port <port>', 'its port (default 8291)', parseInteger)
}

export function withConsumeFlags(command: Command): Command {
  return command
    .option('--accept-log', 'go on with a log that the store does not know')
    .option(
      '--accept-gap',
      'go on after records that the log lost, and keep the loss as a dead letter',
    )
}

/** The whole configuration, with the flags on top. */
export function configOf(flags: StageFlags): Promise<Config> {
  const settings: Record<string, Record<string, unknown>> = {
    collect: { host: flags.collectHost, port: flags.collectPort },
    api: { host: flags.apiHost, port: flags.apiPort },
  }
  for (const [path, text] of flags.set ?? []) {
    const [section = '', key = ''] = path.split('.')
    settings[section] = { ...settings[section], [key]: fromText(text, section, key) }
  }
  const input = { ...settings, data: flags.data } as ConfigInput
  const file = flags.config === undefined ? {} : { file: flags.config }
  return loadConfig({ folder: process.cwd(), flags: input, ...file })
}

export function parseInteger(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('It must be a whole number.')
  return Number(text)
}

function collectSetting(
  text: string,
  before: readonly [string, string][] = [],
): readonly [string, string][] {
  const equals = text.indexOf('=')
  if (!/^[a-z]+\.[A-Za-z]+=/.test(text)) {
    throw new InvalidArgumentError('It must look like collect.port=8080.')
  }
  return [...before, [text.slice(0, equals), text.slice(equals + 1)]]
}

const workersMax = 256

export function parseWorkers(text: string): number {
  const count = parseInteger(text)
  if (count < 1 || count > workersMax) {
    throw new InvalidArgumentError(`It must be from 1 to ${workersMax}.`)
  }
  return count
}
