import type { FunctionComponent } from 'preact'
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import type { HealthAnswer } from '../api/answer.ts'
import { createChanges } from './changes.ts'
import { DeadLetters } from './dead-letters.tsx'
import { Feed } from './feed.ts'
import { formatCompact } from './format.ts'
import { Funnel } from './funnel.tsx'
import { Live } from './live.tsx'
import { Overview } from './overview.tsx'
import { Choice, ProblemNote, useFeed, type ViewProps } from './parts.tsx'
import { Party } from './party.tsx'
import { Recommendations } from './recommendations.tsx'
import { Retention } from './retention.tsx'
import {
  dayChoices,
  hashOf,
  parseHash,
  type Route,
  routeTo,
  type ViewName,
  viewNames,
  viewTitles,
} from './route.ts'
import { chooseTheme, currentTheme } from './theme.ts'
import { Top } from './top.tsx'
import { useAnswer } from './use-answer.ts'

const views: Readonly<Record<ViewName, FunctionComponent<ViewProps>>> = {
  overview: Overview,
  live: Live,
  top: Top,
  funnel: Funnel,
  retention: Retention,
  recommendations: Recommendations,
  party: Party,
  'dead-letters': DeadLetters,
}

/** What all views have around them: the menu, the state of the connection, range and filter. */
export function Shell({ hasLogin }: { readonly hasLogin: boolean }) {
  const [route, setRoute] = useState(() => parseHash(location.hash))
  const feed = useMemo(() => new Feed(), [])
  const changes = useMemo(() => createChanges(feed), [feed])
  const health = useAnswer<HealthAnswer>('/api/health', changes.health)
  const main = useRef<HTMLElement>(null)
  useEffect(() => {
    const read = (): void => setRoute(parseHash(location.hash))
    addEventListener('hashchange', read)
    return () => removeEventListener('hashchange', read)
  }, [])
  useEffect(() => {
    feed.open(route.bots)
    return () => feed.close()
  }, [feed, route.bots])
  useEffect(() => changes.start(), [changes])
  // More events than at the last look: what was asked before they were stored is asked again.
  useEffect(() => changes.ring(), [changes, health.answer?.events, health.answer?.deadLetters])
  const heading = useHeading(route)
  const View = views[route.view]
  return (
    <>
      {/* biome-ignore lint/a11y/useValidAnchor: it leads inside the page, whose fragment is the view */}
      <a
        class="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault()
          main.current?.focus()
        }}
      >
        Skip to the content
      </a>
      <Header feed={feed} route={route} hasLogin={hasLogin} health={health.answer} />
      <main id="main" ref={main} tabIndex={-1}>
        <div class="head">
          <h1 ref={heading} tabIndex={-1}>
            {viewTitles[route.view]}
          </h1>
          <RangeBar route={route} />
        </div>
        <HealthNote health={health.answer} />
        <ProblemNote problem={health.problem} retry={health.retry} />
        <View
          route={route}
          go={(change) => goTo({ ...route, ...change })}
          feed={feed}
          changes={changes.answers}
          health={health.answer}
        />
      </main>
      <footer>
        <span>Days are UTC, times are your own.</span>
        <a href="/api/openapi.json">API description</a>
        <a href="/api/health">Health as JSON</a>
      </footer>
    </>
  )
}

function goTo(route: Route): void {
  location.hash = hashOf(route)
}

/** Another view is another page: its heading gets the focus, so that it is read and Tab goes on there. */
function useHeading(route: Route) {
  const heading = useRef<HTMLHeadingElement>(null)
  const shown = useRef('')
  const { view, partyId } = route
  useEffect(() => {
    document.title = `${viewTitles[view]} · Millrace`
    const place = `${view}/${partyId}`
    if (shown.current !== '' && shown.current !== place) {
      heading.current?.focus()
      scrollTo(0, 0)
    }
    shown.current = place
  }, [view, partyId])
  return heading
}

function Header(props: {
  readonly feed: Feed
  readonly route: Route
  readonly hasLogin: boolean
  readonly health: HealthAnswer | undefined
}) {
  const { feed, route, hasLogin, health } = props
  const letters = health?.deadLetters ?? 0
  return (
    <header>
      <a class="brand" href={hashOf(routeTo(route, 'overview'))}>
        <img src="/icon.svg" alt="" width="28" height="28" />
        Millrace
      </a>
      <nav aria-label="Views">
        <ul>
          {viewNames.map((view) => (
            <li key={view}>
              <a
                href={hashOf(routeTo(route, view))}
                aria-current={view === route.view ? 'page' : undefined}
              >
                {viewTitles[view]}
                {view === 'dead-letters' && letters > 0 && (
                  <span class="badge">{formatCompact(letters)}</span>
                )}
              </a>
            </li>
          ))}
        </ul>
      </nav>
      <div class="tools">
        <Connection feed={feed} />
        <ThemeButton />
        {hasLogin && (
          <form method="post" action="/logout">
            <button type="submit" class="quiet">
              Log out
            </button>
          </form>
        )}
      </div>
    </header>
  )
}

const connections = { connecting: 'Connecting…', live: 'Live', away: 'Reconnecting…' } as const

function Connection({ feed }: { readonly feed: Feed }) {
  useFeed(feed)
  return (
    <p class={`pill is-${feed.connection}`} role="status">
      {connections[feed.connection]}
    </p>
  )
}

function ThemeButton() {
  const [theme, setTheme] = useState(currentTheme)
  return (
    <button
      type="button"
      class="quiet icon"
      aria-label="Dark theme"
      aria-pressed={theme === 'dark'}
      onClick={() => {
        chooseTheme(currentTheme() === 'dark' ? 'light' : 'dark')
        setTheme(currentTheme())
      }}
    >
      <svg viewBox="0 0 16 16" aria-hidden="true">
        <circle cx="8" cy="8" r="6" />
        <path class="full" d="M8 2a6 6 0 0 1 0 12z" />
      </svg>
    </button>
  )
}

/** The views that are asked about a range of days. */
const rangeViews: readonly ViewName[] = [
  'overview',
  'top',
  'funnel',
  'retention',
  'recommendations',
]

function RangeBar({ route }: { readonly route: Route }) {
  const { view, days, bots } = route
  if (view === 'dead-letters' || (view === 'party' && route.partyId !== '')) return null
  return (
    <div class="range">
      {rangeViews.includes(view) && (
        <Choice
          legend="Days to show"
          options={dayChoices.map((choice) => [choice, `${choice} days`] as const)}
          value={days}
          onChoose={(choice) => goTo({ ...route, days: choice })}
        />
      )}
      <label class="switch">
        <input
          type="checkbox"
          checked={bots === 'include'}
          onChange={({ currentTarget }) =>
            goTo({ ...route, bots: currentTarget.checked ? 'include' : 'exclude' })
          }
        />{' '}
        Include bots
      </label>
    </div>
  )
}

function HealthNote({ health }: { readonly health: HealthAnswer | undefined }) {
  if (health === undefined || health.ok) return null
  return (
    <div class="problem" role="alert">
      <p>
        <strong>Events are not being stored:</strong> {health.problem ?? 'nobody knows why'}. What
        was acknowledged waits on the log.
      </p>
    </div>
  )
}
