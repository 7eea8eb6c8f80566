import { MillraceError } from '../event/error.ts'
import { toError } from '../lib/assert.ts'

/** Prints an error as a person reads it: what happened, what to do, and the code to search for. */
export function printError(thrown: unknown): void {
  const error = toError(thrown)
  if (error instanceof MillraceError) {
    // The API's description is no help to whoever has typed an option.
    const hint = error.code === 'question_invalid' ? optionHint : error.hint
    process.stderr.write(`millrace: ${printableLines(error.message)}\n  ${hint} [${error.code}]\n`)
  } else {
    process.stderr.write(`millrace: ${printableLines(error.stack ?? error.message)}\n`)
  }
}

const optionHint = 'The same command with --help shows its options'

/** `1 event`, `2,000 events`. */
export function quantity(count: number, noun: string): string {
  return `${count.toLocaleString('en')} ${noun}${count === 1 ? '' : 's'}`
}

/** A line for the operator of a running process; further lines of the text are set in. */
export function logLine(text: string): void {
  process.stderr.write(`${new Date().toISOString()} ${printableLines(text)}\n`)
}

/** Progress of long work: redrawn in place on a terminal, a line every few seconds elsewhere. */
export interface ProgressBar {
  update(done: number, total: number): void
  end(): void
}

const barCharacters = 30
const quietIntervalMs = 5_000

export function createProgressBar(
  label: string,
  stream: NodeJS.WriteStream = process.stderr,
): ProgressBar {
  const startedAt = performance.now()
  let lastAt = Number.NEGATIVE_INFINITY
  const line = (done: number, total: number): string => {
    const share = total === 0 ? 1 : Math.min(1, done / total)
    const filled = Math.round(share * barCharacters)
    const seconds = (performance.now() - startedAt) / 1_000
    // The first batches tell nothing of the speed.
    const speed = seconds < 1 ? '' : ` (${Math.round(done / seconds).toLocaleString('en')}/s)`
    const bar = `${'█'.repeat(filled)}${'░'.repeat(barCharacters - filled)}`
    return `${label} ${bar} ${done.toLocaleString('en')} of ${total.toLocaleString('en')}${speed}`
  }
  return {
    update(done, total) {
      const now = performance.now()
      if (now - lastAt < (stream.isTTY ? 100 : quietIntervalMs) && done < total) return
      lastAt = now
      stream.write(stream.isTTY ? `\r${line(done, total)}\u001b[K` : `${line(done, total)}\n`)
    },
    end() {
      if (stream.isTTY && lastAt > 0) stream.write('\n')
    },
  }
}

/** Writes to standard output and waits while it is full; false when its reader has gone away. */
export async function printOut(text: string | Uint8Array): Promise<boolean> {
  const { stdout } = process
  if (stdout.destroyed) return false
  if (!stdout.write(text)) {
    await new Promise<void>((resolve) => {
      const done = (): void => {
        stdout.off('drain', done).off('close', done).off('error', done)
        resolve()
      }
      stdout.on('drain', done).on('close', done).on('error', done)
    })
  }
  return !stdout.destroyed
}

/** A text that comes from visitors or files: a terminal must not obey it. */
export function printable(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '\ufffd')
}

/** Likewise for several lines: none of them looks like one of ours. */
function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n  ')
}

/** A value as a line of JSON. */
export function jsonLine(value: unknown): string {
  return `${printableJson(JSON.stringify(value))}\n`
}

/** JSON with its C1 controls, which a terminal may obey, escaped as it has C0 ones. */
export function printableJson(text: string): string {
  return text.replace(/[\u007f-\u009f]/g, (one) => `\\u00${one.charCodeAt(0).toString(16)}`)
}
