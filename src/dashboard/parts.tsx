import type { ComponentChildren } from 'preact'
import { useEffect, useId, useState } from 'preact/hooks'
import type { DatedAnswer, HealthAnswer } from '../api/answer.ts'
import type { Problem } from './ask.ts'
import type { Feed } from './feed.ts'
import { formatCount, formatMoment, formatShare, isWebAddress } from './format.ts'
import type { Route } from './route.ts'

/**
 * What the views are made of. What visitors sent is only ever set as text, and only http(s)
 * addresses become links.
 */

/** What every view gets. */
export interface ViewProps {
  readonly route: Route
  /** Goes to another route; what is not named stays. */
  readonly go: (change: Partial<Route>) => void
  readonly feed: Feed
  /** Says `change` when answers may be other ones. */
  readonly changes: EventTarget
  readonly health: HealthAnswer | undefined
}

export interface CardProps {
  readonly title: string
  /** Beside the title. */
  readonly aside?: ComponentChildren
  readonly isBusy?: boolean
  readonly className?: string
  readonly children: ComponentChildren
}

/** A titled part of a view. */
export function Card({ title, aside, isBusy = false, className = '', children }: CardProps) {
  const id = useId()
  return (
    <section class={`card ${className}`} aria-labelledby={id} aria-busy={isBusy}>
      <div class="bar">
        <h2 id={id}>{title}</h2>
        {aside}
      </div>
      {children}
    </section>
  )
}

/** What went wrong, what to do, and a way to try again. */
export function ProblemNote(props: {
  readonly problem: Problem | undefined
  readonly retry: () => void
}) {
  const { problem, retry } = props
  if (problem === undefined) return null
  return (
    <div class="problem" role="alert">
      <p>
        <strong>{problem.message}.</strong> {problem.hint}.
      </p>
      <button type="button" onClick={retry}>
        Try again
      </button>
    </div>
  )
}

/** Until when the numbers have everything, where one of the answers is behind. */
export function BehindNote({ answers }: { answers: readonly (DatedAnswer | undefined)[] }) {
  const [oldest] = answers
    .map((answer) => answer?.asOf ?? '')
    .filter(Boolean)
    .toSorted()
  if (oldest === undefined) return null
  return (
    <p class="soft" role="status">
      Counted as of <time dateTime={oldest}>{formatMoment(oldest)}</time>; what was stored since is
      still being counted.
    </p>
  )
}

/** Why there is nothing here, and what to do next. */
export function Nothing({ children }: { readonly children: ComponentChildren }) {
  return <div class="nothing">{children}</div>
}

/** A text of a visitor: a link when it is an http(s) address. */
export function MaybeLink({ text, children }: { text: string; children?: ComponentChildren }) {
  if (!isWebAddress(text)) return <>{children ?? text}</>
  return (
    <a href={text} rel="noreferrer noopener" target="_blank">
      {children ?? text}
    </a>
  )
}

export interface BarRow {
  readonly name: string
  readonly count: number
  /** As it is shown, when it is not the name itself. */
  readonly shown?: ComponentChildren
}

/** Counts as a table whose rows are drawn as bars; shares are of `whole`, where it is known. */
export function BarTable(props: {
  readonly caption: string
  readonly heads: readonly [string, string]
  readonly rows: readonly BarRow[]
  readonly whole: number | undefined
}) {
  const { caption, heads, rows, whole } = props
  const most = Math.max(1, ...rows.map(({ count }) => count))
  return (
    <table class="bars">
      <caption class="hidden-visually">{caption}</caption>
      <thead>
        <tr>
          <th scope="col">{heads[0]}</th>
          <th scope="col">{heads[1]}</th>
          {whole !== undefined && <th scope="col">Share</th>}
        </tr>
      </thead>
      <tbody>
        {rows.map(({ name, count, shown }) => (
          <tr key={name}>
            <th scope="row" title={name}>
              <span class="fill" style={{ width: `${(count / most) * 100}%` }} />
              <span class="name">{shown ?? name}</span>
            </th>
            <td>{formatCount(count)}</td>
            {whole !== undefined && <td class="soft">{formatShare(count, whole)}</td>}
          </tr>
        ))}
      </tbody>
    </table>
  )
}

/** One of a few, as radio buttons that look like one control. */
export function Choice<Value extends string | number>(props: {
  readonly legend: string
  readonly options: readonly (readonly [Value, string])[]
  readonly value: Value
  readonly onChoose: (value: Value) => void
}) {
  const name = useId()
  return (
    <fieldset class="choice">
      <legend class="hidden-visually">{props.legend}</legend>
      {props.options.map(([value, title]) => (
        <label key={value}>
          <input
            type="radio"
            name={name}
            value={value}
            checked={value === props.value}
            onChange={() => props.onChoose(value)}
          />
          <span>{title}</span>
        </label>
      ))}
    </fieldset>
  )
}

/** A wide table scrolls by itself, by keyboard too. */
export function Scroller({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard
    <section class="scroll" aria-label={name} tabIndex={0}>
      {children}
    </section>
  )
}

/** Draws again whenever the feed says `change`. */
export function useFeed(feed: Feed): void {
  const [, setTurn] = useState(0)
  useEffect(() => {
    const turn = (): void => setTurn((number) => number + 1)
    feed.addEventListener('change', turn)
    turn()
    return () => feed.removeEventListener('change', turn)
  }, [feed])
}
