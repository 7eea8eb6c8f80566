import { useEffect, useRef, useState } from 'preact/hooks'
import type { EventAnswer } from '../api/answer.ts'
import { EventList } from './event-list.tsx'
import type { Feed } from './feed.ts'
import { formatNumberOf } from './format.ts'
import { Card, Nothing, useFeed, type ViewProps } from './parts.tsx'

/** A screen reader is told how many came at most this often, not of each of a thousand. */
const announceIntervalMs = 20_000

interface Pause {
  readonly events: readonly EventAnswer[]
  readonly arrived: number
}

/** Events as they arrive, newest first. */
export function Live({ feed, route, health }: ViewProps) {
  useFeed(feed)
  const [paused, setPaused] = useState<Pause>()
  const announcement = useAnnouncement(feed, paused !== undefined)
  const events = paused?.events ?? feed.events
  const newer = paused === undefined ? 0 : feed.arrived - paused.arrived
  const onlyBots = route.bots === 'exclude' && (health?.events ?? 0) > 0
  return (
    <Card
      title="As they arrive"
      className="wide"
      aside={
        <button
          type="button"
          aria-pressed={paused !== undefined}
          onClick={() =>
            setPaused(paused ? undefined : { events: feed.events, arrived: feed.arrived })
          }
        >
          {paused === undefined ? 'Pause' : newer > 0 ? `Paused, ${newer} newer` : 'Paused'}
        </button>
      }
    >
      <p class="soft">
        Newest first, times in your zone ({Intl.DateTimeFormat().resolvedOptions().timeZone}).
        Follow a party by its id.
      </p>
      <p class="hidden-visually" role="status">
        {announcement}
      </p>
      {events.length === 0 ? (
        <Nothing>
          {onlyBots
            ? 'Nothing but what bots did, which “Include bots” shows. Events appear here as they arrive.'
            : 'Nothing yet. Events appear here as they arrive.'}
        </Nothing>
      ) : (
        <EventList name="Live events" events={events} route={route} />
      )}
    </Card>
  )
}

function useAnnouncement(feed: Feed, isPaused: boolean): string {
  const [text, setText] = useState('')
  const told = useRef(feed.arrived)
  useEffect(() => {
    if (isPaused) return
    const timer = setInterval(() => {
      const count = feed.arrived - told.current
      told.current = feed.arrived
      if (count > 0) setText(formatNumberOf(count, 'new event'))
    }, announceIntervalMs)
    return () => clearInterval(timer)
  }, [feed, isPaused])
  return text
}
