import type { CountsAnswer, FunnelAnswer } from '../api/answer.ts'
import { queryOf } from './ask.ts'
import { countsByType, firstSteps } from './days.ts'
import { formatCount, formatShare } from './format.ts'
import { Card, Nothing, ProblemNote, type ViewProps } from './parts.tsx'
import { useAnswer } from './use-answer.ts'

/** How many parties get how far through steps that the reader chooses. */
export function Funnel({ route, go, changes }: ViewProps) {
  const range = { last: `${route.days}d`, bots: route.bots }
  const counts = useAnswer<CountsAnswer>(`/api/counts?${queryOf(range)}`, changes)
  // The API takes the steps apart at commas.
  const types = (counts.answer ? countsByType(counts.answer) : [])
    .map((row) => row.eventType)
    .filter((eventType) => !eventType.includes(','))
  const steps = route.steps.length > 0 ? route.steps : firstSteps(types)
  const path =
    steps.length < stepsMin
      ? undefined
      : `/api/funnel?${queryOf({ ...range, steps: steps.join(',') })}`
  const funnel = useAnswer<FunnelAnswer>(path, changes)
  return (
    <>
      <ProblemNote problem={counts.problem} retry={counts.retry} />
      <div class="columns is-uneven">
        <Card title="Steps">
          <StepChoice types={types} steps={steps} onChoose={(chosen) => go({ steps: chosen })} />
        </Card>
        <Card title="Parties that went on" isBusy={funnel.isLoading}>
          <ProblemNote problem={funnel.problem} retry={funnel.retry} />
          {path === undefined && counts.answer !== undefined && (
            <Nothing>
              {types.length === 0
                ? 'No events in this range, so there are no steps to choose from.'
                : 'Choose two steps or more.'}
            </Nothing>
          )}
          {funnel.answer !== undefined && path !== undefined && (
            <FunnelTable rows={funnel.answer.rows} />
          )}
        </Card>
      </div>
    </>
  )
}

const stepsMin = 2
/** More than anybody reads. */
const stepsMax = 10

function StepChoice(props: {
  readonly types: readonly string[]
  readonly steps: readonly string[]
  readonly onChoose: (steps: readonly string[]) => void
}) {
  const { types, steps, onChoose } = props
  const next = types.find((eventType) => !steps.includes(eventType)) ?? types[0]
  return (
    <>
      <p class="soft">Event types in the order in which a party has to do them.</p>
      <ol class="steps">
        {steps.map((step, index) => (
          <li key={index}>
            <select
              aria-label={`Step ${index + 1}`}
              value={step}
              onChange={({ currentTarget }) => onChoose(steps.with(index, currentTarget.value))}
            >
              {(types.includes(step) ? types : [step, ...types]).map((eventType) => (
                <option key={eventType} value={eventType}>
                  {eventType}
                </option>
              ))}
            </select>
            <button
              type="button"
              aria-label={`Remove step ${index + 1}, ${step}`}
              disabled={steps.length <= stepsMin}
              onClick={() => onChoose(steps.toSpliced(index, 1))}
            >
              Remove
            </button>
          </li>
        ))}
      </ol>
      <button
        type="button"
        disabled={next === undefined || steps.length >= stepsMax}
        onClick={() => next !== undefined && onChoose([...steps, next])}
      >
        Add a step
      </button>
    </>
  )
}

function FunnelTable({ rows }: { rows: FunnelAnswer['rows'] }) {
  const first = rows[0]?.parties ?? 0
  return (
    <table class="bars">
      <caption class="hidden-visually">Parties that did each step after those before</caption>
      <thead>
        <tr>
          <th scope="col">Step</th>
          <th scope="col">Parties</th>
          <th scope="col">Of the first</th>
          <th scope="col">Of the previous</th>
        </tr>
      </thead>
      <tbody>
        {rows.map(({ step, parties }, index) => (
          <tr key={index}>
            <th scope="row" title={step}>
              <span
                class="fill"
                style={{ width: `${first === 0 ? 0 : (parties / first) * 100}%` }}
              />
              <span class="name">
                {index + 1}. {step}
              </span>
            </th>
            <td>{formatCount(parties)}</td>
            <td class="soft">{formatShare(parties, first)}</td>
            <td class="soft">
              {index === 0 ? '' : formatShare(parties, rows[index - 1]?.parties ?? 0)}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}
