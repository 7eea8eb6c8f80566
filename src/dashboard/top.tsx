import type { ComponentChildren } from 'preact'
import type {
  CountriesAnswer,
  CountsAnswer,
  DevicesAnswer,
  TopItemsAnswer,
  TopPagesAnswer,
  TopReferrersAnswer,
} from '../api/answer.ts'
import { queryOf } from './ask.ts'
import { countsByType } from './days.ts'
import { formatCountry } from './format.ts'
import {
  type BarRow,
  BarTable,
  BehindNote,
  Card,
  Choice,
  MaybeLink,
  Nothing,
  ProblemNote,
  type ViewProps,
} from './parts.tsx'
import { type Software, softwareTitles } from './route.ts'
import { type Followed, useAnswer } from './use-answer.ts'

const rowsMax = 15

/** What is looked at most, from where and with what. */
export function Top({ route, go, changes }: ViewProps) {
  const range = { last: `${route.days}d`, bots: route.bots }
  const counts = useAnswer<CountsAnswer>(`/api/counts?${queryOf(range)}`, changes)
  const query = queryOf({ ...range, eventType: route.eventType, limit: rowsMax })
  const items = useAnswer<TopItemsAnswer>(`/api/top-items?${query}`, changes)
  const pages = useAnswer<TopPagesAnswer>(`/api/top-pages?${query}`, changes)
  const referrers = useAnswer<TopReferrersAnswer>(`/api/top-referrers?${query}`, changes)
  const countries = useAnswer<CountriesAnswer>(`/api/countries?${query}`, changes)
  const types = counts.answer ? countsByType(counts.answer).map((row) => row.eventType) : []
  return (
    <>
      <TypeChoice
        types={types}
        value={route.eventType}
        onChoose={(eventType) => go({ eventType })}
      />
      <div class="columns">
        <TopCard
          title="Items"
          head="Item"
          followed={items}
          rowsOf={({ rows }) => rows.map(({ itemId, count }) => ({ name: itemId, count }))}
          note={<BehindNote answers={[items.answer]} />}
          nothing="No event of this range has an item. The tag sends one in the parameter item_id: divolte.signal('preview', {item_id: 42})"
        />
        <TopCard
          title="Pages"
          head="Page"
          followed={pages}
          rowsOf={({ rows }) =>
            rows.map(({ page, count }) => ({
              name: page,
              count,
              shown: <MaybeLink text={page}>{page.replace(/^https?:\/\//i, '')}</MaybeLink>,
            }))
          }
          nothing="No page was viewed in this range."
        />
        <TopCard
          title="Referrers"
          head="Other site"
          followed={referrers}
          rowsOf={({ rows }) => rows.map(({ referrer, count }) => ({ name: referrer, count }))}
          nothing="Nobody came from another site, or sites do not say."
        />
        <TopCard
          title="Countries"
          head="Country"
          followed={countries}
          rowsOf={({ rows }) =>
            rows.map(({ country, count }) => ({
              name: country,
              count,
              shown: formatCountry(country),
            }))
          }
          nothing="No events in this range."
        />
        <ProgramCards route={route} go={go} changes={changes} query={query} />
      </div>
    </>
  )
}

/** What parties look at it with. */
function ProgramCards(
  props: Pick<ViewProps, 'route' | 'go' | 'changes'> & { readonly query: string },
) {
  const { route, go, changes, query } = props
  const devices = useAnswer<DevicesAnswer>(`/api/devices?by=device&${query}`, changes)
  const programs = useAnswer<DevicesAnswer>(`/api/devices?by=${route.software}&${query}`, changes)
  return (
    <>
      <TopCard
        title="Devices"
        head="Device"
        followed={devices}
        rowsOf={deviceRows}
        nothing="No events in this range."
      />
      <TopCard
        title={softwareTitles[route.software]}
        head={softwareTitles[route.software].slice(0, -1)}
        followed={programs}
        rowsOf={deviceRows}
        nothing="No events in this range."
        aside={
          <Choice<Software>
            legend="Browsers or systems"
            options={Object.entries(softwareTitles) as [Software, string][]}
            value={route.software}
            onChoose={(software) => go({ software })}
          />
        }
      />
    </>
  )
}

function deviceRows({ rows }: DevicesAnswer): readonly BarRow[] {
  return rows.map(({ device, count }) => ({
    name: device,
    count,
    shown: device === 'unknown' ? 'Unknown' : device,
  }))
}

function TypeChoice(props: {
  readonly types: readonly string[]
  readonly value: string
  readonly onChoose: (eventType: string) => void
}) {
  const { types, value, onChoose } = props
  // A linked type may not be among those of the range.
  const options = value === '' || types.includes(value) ? types : [value, ...types]
  return (
    <p class="filter">
      <label>
        Count{' '}
        <select value={value} onChange={({ currentTarget }) => onChoose(currentTarget.value)}>
          <option value="">by default</option>
          {options.map((eventType) => (
            <option key={eventType} value={eventType}>
              {eventType}
            </option>
          ))}
        </select>
      </label>{' '}
      <span class="soft">
        {value === ''
          ? 'Pages and referrers by page views, the others by all events.'
          : 'Only events of this type.'}
      </span>
    </p>
  )
}

function TopCard<Answer>(props: {
  readonly title: string
  readonly head: string
  readonly followed: Followed<Answer>
  readonly rowsOf: (answer: Answer) => readonly BarRow[]
  readonly nothing: string
  readonly aside?: ComponentChildren
  readonly note?: ComponentChildren
}) {
  const { title, head, followed, rowsOf, nothing, aside, note } = props
  const { answer, problem, retry, isLoading } = followed
  const rows = answer && rowsOf(answer)
  // A list that is cut off does not know what it is a part of.
  const isWhole = rows !== undefined && rows.length < rowsMax
  const whole = isWhole ? rows.reduce((sum, { count }) => sum + count, 0) : undefined
  return (
    <Card title={title} aside={aside} isBusy={isLoading}>
      <ProblemNote problem={problem} retry={retry} />
      {rows?.length === 0 && <Nothing>{nothing}</Nothing>}
      {rows !== undefined && rows.length > 0 && (
        <BarTable caption={title} heads={[head, 'Events']} rows={rows} whole={whole} />
      )}
      {note}
    </Card>
  )
}
