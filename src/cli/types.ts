import { readFile, writeFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { openEventSchemas, readEventSchemas } from '../collect/event-schema.ts'
import { MillraceError } from '../event/error.ts'
import { type CommonFlags, configOf, createCommand } from './options.ts'
import { typesOf } from './type-text.ts'

interface TypesFlags extends CommonFlags {
  readonly schemas?: string
  readonly out?: string
  readonly check?: string
}

/** `millrace types`: the TypeScript types of `signal` from the schemas of event parameters. */
export function typesCommand(): Command {
  return createCommand('types', "Make TypeScript types of the tag's signal from event schemas")
    .option('--schemas <folder>', 'JSON Schemas, a file each (default: collect.eventSchemas)')
    .option('--out <file>', 'write them here, src/millrace.d.ts say, and not to standard output')
    .option('--check <file>', 'write nothing; fail when this file is not what would be written')
    .action(async (flags: TypesFlags) => {
      const { collect } = await configOf(flags)
      const eventSchemas = flags.schemas ?? collect.eventSchemas
      if (eventSchemas === 'none') {
        const how = 'name a folder by --schemas, or in the configuration'
        throw new MillraceError('config_invalid', `collect.eventSchemas is none: ${how}`)
      }
      // What the collector would not start with is not worth types.
      await openEventSchemas({ ...collect, eventSchemas })
      const schemas = await readEventSchemas(eventSchemas)
      const text = typesOf(schemas)
      if (flags.check !== undefined) await check(flags.check, text)
      else if (flags.out === undefined) process.stdout.write(text)
      else {
        await writeFile(flags.out, text)
        process.stdout.write(`${flags.out}: ${schemas.length} event types\n`)
      }
    })
}

async function check(file: string, text: string): Promise<void> {
  const written = await readFile(file, 'utf8').catch(() => undefined)
  if (written === text) {
    process.stdout.write(`${file} is up to date\n`)
    return
  }
  const how = written === undefined ? 'there is no such file' : 'the schemas have changed'
  throw new MillraceError('types_outdated', `${file}: ${how}`)
}
