import { useMemo, useState } from 'preact/hooks'
import type { ClickThroughAnswer } from '../api/answer.ts'
import { queryOf } from './ask.ts'
import { Chart } from './chart.tsx'
import { lastDays } from './days.ts'
import { amountOf, type Exposed, sumBy, sumOf } from './exposure.ts'
import { formatCount, formatDay, formatMoment, formatShare } from './format.ts'
import { Card, Nothing, ProblemNote, Scroller, type ViewProps } from './parts.tsx'
import { type Exposure, exposureTitles } from './route.ts'
import { useAnswer } from './use-answer.ts'

const metrics = Object.keys(exposureTitles) as Exposure[]

/** What was recommended, how much of it was seen, and clicked. */
export function Recommendations(props: ViewProps) {
  const { route, changes } = props
  const query = queryOf({ last: `${route.days}d`, bots: route.bots })
  const { answer, problem, retry, isLoading } = useAnswer<ClickThroughAnswer>(
    `/api/recommendations/click-through?${query}`,
    changes,
  )
  return (
    <>
      <ProblemNote problem={problem} retry={retry} />
      {answer?.rows.length === 0 && (
        <Card title="No recommendation was seen" className="wide">
          <Nothing>
            The tag's module <code>shelf</code> shows recommendations in a page and tells which were
            seen and clicked; docs/tag.md has the few lines that it takes.
          </Nothing>
        </Card>
      )}
      {answer !== undefined && answer.rows.length > 0 && (
        <>
          <DaysCard {...props} rows={answer.rows} isBusy={isLoading} />
          <div class="columns">
            <PartCard title="Models" head="Model" sums={byModel(answer)} isBusy={isLoading} />
            <PartCard
              title="Positions"
              head="Position"
              sums={byPosition(answer)}
              isBusy={isLoading}
            />
          </div>
          <LatestCard latest={answer.latest} unmatched={answer.unmatchedClicks} />
        </>
      )}
    </>
  )
}

type Sums = readonly (readonly [name: string, exposed: Exposed])[]

function byModel({ rows }: ClickThroughAnswer): Sums {
  return [...sumBy(rows, ({ model }) => model)].sort(
    ([, a], [, b]) => b.impressions - a.impressions,
  )
}

function byPosition({ rows }: ClickThroughAnswer): Sums {
  return [...sumBy(rows, ({ position }) => position)]
    .sort(([a], [b]) => a - b)
    .map(([position, exposed]) => [String(position), exposed])
}

function DaysCard(
  props: ViewProps & { readonly rows: ClickThroughAnswer['rows']; readonly isBusy: boolean },
) {
  const { route, go, health, rows, isBusy } = props
  const [point, setPoint] = useState<number>()
  const today = (health?.now ?? new Date().toISOString()).slice(0, 10)
  const days = useMemo(() => lastDays(route.days, Date.parse(today)), [route.days, today])
  const byDay = useMemo(() => sumBy(rows, ({ day }) => day), [rows])
  const values = useMemo(
    () => days.map((day) => amountOf(byDay.get(day), route.exposure)),
    [days, byDay, route.exposure],
  )
  const all = sumOf(rows)
  const day = days[point ?? -1]
  return (
    <Card title={`The last ${route.days} days`} isBusy={isBusy} className="wide">
      <fieldset class="metrics">
        <legend class="hidden-visually">Show in the chart</legend>
        {metrics.map((metric) => (
          <label key={metric}>
            <input
              type="radio"
              name="exposure"
              value={metric}
              checked={metric === route.exposure}
              onChange={() => go({ exposure: metric })}
            />
            <span class="metric">
              <span>{exposureTitles[metric]}</span>
              <strong>{formatOf(all, metric)}</strong>
              <small>{notes[metric]}</small>
            </span>
          </label>
        ))}
      </fieldset>
      <p class="point soft" aria-hidden="true">
        {day === undefined
          ? `${exposureTitles[route.exposure]} by day (UTC)${route.exposure === 'share' ? ', %' : ''}`
          : `${formatDay(day)}${day === today ? ', so far' : ''}: ${formatOf(byDay.get(day), route.exposure)}`}
      </p>
      <Chart days={days} values={values} onPoint={setPoint} />
      <details>
        <summary>Numbers by day</summary>
        <Scroller name="Numbers by day">
          <table>
            <ExposedHead head="Day (UTC)" />
            <tbody>
              {days.toReversed().map((one) => (
                <tr key={one}>
                  <th scope="row">{formatDay(one)}</th>
                  <ExposedCells exposed={byDay.get(one) ?? nothing} />
                </tr>
              ))}
            </tbody>
          </table>
        </Scroller>
      </details>
    </Card>
  )
}

const nothing: Exposed = { impressions: 0, clicks: 0 }

const notes: Readonly<Record<Exposure, string>> = {
  impressions: 'items seen, each once a recommendation',
  clicks: 'within 24 hours of being seen',
  share: 'of the items seen',
}

function formatOf(exposed: Exposed = nothing, metric: Exposure): string {
  const { impressions, clicks } = exposed
  if (metric === 'share') return formatShare(clicks, impressions)
  return formatCount(metric === 'clicks' ? clicks : impressions)
}

function ExposedHead({ head }: { readonly head: string }) {
  return (
    <thead>
      <tr>
        <th scope="col">{head}</th>
        <th scope="col">Impressions</th>
        <th scope="col">Clicks</th>
        <th scope="col">Clicked</th>
      </tr>
    </thead>
  )
}

function ExposedCells({ exposed }: { readonly exposed: Exposed }) {
  const { impressions, clicks } = exposed
  return (
    <>
      <td>{formatCount(impressions)}</td>
      <td>{formatCount(clicks)}</td>
      <td class="soft">{formatShare(clicks, impressions)}</td>
    </>
  )
}

/** The bar is the clicked share, beside that of the best. */
function PartCard(props: {
  readonly title: string
  readonly head: string
  readonly sums: Sums
  readonly isBusy: boolean
}) {
  const { title, head, sums, isBusy } = props
  const shares = sums.map(([, exposed]) => amountOf(exposed, 'share') ?? 0)
  const most = Math.max(0.01, ...shares)
  return (
    <Card title={title} isBusy={isBusy}>
      <table class="bars">
        <caption class="hidden-visually">{`Click-through by ${head.toLowerCase()}`}</caption>
        <ExposedHead head={head} />
        <tbody>
          {sums.map(([name, exposed], at) => (
            <tr key={name}>
              <th scope="row" title={name}>
                <span class="fill" style={{ width: `${((shares[at] ?? 0) / most) * 100}%` }} />
                <span class="name">{name}</span>
              </th>
              <ExposedCells exposed={exposed} />
            </tr>
          ))}
        </tbody>
      </table>
    </Card>
  )
}

/** Impressions and the clicks on them, joined by the recommendation's id. */
function LatestCard(props: {
  readonly latest: ClickThroughAnswer['latest']
  readonly unmatched: number
}) {
  const { latest, unmatched } = props
  return (
    <Card title="Latest recommendations" className="wide">
      <Scroller name="Seen and clicked, newest first">
        <table class="latest">
          <thead>
            <tr>
              <th scope="col">Recommendation</th>
              <th scope="col">Seen</th>
              <th scope="col">Items by position</th>
            </tr>
          </thead>
          <tbody>
            {latest.map(({ recommendationId, seenAt, items }) => (
              <tr key={recommendationId} data-recommendation={recommendationId}>
                <th scope="row">
                  <code>{recommendationId}</code>
                </th>
                <td>
                  <time dateTime={seenAt}>{formatMoment(seenAt)}</time>
                </td>
                <td>
                  <ul class="chosen">
                    {items.map(({ itemId, position, model, isClicked }) => (
                      <li key={itemId} class={isClicked ? 'is-clicked' : ''} title={model}>
                        {`${position}. ${itemId}`}
                        {isClicked && <strong> clicked</strong>}
                      </li>
                    ))}
                  </ul>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroller>
      {unmatched > 0 && (
        <p class="soft">
          {formatCount(unmatched)} further clicks named a recommendation whose impression did not
          come; they count nowhere.
        </p>
      )}
    </Card>
  )
}
