import type { Verdict } from './checker.ts'
import { isCaught, isKept, type RowResult, type SeedResult } from './run.ts'

/** How fault runs are told: a line for each seed, a table at the end. */

/** One seed in a line. */
export function lineOf({ seed, isControl, verdict, broken, notes, seconds }: SeedResult): string {
  const { sent, acknowledged, stored } = verdict
  const faults = faultsOf(verdict, broken)
  const took = `${seconds.toFixed(1)} s`
  const how = faults.length === 0 ? 'kept' : faults.join(', ')
  const which = isControl ? 'control' : 'seed'
  const figures = `${sent} sent, ${acknowledged} acknowledged, ${stored} stored`
  return `${which} ${seed}: ${figures}; ${how} (${took}; ${notes.join(', ')})`
}

/** All rows in a table with totals. */
export function tableOf(results: readonly RowResult[]): string {
  const head = ['row', 'fault', 'seeds', ...figureNames, 'broken', 'control']
  const lines = results.map((result) => {
    const total = sumOf(result.seeds)
    const broken = result.seeds.reduce((sum, { broken }) => sum + broken.length, 0)
    const figures = figureNames.map((name) => `${total[name]}`)
    const seeds = `${result.seeds.length}`
    const { number, title } = result.row
    if (result.skipped !== undefined) return [`${number}`, title, 'SKIPPED']
    return [`${number}`, title, seeds, ...figures, `${broken}`, controlOf(result)]
  })
  const widths = head.map((_, at) => Math.max(...[head, ...lines].map((line) => cell(line, at))))
  return [head, ...lines]
    .map((line) =>
      line
        .map((text, at) => text.padEnd(widths[at] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** One sentence for a row whose promise was broken, or whose control was missed. */
export function complaintsOf(result: RowResult): string[] {
  const name = `row ${result.row.number} (${result.row.title})`
  return [
    ...(isKept(result) ? [] : [`BROKEN PROMISE: ${name}`]),
    ...(isCaught(result) ? [] : [`THE CHECKER MISSED THE NEGATIVE CONTROL: ${name}`]),
  ]
}

const figureNames = [
  'sent',
  'acknowledged',
  'stored',
  'lost',
  'twice',
  'ghosts',
  'miscounted',
  'torn',
  'silent',
] as const satisfies readonly (keyof Verdict)[]

function faultsOf(verdict: Verdict, broken: readonly string[]): string[] {
  const faults = figureNames
    .slice(3)
    .filter((name) => verdict[name] > 0)
    .map((name) => `${verdict[name]} ${name}`)
  return [...faults, ...broken]
}

function sumOf(seeds: readonly SeedResult[]): Verdict {
  const sum = Object.fromEntries(
    figureNames.map((name) => [name, seeds.reduce((all, { verdict }) => all + verdict[name], 0)]),
  )
  return sum as unknown as Verdict
}

function controlOf(result: RowResult): string {
  const { control } = result.row
  if (control === undefined) return '-'
  const total = sumOf(result.control)
  const broken = result.control.flatMap(({ broken }) => broken)
  const found = faultsOf(total, broken).join(', ')
  return `${control.title}: ${isCaught(result) ? found : 'MISSED'}`
}

function cell(line: readonly string[], at: number): number {
  return line[at]?.length ?? 0
}
