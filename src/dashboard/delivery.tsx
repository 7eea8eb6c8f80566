import type { AccountingAnswer, HealthAnswer } from '../api/answer.ts'
import { accountingTotals } from './days.ts'
import {
  formatAge,
  formatBytes,
  formatCount,
  formatDay,
  formatMoment,
  formatShare,
} from './format.ts'
import { Card, Nothing, ProblemNote, Scroller } from './parts.tsx'
import { hashOf, type Route, routeTo } from './route.ts'
import type { Followed } from './use-answer.ts'

/** Whether all that was sent is there, and how the way from the log to the store is. */

const parts = {
  stored: 'in the store, each once',
  rejected: 'refused; kept as dead letters',
  missing: 'numbered by the tag, never received',
} as const

/** Sent = stored + rejected + missing; repeats come on top. Of bots too: they are sent as well. */
export function DeliveryCard({ accounting }: { accounting: Followed<AccountingAnswer> }) {
  const { answer, isLoading, problem, retry } = accounting
  const totals = answer && accountingTotals(answer)
  return (
    <Card title="Delivery" isBusy={isLoading} aside={<span class="soft">bots included</span>}>
      <ProblemNote problem={problem} retry={retry} />
      {answer && totals && totals.sent === 0 && <Nothing>Nothing was sent in this range.</Nothing>}
      {answer && totals && totals.sent > 0 && (
        <>
          <p class="sentence">
            <strong>{formatCount(totals.sent)}</strong> events sent,{' '}
            <strong>{formatShare(totals.stored, totals.sent)}</strong> of them stored
          </p>
          <div class="stack" aria-hidden="true">
            {(['stored', 'rejected', 'missing'] as const).map((part) => (
              <span key={part} class={part} style={{ flexGrow: totals[part] / totals.sent }} />
            ))}
          </div>
          <dl class="facts">
            {(['stored', 'rejected', 'missing'] as const).map((part) => (
              <div key={part}>
                <dt>
                  <i class={`dot ${part}`} />
                  {part}
                  <small>{parts[part]}</small>
                </dt>
                <dd>
                  {formatCount(totals[part])}
                  <small>{formatShare(totals[part], totals.sent)}</small>
                </dd>
              </div>
            ))}
            <div>
              <dt>
                <i class="dot" />
                repeated
                <small>received more than once, counted once</small>
              </dt>
              <dd>
                {formatCount(totals.repeated)}
                <small>{formatShare(totals.repeated, totals.sent)}</small>
              </dd>
            </div>
          </dl>
          <DeliveryTable rows={answer.rows} />
        </>
      )}
    </Card>
  )
}

const columns = ['sent', 'stored', 'rejected', 'missing', 'repeated'] as const

function DeliveryTable({ rows }: { rows: AccountingAnswer['rows'] }) {
  return (
    <details>
      <summary>Delivery by day</summary>
      <Scroller name="Delivery by day">
        <table>
          <thead>
            <tr>
              <th scope="col">Day (UTC)</th>
              {columns.map((column) => (
                <th key={column} scope="col">
                  {column}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.toReversed().map((row) => (
              <tr key={row.day}>
                <th scope="row">{formatDay(row.day)}</th>
                {columns.map((column) => (
                  <td key={column}>{formatCount(row[column])}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </Scroller>
    </details>
  )
}

const consumers: Readonly<Record<string, string>> = {
  running: 'storing as events arrive',
  waiting: 'waiting: it cannot store now',
  elsewhere: 'stored by other processes',
  stopped: 'nobody stores: no consumer runs',
}

export function SystemCard(props: {
  readonly health: HealthAnswer | undefined
  readonly route: Route
}) {
  const { health, route } = props
  if (health === undefined) {
    return (
      <Card title="System" isBusy>
        <Nothing>Asking…</Nothing>
      </Card>
    )
  }
  const { lastStoredAt, storeBytes } = health
  const letters = hashOf(routeTo(route, 'dead-letters'))
  const facts = [
    ['Health', health.ok ? 'good' : 'bad', health.problem ?? consumers[health.consumer] ?? ''],
    ['Lag', known(health.lag), 'records waiting to be stored'],
    [
      'Last stored event',
      lastStoredAt === null ? 'none' : formatAge(lastStoredAt, Date.parse(health.now)),
      lastStoredAt === null ? '' : formatMoment(lastStoredAt),
    ],
    ['Stored events', known(health.events), 'each once, bots included'],
    ['Repeated receipts', known(health.duplicates), 'seen before, counted once'],
    ['Store', storeBytes === null ? 'unknown' : formatBytes(storeBytes), 'on disk'],
  ] as const
  return (
    <Card title="System" aside={<span class="soft">Millrace {health.version}</span>}>
      <dl class={health.ok ? 'facts' : 'facts is-bad'}>
        {facts.map(([name, value, note]) => (
          <div key={name}>
            <dt>
              {name}
              <small>{note}</small>
            </dt>
            <dd>{value}</dd>
          </div>
        ))}
        <div>
          <dt>
            <a href={letters}>Dead letters</a>
            <small>kept with their reason</small>
          </dt>
          <dd>{known(health.deadLetters)}</dd>
        </div>
      </dl>
    </Card>
  )
}

function known(count: number | null): string {
  return count === null ? 'unknown' : formatCount(count)
}
