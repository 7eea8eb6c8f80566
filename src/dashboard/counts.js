// @ts-check
/**
 * Events by day and event type.
 * @import { CountsAnswer } from '../api/answer.ts'
 */
import { ask, element, make, showProblem } from './dom.js'

const dayMs = 86_400_000
/** Event types with a column of their own; the rest are summed. */
const columnsMax = 6

/**
 * One day of the range.
 * @typedef {{ day: string, cells: number[], total: number }} Line
 */

/**
 * Shows the last days.
 * @param {number} days
 * @param {string} bots
 * @param {() => boolean} isWanted whether this is still what is asked for when the answer comes
 * @returns {Promise<number | undefined>} how many events there are, when it is known
 */
export async function showCounts(days, bots, isWanted) {
  try {
    /** @type {CountsAnswer} */
    const { rows } = await ask(`/api/counts?last=${days}d&bots=${bots}`)
    if (!isWanted()) return undefined
    const types = topTypes(rows)
    const lines = byDay(rows, types, days)
    const total = lines.reduce((sum, line) => sum + line.total, 0)
    element('total').textContent = total.toLocaleString('en')
    const without = bots === 'exclude' ? ', without bots' : ''
    element('total-note').textContent = `events in ${days} days${without}`
    element('counts').hidden = total === 0
    drawChart(lines)
    drawTable(lines, types)
    showProblem('counts', '')
    return total
  } catch (error) {
    showProblem('counts', error)
    return undefined
  }
}

/**
 * The event types, the most frequent first.
 * @param {CountsAnswer['rows']} rows
 */
function topTypes(rows) {
  /** @type {Map<string, number>} */
  const totals = new Map()
  for (const { eventType, count } of rows) {
    totals.set(eventType, (totals.get(eventType) ?? 0) + count)
  }
  return [...totals].sort((a, b) => b[1] - a[1]).map(([eventType]) => eventType)
}

/**
 * A line for each day of the range, newest first, also for those without events.
 * @param {CountsAnswer['rows']} rows
 * @param {readonly string[]} types
 * @param {number} days
 */
function byDay(rows, types, days) {
  const columns = new Map(types.map((type, index) => [type, Math.min(index, columnsMax)]))
  const width = Math.min(types.length, columnsMax + 1)
  const today = Math.floor(Date.now() / dayMs)
  /** @type {Map<string, Line>} */
  const lines = new Map()
  for (let age = 0; age < days; age++) {
    const day = new Date((today - age) * dayMs).toISOString().slice(0, 10)
    lines.set(day, { day, cells: new Array(width).fill(0), total: 0 })
  }
  for (const { day, eventType, count } of rows) {
    const line = lines.get(day)
    if (line === undefined) continue
    const column = columns.get(eventType) ?? 0
    line.total += count
    line.cells[column] = (line.cells[column] ?? 0) + count
  }
  return [...lines.values()]
}

/** @param {readonly Line[]} lines */
function drawChart(lines) {
  const most = Math.max(1, ...lines.map(({ total }) => total))
  const bars = lines.toReversed().map(({ day, total }, index) => {
    const group = svg('g', {})
    const title = svg('title', {})
    title.textContent = `${day}: ${total.toLocaleString('en')}`
    // A day with one event among days with millions is still to be seen.
    const height = total === 0 ? 0 : Math.max(1.5, (total / most) * 96)
    group.append(
      title,
      svg('rect', { class: 'day', x: index, y: 0, width: 1, height: 100 }),
      svg('rect', { x: index + 0.12, y: 100 - height, width: 0.76, height }),
    )
    return group
  })
  element('chart').setAttribute('viewBox', `0 0 ${lines.length} 100`)
  element('chart').replaceChildren(...bars)
}

/**
 * @param {string} name
 * @param {Record<string, string | number>} attributes
 */
function svg(name, attributes) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value))
  return made
}

/**
 * @param {readonly Line[]} lines
 * @param {readonly string[]} types
 */
function drawTable(lines, types) {
  const heads = ['Day (UTC)', 'All', ...types.slice(0, columnsMax)]
  if (types.length > columnsMax) heads.push(`${types.length - columnsMax} others`)
  const head = make('tr')
  for (const text of heads) {
    const cell = make('th', text)
    cell.setAttribute('scope', 'col')
    cell.title = text
    head.append(cell)
  }
  const body = make('tbody')
  for (const { day, total, cells } of lines) {
    const row = make('tr')
    const name = make('th', day)
    name.setAttribute('scope', 'row')
    row.append(name, countCell(total, 'sum'), ...cells.map((count) => countCell(count, '')))
    body.append(row)
  }
  const top = make('thead')
  top.append(head)
  const table = make('table')
  table.append(top, body)
  // It scrolls, so that the keyboard must be able to get there.
  element('table').tabIndex = 0
  element('table').replaceChildren(table)
}

/**
 * @param {number} count
 * @param {string} className
 */
function countCell(count, className) {
  return make('td', count.toLocaleString('en'), count === 0 ? 'zero' : className)
}
