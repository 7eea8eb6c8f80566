// @ts-check
/**
 * The one page: health, events a day and events as they arrive, all from the API of this origin.
 * @import { HealthAnswer } from '../api/answer.ts'
 */
import { showCounts } from './counts.js'
import { ask, element, showProblem } from './dom.js'
import { LiveView } from './live.js'

const healthIntervalMs = 5_000
/** While events arrive, the counts are asked again at most this often. */
const countsIntervalMs = 2_000

let days = 30
let bots = 'exclude'
let countsAt = 0
let areCountsDue = false
let isEmpty = false
/** Whether the store has events, of bots or of other days, which the page may not show. */
let hasStored = false
let collectorUrl = `http://${location.hostname}:8290`

const live = new LiveView(
  () => bots,
  () => {
    areCountsDue = true
  },
)

for (const input of document.querySelectorAll('input[name=days]')) {
  input.addEventListener('change', () => {
    days = Number(input.getAttribute('value'))
    void refreshCounts()
  })
}
element('bots').addEventListener('change', ({ target }) => {
  bots = target instanceof HTMLInputElement && target.checked ? 'include' : 'exclude'
  live.restart()
  void refreshCounts()
})
document.addEventListener('visibilitychange', refreshSeen)
setInterval(refreshSeen, healthIntervalMs)
setInterval(() => {
  if (areCountsDue && Date.now() - countsAt >= countsIntervalMs) void refreshCounts()
}, countsIntervalMs / 4)

live.connect()
void refreshHealth()
void refreshCounts()

/** Nobody looks at a hidden page. */
function refreshSeen() {
  if (!document.hidden) void refreshHealth()
}

async function refreshCounts() {
  const [askedDays, askedBots] = [days, bots]
  countsAt = Date.now()
  areCountsDue = false
  const total = await showCounts(days, bots, () => askedDays === days && askedBots === bots)
  if (total === undefined) return
  isEmpty = total === 0
  showStart()
}

async function refreshHealth() {
  try {
    /** @type {HealthAnswer} */
    const health = await ask('/api/health')
    showHealth(health)
    const why = health.problem ?? 'nobody knows why'
    showProblem('health', health.ok ? '' : `Events are not being stored: ${why}`)
  } catch (error) {
    showProblem('health', error)
  }
}

/** @param {HealthAnswer} health */
function showHealth(health) {
  const numbers = {
    lag: health.lag,
    events: health.events,
    duplicates: health.duplicates,
    'dead-letters': health.deadLetters,
  }
  for (const [id, value] of Object.entries(numbers)) {
    element(id).textContent = value === null ? 'unknown' : value.toLocaleString('en')
  }
  element('lag').parentElement?.classList.toggle('bad', !health.ok)
  element('dead-letters').parentElement?.classList.toggle('bad', (health.deadLetters ?? 0) > 0)
  element('last-stored').textContent =
    health.lastStoredAt === null ? 'never' : ago(health.lastStoredAt, health.now)
  element('last-stored').title = health.lastStoredAt ?? ''
  element('version').textContent = `Millrace ${health.version}`
  hasStored = (health.events ?? 0) > 0
  collectorUrl = health.collectorUrl ?? collectorUrl
  showStart()
}

/**
 * @param {string} then
 * @param {string} now by the clock of the server, which `then` is of too
 */
function ago(then, now) {
  const seconds = Math.max(0, Math.round((Date.parse(now) - Date.parse(then)) / 1_000))
  if (seconds < 60) return `${seconds} s ago`
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ago`
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)} h ago`
  return `${Math.floor(seconds / 86_400)} days ago`
}

/** What to do when there is nothing to see. */
function showStart() {
  element('start').hidden = !isEmpty || !live.isEmpty || hasStored
  element('live-none').textContent =
    hasStored && bots === 'exclude'
      ? 'Nothing but what bots did, which “Include bots” shows. Events appear here as they arrive.'
      : 'Nothing yet. Events appear here as they arrive.'
  const link = element('collector')
  link.textContent = collectorUrl
  if (/^https?:/.test(collectorUrl)) link.setAttribute('href', collectorUrl)
  element('tag-line').textContent = `<script src="${collectorUrl}/divolte.js" defer async></script>`
  element('curl-line').textContent =
    `curl -H 'content-type: application/json' -d '{"events":[{"eventType":"hello"}]}' ${collectorUrl}/events`
}
