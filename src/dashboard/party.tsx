import { useState } from 'preact/hooks'
import type { PartyAnswer } from '../api/answer.ts'
import { ask, type Problem, problemOf, queryOf } from './ask.ts'
import { EventList } from './event-list.tsx'
import { formatCount, formatMoment, formatNumberOf, formatSpan } from './format.ts'
import { Card, Nothing, ProblemNote, useFeed, type ViewProps } from './parts.tsx'
import { hashOf, type Route, routeTo } from './route.ts'
import { useAnswer } from './use-answer.ts'

/** One party's way through the site, found by its id or from a live event. */
export function Party(props: ViewProps) {
  const { route, go } = props
  return (
    <>
      <Finder key={route.partyId} partyId={route.partyId} onFind={(partyId) => go({ partyId })} />
      {route.partyId === '' ? <RecentParties {...props} /> : <Way {...props} />}
    </>
  )
}

function Finder(props: { readonly partyId: string; readonly onFind: (partyId: string) => void }) {
  const [text, setText] = useState(props.partyId)
  return (
    <search>
      <form
        class="finder"
        onSubmit={(event) => {
          event.preventDefault()
          const partyId = text.trim()
          if (partyId !== '') props.onFind(partyId)
        }}
      >
        <label for="party">Party id</label>
        <input
          id="party"
          value={text}
          onInput={({ currentTarget }) => setText(currentTarget.value)}
          placeholder="0:…"
          spellcheck={false}
          autocomplete="off"
          maxLength={1_000}
          required
        />
        <button type="submit" class="primary">
          Find
        </button>
      </form>
    </search>
  )
}

function RecentParties({ feed, route }: ViewProps) {
  useFeed(feed)
  const parties = new Map<string, string>()
  for (const { partyId, eventTime } of feed.events) {
    if (partyId !== null && !parties.has(partyId)) parties.set(partyId, eventTime)
  }
  return (
    <Card title="Seen last" className="wide">
      {parties.size === 0 && (
        <Nothing>
          Paste an id above. In a browser, <code>divolte.partyId</code> has its own; every live
          event links to its party.
        </Nothing>
      )}
      <ul class="parties">
        {[...parties].slice(0, 20).map(([partyId, eventTime]) => (
          <li key={partyId}>
            <a class="party" href={hashOf(routeTo(route, 'party', partyId))}>
              {partyId}
            </a>{' '}
            <time class="soft" dateTime={eventTime}>
              {formatMoment(eventTime)}
            </time>
          </li>
        ))}
      </ul>
    </Card>
  )
}

interface Older {
  readonly path: string
  /** The first page as it was when older ones were asked for: they go on after it. */
  readonly pages: readonly PartyAnswer[]
  readonly problem?: Problem
}

function Way({ route, changes }: ViewProps) {
  // Without a filter: a party is looked at whatever it is, all of its way that is kept.
  const path = `/api/parties/${encodeURIComponent(route.partyId)}`
  const { answer, problem, retry, isLoading } = useAnswer<PartyAnswer>(path, changes)
  const [older, setOlder] = useState<Older>({ path, pages: [] })
  const isKept = older.path === path && older.pages.length > 0
  const pages = isKept ? older.pages : answer && !isLoading ? [answer] : []
  const first = pages[0]
  const after = pages.at(-1)?.next ?? null
  const showOlder = async (): Promise<void> => {
    try {
      const page = await ask<PartyAnswer>(`${path}?${queryOf({ after: after ?? '' })}`)
      setOlder({ path, pages: [...pages, page] })
    } catch (thrown) {
      setOlder({ path, pages, problem: problemOf(thrown) })
    }
  }
  if (first === undefined) {
    if (problem) return <ProblemNote problem={problem} retry={retry} />
    return <Nothing>Looking…</Nothing>
  }
  return (
    <>
      <ProblemNote problem={problem} retry={retry} />
      <PartyHead party={first} />
      {pages.flatMap(({ sessions }) =>
        sessions.map((session) => (
          <SessionCard key={session.start} session={session} route={route} />
        )),
      )}
      {older.path === path && (
        <ProblemNote problem={older.problem} retry={() => void showOlder()} />
      )}
      {after !== null && (
        <button type="button" class="more" onClick={() => void showOlder()}>
          Show older sessions
        </button>
      )}
    </>
  )
}

function PartyHead({ party }: { party: PartyAnswer }) {
  const { firstSeen, lastSeen } = party
  if (firstSeen === null || lastSeen === null) {
    return (
      <Nothing>
        No event of this party is stored. Look whether the id is whole; events older than the
        retention are deleted.
      </Nothing>
    )
  }
  return (
    <Card title="Party" className="wide">
      <p class="party whole">{party.partyId}</p>
      <dl class="facts in-line">
        <div>
          <dt>Events</dt>
          <dd>{formatCount(party.events)}</dd>
        </div>
        <div>
          <dt>First seen</dt>
          <dd>{formatMoment(firstSeen)}</dd>
        </div>
        <div>
          <dt>Last seen</dt>
          <dd>{formatMoment(lastSeen)}</dd>
        </div>
      </dl>
    </Card>
  )
}

function SessionCard(props: {
  readonly session: PartyAnswer['sessions'][number]
  readonly route: Route
}) {
  const { start, end, events } = props.session
  const title = `Session of ${formatMoment(start)}`
  const seconds = (Date.parse(end) - Date.parse(start)) / 1_000
  return (
    <Card
      title={title}
      className="wide"
      aside={
        <span class="soft">
          {formatNumberOf(events.length, 'event')}, {formatSpan(seconds)}
        </span>
      }
    >
      <EventList name={title} events={events} route={props.route} isOneParty />
    </Card>
  )
}
