import { useEffect, useRef, useState } from 'preact/hooks'
import uPlot from 'uplot'
import { formatCompact, formatShortDay } from './format.ts'

/** Bars by day. What it shows stands in a table beside it: for screen readers it is not there. */
export interface ChartProps {
  /** UTC days, oldest first. */
  readonly days: readonly string[]
  /** A value for each day; undefined is not known. */
  readonly values: readonly (number | undefined)[]
  /** Told of the day under the pointer; undefined when it has left. */
  readonly onPoint: (index: number | undefined) => void
}

export function Chart({ days, values, onPoint }: ChartProps) {
  const place = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot>(undefined)
  const point = useRef(onPoint)
  const theme = useTheme()
  point.current = onPoint
  useEffect(() => {
    const element = place.current
    if (element === null) return
    const made = new uPlot(
      optionsOf(element, (index) => point.current(index)),
      [[], []],
      element,
    )
    plot.current = made
    const observer = new ResizeObserver(() => made.setSize(sizeOf(element)))
    observer.observe(element)
    return () => {
      observer.disconnect()
      made.destroy()
    }
  }, [theme])
  useEffect(() => {
    plot.current?.setData([
      days.map((day) => Date.parse(day) / 1_000),
      values.map((value) => value ?? null),
    ])
  }, [theme, days, values])
  return <div class="chart" ref={place} aria-hidden="true" />
}

function sizeOf(element: HTMLElement): { width: number; height: number } {
  return { width: element.clientWidth, height: element.clientHeight }
}

function optionsOf(
  element: HTMLElement,
  onPoint: (index: number | undefined) => void,
): uPlot.Options {
  // A custom property's own text may be `light-dark(…)`; these are resolved.
  const { color, borderTopColor, fill, fontFamily } = getComputedStyle(element)
  const axis: uPlot.Axis = { stroke: color, font: `12px ${fontFamily}`, ticks: { show: false } }
  const bars = uPlot.paths.bars?.({ size: [0.76, 60], radius: [0.2, 0] })
  return {
    ...sizeOf(element),
    legend: { show: false },
    cursor: { y: false, points: { show: false }, drag: { x: false, y: false, setScale: false } },
    padding: [8, 18, 0, 0],
    scales: {
      x: { time: false, range: (_plot, min, max) => [min - halfDay, max + halfDay] },
      y: { range: (_plot, _min, max) => [0, Math.max(1, max * 1.05)] },
    },
    axes: [
      {
        ...axis,
        grid: { show: false },
        size: 28,
        splits: (own) => splitDays(own),
        values: (_plot, splits) => splits.map((seconds) => formatShortDay(seconds * 1_000)),
      },
      {
        ...axis,
        grid: { stroke: borderTopColor, width: 1 },
        size: 48,
        space: 44,
        incrs: wholeSteps,
        values: (_plot, splits) => splits.map(formatCompact),
      },
    ],
    series: [
      {},
      {
        fill,
        width: 0,
        points: { show: false },
        ...(bars && { paths: bars }),
      },
    ],
    hooks: { setCursor: [({ cursor }) => onPoint(cursor.idx ?? undefined)] },
  }
}

const halfDay = 43_200
/** There are no half events. */
const wholeSteps = Array.from({ length: 15 }, (_, power) =>
  [1, 2, 5].map((step) => step * 10 ** power),
).flat()

/** Every so many days, counted back from today, so that there is room for the texts. */
function splitDays(plot: uPlot): number[] {
  const days = [...plot.data[0]]
  const every = Math.max(1, Math.ceil((days.length * 68) / Math.max(plot.width, 64)))
  return days.filter((_, index) => (days.length - 1 - index) % every === 0)
}

/** Another one whenever light turns dark or back, by the system or by the switch. */
function useTheme(): number {
  const [theme, setTheme] = useState(0)
  useEffect(() => {
    const change = (): void => setTheme((number) => number + 1)
    const dark = matchMedia('(prefers-color-scheme: dark)')
    const observer = new MutationObserver(change)
    dark.addEventListener('change', change)
    observer.observe(document.documentElement, { attributeFilter: ['data-theme'] })
    return () => {
      dark.removeEventListener('change', change)
      observer.disconnect()
    }
  }, [])
  return theme
}
