import type { Command } from 'commander'
import type { EventAnswer } from '../api/answer.ts'
import { connectApi } from './client.ts'
import { type CommonFlags, configOf, createCommand } from './options.ts'
import { printable, printOut, quantity } from './terminal.ts'
import { writeWholeFile } from './whole-file.ts'

interface PartyFlags extends CommonFlags {
  readonly export?: string
}

/** A line of GET /api/parties/ID/export. */
type PartyLine =
  | { readonly event: EventAnswer }
  | { readonly deadLetter: { readonly receivedAt: string; readonly code: string } }
  | { readonly stored: Readonly<Record<'events' | 'repeats' | 'claims' | 'deadLetters', number>> }

/** `millrace party`: one party's way, and all that is stored about it for whoever asks for it. */
export function partyCommand(): Command {
  return createCommand(
    'party',
    "Show a party's way through the site, or take along all that is stored about it",
  )
    .argument('<party>', 'its id, as millrace events prints it')
    .option('--export <file>', 'write everything as lines of JSON into a file; - is the output')
    .action(async (party: string, flags: PartyFlags) => {
      const api = await connectApi(await configOf(flags))
      const path = `/api/parties/${encodeURIComponent(party)}/export`
      if (flags.export !== undefined && flags.export !== '-') {
        const { chunks } = await api.bytes(path)
        await writeWholeFile(flags.export, chunks)
        process.stderr.write(`all that is stored about the party is in ${flags.export}\n`)
        return
      }
      for await (const line of api.lines(path)) {
        const text = flags.export === '-' ? line : describe(JSON.parse(line) as PartyLine)
        if (!(await printOut(`${text}\n`))) return
      }
    })
}

function describe(line: PartyLine): string {
  if ('event' in line) {
    const { eventTime, eventType, itemId, location, sessionId } = line.event
    const parts = [
      eventTime,
      sessionId ?? '',
      eventType,
      itemId === null ? '' : `item=${itemId}`,
      location ?? '',
    ]
    return printable(parts.filter((part) => part !== '').join('  '))
  }
  if ('deadLetter' in line) {
    return printable(`${line.deadLetter.receivedAt}  dead letter  ${line.deadLetter.code}`)
  }
  const { events, repeats, claims, deadLetters } = line.stored
  return [
    quantity(events, 'event'),
    quantity(repeats, 'repeat'),
    quantity(claims, 'kept time'),
    `${quantity(deadLetters, 'dead letter')} that name${deadLetters === 1 ? 's' : ''} it`,
  ].join(', ')
}
