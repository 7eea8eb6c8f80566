import type { Command } from 'commander'
import type { EventAnswer } from '../api/answer.ts'
import { MillraceError } from '../event/error.ts'
import { connectApi } from './client.ts'
import { type CommonFlags, configOf, createCommand } from './options.ts'
import { type QuestionFlags, queryOf, withLimitFlag, withQuestionFlags } from './question.ts'
import { printable, printableJson, printOut } from './terminal.ts'

interface EventsFlags extends CommonFlags, QuestionFlags {
  readonly follow?: boolean
}

/** `millrace events`: the events of a span of time, or each as it arrives. */
export function eventsCommand(): Command {
  const command = createCommand(
    'events',
    'Print stored events, oldest first, or follow them as they arrive',
  )
  return withLimitFlag(withQuestionFlags(command))
    .option('-f, --follow', 'print each event as it arrives, until Ctrl+C')
    .action(async (flags: EventsFlags) => {
      const api = await connectApi(await configOf(flags))
      const lines = flags.follow === true ? follow(api, flags) : stored(api, flags)
      let printed = 0
      for await (const line of lines) {
        printed++
        const text =
          flags.json === true ? printableJson(line) : describeEvent(JSON.parse(line) as EventAnswer)
        if (!(await printOut(`${text}\n`))) return
      }
      if (printed === 0) process.stderr.write(`no events${noEventsHint(flags)}\n`)
    })
}

/** Without a span the API answers for 30 days, and for no bots unless asked. */
function noEventsHint({ last, from, bots }: EventsFlags): string {
  const span = last === undefined && from === undefined ? ' in the last 30 days' : ' in that span'
  return bots === 'include' ? span : `${span} (bots are left out; --bots include shows them)`
}

type Api = Awaited<ReturnType<typeof connectApi>>

function stored(api: Api, flags: EventsFlags): AsyncIterable<string> {
  return api.lines(`/api/events${queryOf(flags)}`, { headers: { Accept: 'application/x-ndjson' } })
}

async function* follow(api: Api, flags: EventsFlags): AsyncIterable<string> {
  const { party, session, eventType, item, country, device, bots, limit } = flags
  const query = queryOf(dropUndefined({ party, session, eventType, item, country, device, bots }))
  let left = limit ?? Number.POSITIVE_INFINITY
  let isDropped = false
  for await (const line of api.lines(`/api/live${query}`)) {
    if (line.startsWith('event:')) isDropped = line.slice(6).trim() === 'dropped'
    if (!line.startsWith('data:')) continue
    const text = line.slice(5).trim()
    if (isDropped) throw new MillraceError('live_dropped', String(JSON.parse(text).missed))
    yield text
    if (--left <= 0) return
  }
  throw new MillraceError('api_unreachable', 'it has ended the stream')
}

function dropUndefined(flags: Record<string, string | undefined>): QuestionFlags {
  return Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined))
}

/** One line: when, what, who, which item, where; control characters of visitors are not printed. */
function describeEvent(event: EventAnswer): string {
  const { eventTime, eventType, partyId, itemId, location, remoteAddress, bot } = event
  const parts = [
    eventTime,
    eventType,
    partyId ?? `(no party: ${event.privacy ?? 'none sent'})`,
    itemId === null ? '' : `item=${itemId}`,
    location ?? '',
    remoteAddress,
    bot === null ? '' : `bot=${bot}`,
  ]
  const line = parts.filter((part) => part !== '').join('  ')
  return printable(line)
}
