import type { Config } from '../config.ts'
import { type ImportProgress, type ImportResult, importSource } from '../import/import.ts'
import type { ImportSource } from '../import/source.ts'
import type { ImportBegun, ImportTarget, ImportWritten } from '../import/target.ts'
import { type ApiClient, connectOwner } from './client.ts'
import { createLifecycle } from './lifecycle.ts'
import { importTargetOf, openStoreStage } from './stages.ts'
import { createProgressBar, printable } from './terminal.ts'

/** What `import` and `simulate` share: the way to the store, progress, and the summary. */

/**
 * Runs `work` with where rows go: the owner of the data folder, through its API; where nobody owns
 * it, this process does for the while, so that history can be imported before the first start.
 * @throws MillraceError `owner_present`, `api_unreachable`
 */
export async function withImportTarget<Result>(
  config: Config,
  work: (target: ImportTarget) => Promise<Result>,
): Promise<Result> {
  const api = await connectOwner(config)
  if (api !== undefined) return work(remoteTarget(api))
  const lifecycle = createLifecycle()
  try {
    return await work(importTargetOf(config, await openStoreStage(config, lifecycle)))
  } finally {
    await lifecycle.stopAll()
  }
}

function remoteTarget(api: ApiClient): ImportTarget {
  const post = (path: string, body: object): RequestInit & { path: string } => ({
    path,
    method: 'POST',
    body: JSON.stringify(body),
  })
  const send = <Answer>({ path, ...init }: ReturnType<typeof post>): Promise<Answer> =>
    api.json<Answer>(path, init)
  return {
    begin: (request) => send<ImportBegun>(post('/api/imports', request)),
    write: (body) =>
      api.json<ImportWritten>('/api/imports/rows', {
        method: 'POST',
        headers: { 'Content-Type': 'application/vnd.millrace.import' },
        body: Uint8Array.from(body),
      }),
    forget: async (log) => {
      await send(post('/api/imports/forget', { log }))
    },
  }
}

export interface ImportRunFlags {
  readonly outsideRetention?: boolean
  readonly again?: boolean
}

/** Imports a source with progress and prints what came of it. Ctrl+C ends it after a batch. */
export async function runImport(
  config: Config,
  source: ImportSource,
  flags: ImportRunFlags,
): Promise<void> {
  const stopping = new AbortController()
  const stop = (): void => stopping.abort()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop)
  const show = createProgress()
  const startedAt = performance.now()
  const result = await withImportTarget(config, (target) =>
    importSource(source, target, {
      outsideRetention: flags.outsideRetention === true,
      again: flags.again === true,
      signal: stopping.signal,
      onProgress: show.update,
    }),
  ).finally(() => {
    show.end()
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, stop)
  })
  printResult(result, (performance.now() - startedAt) / 1_000)
}

function createProgress(): { update: (progress: ImportProgress) => void; end: () => void } {
  let phase: ImportProgress['phase'] | undefined
  let bar: ReturnType<typeof createProgressBar> | undefined
  return {
    update(progress) {
      if (phase !== progress.phase) {
        bar?.end()
        phase = progress.phase
        bar = createProgressBar(phase === 'reading' ? 'reading  ' : 'importing')
      }
      bar?.update(progress.done, progress.total)
    },
    end: () => bar?.end(),
  }
}

function printResult(result: ImportResult, seconds: number): void {
  const { rows, imported, present, refused, reasons, fault } = result
  const perSecond = Math.round(rows / Math.max(0.001, seconds))
  const stored =
    imported === null || present === null
      ? `${count(rows - refused)} imported or there already`
      : `${count(imported)} imported, ${count(present)} there already`
  const counts = `${stored}, ${count(refused)} refused`
  process.stdout.write(
    `${counts}, of ${count(rows)} rows in ${seconds.toFixed(1)} s (${count(perSecond)} rows/s)\n`,
  )
  for (const { reason } of reasons) process.stderr.write(`  ${printable(reason)}\n`)
  if (refused > reasons.length) {
    process.stderr.write(`  … and ${count(refused - reasons.length)} more\n`)
  }
  if (refused > 0) process.stderr.write('  millrace dead-letters list --code import_row has them\n')
  if (imported === 0 && present !== null && present > 0) {
    process.stderr.write(
      '  an event stays as it was first stored, also when the columns are others\n',
    )
  }
  if (fault !== null) {
    process.stderr.write(`millrace: ${printable(fault.message)}\n  ${fault.hint} [${fault.code}]\n`)
  }
  if (!result.complete) process.stderr.write('stopped; the same command again goes on here\n')
  if (refused > 0 || fault !== null) process.exitCode = 1
  if (!result.complete) process.exitCode = 130
}

function count(value: number): string {
  return value.toLocaleString('en')
}
