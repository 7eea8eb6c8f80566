import { useId, useState } from 'preact/hooks'
import type { EventAnswer } from '../api/answer.ts'
import { identityOf } from './feed.ts'
import { formatMoment, formatPlace, formatRecent, formatTime } from './format.ts'
import { MaybeLink } from './parts.tsx'
import { hashOf, type Route, routeTo } from './route.ts'

/** Events in a list: what happened, where, whose; all of an event on demand. */
export function EventList(props: {
  readonly name: string
  readonly events: readonly EventAnswer[]
  readonly route: Route
  /** All are of one party, who need not be named. */
  readonly isOneParty?: boolean
}) {
  const { name, events, route, isOneParty = false } = props
  return (
    <ol class={isOneParty ? 'events of-one' : 'events'} aria-label={name}>
      {events.map((event) => (
        <EventItem
          key={identityOf(event)}
          event={event}
          party={isOneParty ? undefined : <PartyLink event={event} route={route} />}
        />
      ))}
    </ol>
  )
}

function EventItem({ event, party }: { event: EventAnswer; party: preact.VNode | undefined }) {
  const [isOpen, setOpen] = useState(false)
  const id = useId()
  const { eventTime } = event
  const time = party === undefined ? formatTime(eventTime) : formatRecent(eventTime, Date.now())
  return (
    <li>
      <div class="event">
        <time dateTime={eventTime} title={formatMoment(eventTime)}>
          {time}
        </time>
        <span class="type">{event.eventType}</span>
        <span class="where">
          {event.itemId !== null && <b>{event.itemId}</b>}
          {event.bot !== null && <i title={event.bot}>bot</i>}
          <span title={event.location ?? event.source}>
            {event.location === null ? `from ${event.source}` : formatPlace(event.location)}
          </span>
        </span>
        {party}
        <button
          type="button"
          class="quiet"
          aria-expanded={isOpen}
          aria-controls={isOpen ? id : undefined}
          aria-label={`Details of ${event.eventType} at ${time}`}
          onClick={() => setOpen(!isOpen)}
        >
          <svg viewBox="0 0 16 16" aria-hidden="true">
            <path d="M4 6l4 4 4-4" />
          </svg>
        </button>
      </div>
      {isOpen && <EventFields id={id} event={event} />}
    </li>
  )
}

function PartyLink({ event, route }: { event: EventAnswer; route: Route }) {
  const { partyId, privacy } = event
  if (partyId === null) return <span class="party soft">{privacy ?? 'no party'}</span>
  return (
    <a
      class="party"
      href={hashOf(routeTo(route, 'party', partyId))}
      title={partyId}
      aria-label={`Party ${partyId}`}
    >
      {partyId}
    </a>
  )
}

function EventFields({ id, event }: { id: string; event: EventAnswer }) {
  const { agent, parameters, ...rest } = event
  const agentTexts = [agent.name, agent.version, agent.osFamily, agent.osVersion]
  const fields = Object.entries({
    parameters: parameters === null ? null : JSON.stringify(parameters, null, 1),
    ...rest,
    agent: agentTexts.filter((text) => text !== null).join(', '),
  }).filter(([, value]) => value !== null && value !== '' && value !== false)
  return (
    <dl id={id} class="fields">
      {fields.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>
            <MaybeLink text={String(value)} />
          </dd>
        </div>
      ))}
    </dl>
  )
}
