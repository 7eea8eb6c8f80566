import type { RetentionAnswer } from '../api/answer.ts'
import { queryOf } from './ask.ts'
import { formatCount, formatShare, formatShortDay } from './format.ts'
import { Card, Nothing, ProblemNote, Scroller, type ViewProps } from './parts.tsx'
import { useAnswer } from './use-answer.ts'

/** Of the parties first seen in a week, how many came again in the weeks after. */
export function Retention({ route, changes }: ViewProps) {
  const query = queryOf({ last: `${route.days}d`, bots: route.bots })
  const { answer, problem, retry, isLoading } = useAnswer<RetentionAnswer>(
    `/api/retention?${query}`,
    changes,
  )
  return (
    <Card title="Parties that came again" isBusy={isLoading} className="wide">
      <p class="soft">
        A row is the week (from Monday, UTC) in which parties were first seen within the range; a
        column is how many weeks later some of them were seen again. The last figure of a row is of
        a week that is not over, and the first row may begin within its week.
      </p>
      <ProblemNote problem={problem} retry={retry} />
      {answer?.rows.length === 0 && (
        <Nothing>No party was seen in this range. The tag gives every browser an id.</Nothing>
      )}
      {answer !== undefined && answer.rows.length > 0 && <RetentionTable rows={answer.rows} />}
    </Card>
  )
}

/** The greatest share is as strong as text on it can still be read. */
const tintMax = 55

function RetentionTable({ rows }: { rows: RetentionAnswer['rows'] }) {
  const weeks = Math.max(1, ...rows.map(({ returned }) => returned.length)) - 1
  const shares = rows.flatMap(({ parties, returned }) =>
    returned.slice(1).map((count) => count / Math.max(1, parties)),
  )
  const most = Math.max(0.01, ...shares)
  return (
    <Scroller name="Retention by week">
      <table class="retention">
        <caption class="hidden-visually">
          Parties by week of first event and weeks until again
        </caption>
        <thead>
          <tr>
            <th scope="col">Week of</th>
            <th scope="col">Parties</th>
            {Array.from({ length: weeks }, (_, week) => (
              <th key={week} scope="col">
                {`+${week + 1} wk`}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ week, parties, returned }) => (
            <tr key={week}>
              <th scope="row">{formatShortDay(Date.parse(week))}</th>
              <td>{formatCount(parties)}</td>
              {returned.slice(1).map((count, index) => (
                <td
                  key={index}
                  class="tint"
                  title={`${formatCount(count)} of ${formatCount(parties)}`}
                  style={{ '--tint': `${parties === 0 ? 0 : (count / parties / most) * tintMax}%` }}
                >
                  {index === returned.length - 2 ? (
                    <em>{formatShare(count, parties)}</em>
                  ) : (
                    formatShare(count, parties)
                  )}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </Scroller>
  )
}
