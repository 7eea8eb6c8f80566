import { useMemo, useState } from 'preact/hooks'
import type {
  AccountingAnswer,
  CountsAnswer,
  SessionsAnswer,
  UniquesAnswer,
} from '../api/answer.ts'
import { queryOf } from './ask.ts'
import { Chart } from './chart.tsx'
import { countsByType, type DayLine, lastDays, linesByDay, type Totals, totalsOf } from './days.ts'
import { DeliveryCard, SystemCard } from './delivery.tsx'
import { EventList } from './event-list.tsx'
import { FirstSteps } from './first-steps.tsx'
import { formatCount, formatDay, formatShare, formatSpan } from './format.ts'
import {
  BarTable,
  BehindNote,
  Card,
  Nothing,
  ProblemNote,
  Scroller,
  useFeed,
  type ViewProps,
} from './parts.tsx'
import { hashOf, type Metric, metricTitles, routeTo } from './route.ts'
import { useAnswer } from './use-answer.ts'

const metrics = Object.keys(metricTitles) as Metric[]
/** Event types with a row of their own. */
const typesMax = 8
const recentMax = 6

/** The range at a glance, what happens now, and whether all that was sent is there. */
export function Overview(props: ViewProps) {
  const { route, changes, health, feed } = props
  useFeed(feed)
  const range = queryOf({ last: `${route.days}d`, bots: route.bots })
  const counts = useAnswer<CountsAnswer>(`/api/counts?${range}`, changes)
  const uniques = useAnswer<UniquesAnswer>(`/api/uniques?${range}`, changes)
  const sessions = useAnswer<SessionsAnswer>(`/api/sessions?${range}`, changes)
  const accounting = useAnswer<AccountingAnswer>(
    `/api/accounting?${queryOf({ last: `${route.days}d` })}`,
    changes,
  )
  const failed = [counts, uniques, sessions].find(({ problem }) => problem !== undefined)
  if (health?.events === 0 && feed.events.length === 0) return <FirstSteps health={health} />
  return (
    <>
      <ProblemNote problem={failed?.problem} retry={failed?.retry ?? (() => {})} />
      <DaysCard
        {...props}
        counts={counts.answer}
        uniques={uniques.answer}
        sessions={sessions.answer}
        isBusy={counts.isLoading || uniques.isLoading || sessions.isLoading}
      />
      <div class="columns">
        <TypesCard counts={counts.answer} isBusy={counts.isLoading} bots={route.bots} />
        <Card title="Now" aside={<a href={hashOf(routeTo(route, 'live'))}>All live events</a>}>
          {feed.events.length === 0 ? (
            <Nothing>Nothing yet. Events appear here as they arrive.</Nothing>
          ) : (
            <EventList
              name="Newest events"
              events={feed.events.slice(0, recentMax)}
              route={route}
            />
          )}
        </Card>
        <DeliveryCard accounting={accounting} />
        <SystemCard health={health} route={route} />
      </div>
    </>
  )
}

interface DaysProps extends ViewProps {
  readonly counts: CountsAnswer | undefined
  readonly uniques: UniquesAnswer | undefined
  readonly sessions: SessionsAnswer | undefined
  readonly isBusy: boolean
}

function DaysCard({ route, go, health, counts, uniques, sessions, isBusy }: DaysProps) {
  const [point, setPoint] = useState<number>()
  const today = (health?.now ?? new Date().toISOString()).slice(0, 10)
  const days = useMemo(() => lastDays(route.days, Date.parse(today)), [route.days, today])
  const lines = useMemo(
    () => linesByDay(days, { counts, uniques, sessions }),
    [days, counts, uniques, sessions],
  )
  const values = useMemo(() => lines.map((line) => line[route.metric]), [lines, route.metric])
  const totals = totalsOf({ counts, uniques, sessions })
  const line = lines[point ?? -1]
  return (
    <Card title={`The last ${route.days} days`} isBusy={isBusy} className="wide">
      <fieldset class="metrics">
        <legend class="hidden-visually">Show in the chart</legend>
        {metrics.map((metric) => (
          <label key={metric}>
            <input
              type="radio"
              name="metric"
              value={metric}
              checked={metric === route.metric}
              onChange={() => go({ metric })}
            />
            <span class="metric">
              <span>{metricTitles[metric]}</span>
              <strong>{formatMaybe(totals[metric])}</strong>
              <small>{noteOf(metric, totals, route.bots)}</small>
            </span>
          </label>
        ))}
      </fieldset>
      <p class="point soft" aria-hidden="true">
        {line === undefined
          ? `${metricTitles[route.metric]} by day (UTC)`
          : `${formatDay(line.day)}${line.day === today ? ', so far' : ''}: ${formatMaybe(line[route.metric])}`}
      </p>
      <Chart days={days} values={values} onPoint={setPoint} />
      <BehindNote answers={[counts, uniques]} />
      <details>
        <summary>Numbers by day</summary>
        <DaysTable lines={lines} today={today} />
      </details>
    </Card>
  )
}

function noteOf(metric: Metric, totals: Totals, bots: string): string {
  const { views, sessions, bounceShare, meanSeconds } = totals
  switch (metric) {
    case 'events':
      return bots === 'include' ? 'bots included' : 'without bots'
    case 'parties':
      return 'each counted once'
    case 'sessions':
      if (bounceShare === undefined || meanSeconds === undefined) return 'ended by 30 min of rest'
      return `${formatShare(bounceShare, 1)} bounced, ${formatSpan(meanSeconds)} long`
    case 'views':
      if (!views || !sessions) return 'events of type pageView'
      return `${(views / sessions).toFixed(1)} in a session`
  }
}

function formatMaybe(count: number | undefined): string {
  return count === undefined ? '–' : formatCount(count)
}

function DaysTable({ lines, today }: { lines: readonly DayLine[]; today: string }) {
  return (
    <Scroller name="Numbers by day">
      <table>
        <thead>
          <tr>
            <th scope="col">Day (UTC)</th>
            {metrics.map((metric) => (
              <th key={metric} scope="col">
                {metricTitles[metric]}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {lines.toReversed().map((line) => (
            <tr key={line.day}>
              <th scope="row">
                <time dateTime={line.day}>{formatDay(line.day)}</time>
                {line.day === today && ' (today)'}
              </th>
              {metrics.map((metric) => (
                <td key={metric} class={line[metric] === 0 ? 'soft' : ''}>
                  {formatMaybe(line[metric])}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </Scroller>
  )
}

function TypesCard(props: {
  readonly counts: CountsAnswer | undefined
  readonly isBusy: boolean
  readonly bots: string
}) {
  const { counts, isBusy, bots } = props
  const [isWhole, setWhole] = useState(false)
  if (counts === undefined) {
    return (
      <Card title="Event types" isBusy>
        <Nothing>Counting…</Nothing>
      </Card>
    )
  }
  const types = countsByType(counts)
  const whole = types.reduce((sum, { count }) => sum + count, 0)
  const rows = (isWhole ? types.slice(0, 200) : types.slice(0, typesMax)).map(
    ({ eventType, count }) => ({ name: eventType, count }),
  )
  return (
    <Card title="Event types" isBusy={isBusy}>
      {types.length === 0 ? (
        <Nothing>
          No events in this range
          {bots === 'exclude' && ' but those of bots, if any; “Include bots” shows them'}.
        </Nothing>
      ) : (
        <BarTable
          caption="Events by type"
          heads={['Event type', 'Events']}
          rows={rows}
          whole={whole}
        />
      )}
      {types.length > typesMax && (
        <button type="button" class="more" onClick={() => setWhole(!isWhole)}>
          {isWhole ? 'Show fewer' : `Show all ${formatCount(types.length)} types`}
        </button>
      )}
    </Card>
  )
}
