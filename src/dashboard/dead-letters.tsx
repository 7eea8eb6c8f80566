import { useRef, useState } from 'preact/hooks'
import type {
  DeadLetterAnswer,
  DeadLettersAnswer,
  DeadLettersReplayAnswer,
  PositionAnswer,
} from '../api/answer.ts'
import { ask, type Problem, problemOf, queryOf } from './ask.ts'
import { formatMoment, formatNumberOf } from './format.ts'
import { Card, Nothing, ProblemNote, type ViewProps } from './parts.tsx'
import { useAnswer } from './use-answer.ts'

/** Shown at first, then more on demand; the command line lists them all. */
const limits = [50, 200, 1_000] as const

type Which = readonly PositionAnswer[] | 'all'

interface Outcome {
  readonly text: string
  readonly problem?: Problem
  /** What was to be replayed. */
  readonly which?: Which
}

/** What could not be stored, why, what to do about it, and another try. */
export function DeadLetters({ changes }: ViewProps) {
  const [step, setStep] = useState(0)
  const { answer, problem, retry, isLoading } = useAnswer<DeadLettersAnswer>(
    `/api/dead-letters?${queryOf({ limit: limits[step] })}`,
    changes,
  )
  const { outcome, isReplaying, told, replay, again } = useReplay(retry)
  const letters = answer?.deadLetters ?? []
  const canReplay = letters.some((letter) => letter.replayable && letter.replayedAt === null)
  return (
    <Card
      title="Kept with their reason"
      isBusy={isLoading || isReplaying}
      className="wide"
      aside={
        // Disabled, it would lose the focus of whoever has just pressed it.
        <button
          type="button"
          aria-disabled={!canReplay || isReplaying}
          onClick={() => canReplay && !isReplaying && void replay('all')}
        >
          Replay all
        </button>
      }
    >
      <p class="soft">
        Requests and records that could not be stored, newest first. A replay tries again; what is
        stored already is not stored twice.
      </p>
      <p class="outcome" role="status" ref={told} tabIndex={-1}>
        {isReplaying ? 'Replaying…' : outcome.text}
      </p>
      <ProblemNote problem={outcome.problem} retry={again} />
      <ProblemNote problem={problem} retry={retry} />
      {answer !== undefined && letters.length === 0 && (
        <Nothing>Nothing was refused and everything could be read. There is nothing to do.</Nothing>
      )}
      <ol class="letters">
        {letters.map((letter) => (
          <Letter
            key={keyOf(letter.position)}
            letter={letter}
            isReplaying={isReplaying}
            onReplay={() => void replay([letter.position])}
          />
        ))}
      </ol>
      {answer?.next != null && step < limits.length - 1 && (
        <button type="button" class="more" onClick={() => setStep(step + 1)}>
          Show older ones
        </button>
      )}
      {answer?.next != null && step === limits.length - 1 && (
        <p class="soft">
          Older ones are listed by <code>millrace dead-letters</code>.
        </p>
      )}
    </Card>
  )
}

/** Tries dead letters again, and says what became of it. */
function useReplay(onEnd: () => void) {
  const [outcome, setOutcome] = useState<Outcome>({ text: '' })
  const [isReplaying, setReplaying] = useState(false)
  const told = useRef<HTMLParagraphElement>(null)
  const replay = async (which: Which): Promise<void> => {
    setReplaying(true)
    try {
      const body = which === 'all' ? { all: true } : { positions: which }
      const path = '/api/dead-letters/replay'
      setOutcome({ text: outcomeOf(await ask<DeadLettersReplayAnswer>(path, null, body)) })
    } catch (thrown) {
      setOutcome({ text: '', problem: problemOf(thrown), which })
    }
    setReplaying(false)
    // The button of what was replayed goes away, and the focus must not go with it.
    told.current?.focus()
    onEnd()
  }
  const again = (): void => void replay(outcome.which ?? 'all')
  return { outcome, isReplaying, told, replay, again }
}

function outcomeOf({ replayed, failures }: DeadLettersReplayAnswer): string {
  const done = `${formatNumberOf(replayed, 'dead letter')} replayed.`
  const [first] = failures
  if (first === undefined) return done
  const { message, hint } = first.error
  return `${done} ${formatNumberOf(failures.length, 'is', 'are')} dead still: ${message}. ${hint}.`
}

function keyOf({ log, topic, partition, offset }: PositionAnswer): string {
  return `${log}/${topic}/${partition}/${offset}`
}

function Letter(props: {
  readonly letter: DeadLetterAnswer
  readonly isReplaying: boolean
  readonly onReplay: () => void
}) {
  const { letter, isReplaying, onReplay } = props
  const { position, code, replayedAt } = letter
  const place = `${position.topic} ${position.partition}/${position.offset}`
  return (
    <li>
      <div class="bar">
        <h3>
          <span class={replayedAt === null ? 'code' : 'code is-done'}>{code}</span>
        </h3>
        {letter.replayable && replayedAt === null && (
          <button
            type="button"
            aria-disabled={isReplaying}
            aria-label={`Replay ${code} at ${place}`}
            onClick={() => !isReplaying && onReplay()}
          >
            Replay
          </button>
        )}
      </div>
      <p>{letter.message}</p>
      {letter.hint !== null && <p class="hint">{letter.hint}</p>}
      <p class="soft small">
        <time dateTime={letter.receivedAt}>{formatMoment(letter.receivedAt)}</time>, by{' '}
        {letter.source}, at {place}
        {replayedAt !== null && `, replayed ${formatMoment(replayedAt)}`}
        {!letter.replayable && ', cannot be replayed'}
      </p>
      <details>
        <summary>
          What was sent<span class="hidden-visually">, {place}</span>
        </summary>
        <pre>
          <code>{letter.body === '' ? '(nothing)' : letter.body}</code>
        </pre>
        {letter.bodyEncoding === 'hex' && <p class="soft small">Bytes in hex.</p>}
        {letter.bodyTruncated && <p class="soft small">There was more than is shown.</p>}
      </details>
    </li>
  )
}
