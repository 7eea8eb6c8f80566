import { isRunByNpm } from '../config.ts'
import { logLine, printError } from './terminal.ts'

/** What was opened, closed in the order of the data: what lets events in goes first. */
export interface Lifecycle {
  /** Registers how to stop something; `stopAll` runs these from the last registered to the first. */
  onStop(name: string, stop: () => Promise<void>): void
  /** Ends the run: a stage cannot go on. */
  fail(error: Error): void
  /** Resolves with the first error that `fail` was told. */
  readonly failed: Promise<Error>
  /** Every stop is tried, even when one before it fails. */
  stopAll(): Promise<void>
}

export function createLifecycle(): Lifecycle {
  const stops: [name: string, stop: () => Promise<void>][] = []
  const { promise: failed, resolve: fail } = Promise.withResolvers<Error>()
  return {
    fail,
    failed,
    onStop(name, stop) {
      stops.push([name, stop])
    },
    async stopAll() {
      for (const [name, stop] of stops.splice(0).reverse()) {
        try {
          await stop()
        } catch (thrown) {
          logLine(`could not stop ${name} cleanly`)
          printError(thrown)
        }
      }
    },
  }
}

/**
 * Opens stages and runs until SIGTERM, SIGINT or a fault of a stage, then stops in order. Sets the
 * exit code; a second signal, a second later or more, ends the process at once.
 */
export async function runUntilSignal(open: (lifecycle: Lifecycle) => Promise<void>): Promise<void> {
  // Listened for before anything is open, so that no signal finds a half-open process.
  const signalled = nextSignal()
  await runUntil(signalled, open, () => {
    const stoppingAt = performance.now()
    const heard = (): void => {
      // One Ctrl+C may come twice: from the terminal, and passed on by the program around this one.
      if (performance.now() - stoppingAt > sameSignalMs) process.exit(130)
    }
    for (const again of signals) process.on(again, heard)
  })
}

/**
 * Opens stages and runs until `told` resolves with a reason, or a stage faults, then stops in order.
 * Sets the exit code.
 */
export async function runUntil(
  told: Promise<string>,
  open: (lifecycle: Lifecycle) => Promise<void>,
  onStopping: () => void = () => {},
): Promise<void> {
  const lifecycle = createLifecycle()
  try {
    await open(lifecycle)
    const end = await Promise.race([told, lifecycle.failed])
    if (end instanceof Error) {
      printError(end)
      process.exitCode = 1
    } else {
      logLine(`${end}: stopping`)
      onStopping()
    }
  } finally {
    await lifecycle.stopAll()
  }
  logLine('stopped')
}

const sameSignalMs = 1_000

const signals = ['SIGTERM', 'SIGINT'] as const

function nextSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    const heard = (signal: NodeJS.Signals): void => {
      for (const name of signals) process.off(name, heard)
      resolve(signal)
    }
    for (const name of signals) process.on(name, heard)
    if (isRunByNpm()) whenOrphaned(() => heard('SIGTERM'))
  })
}

const parentCheckMs = 500

/** npm and its shell end at a SIGTERM without passing it on: whose parent is gone was meant too. */
function whenOrphaned(stop: () => void): void {
  const parent = process.ppid
  const timer = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(timer)
    stop()
  }, parentCheckMs)
  timer.unref()
}
