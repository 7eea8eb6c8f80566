// @ts-check
/**
 * What the views share. What visitors sent is only ever set as text, and only http(s) addresses
 * become links.
 */

/**
 * Asks the API; without a session the login page takes over.
 * @param {string} path
 * @returns {Promise<any>}
 */
export async function ask(path) {
  const response = await fetch(path, { headers: { accept: 'application/json' } })
  if (response.status === 401) location.assign('/login')
  const answer = parse(await response.text())
  if (answer.error) throw new Error(`${answer.error.message}. ${answer.error.hint}`)
  return answer
}

/**
 * Parameters of an event may have numbers that JavaScript cannot hold: where the browser can, they
 * keep their digits.
 * @param {string} text
 * @returns {any}
 */
export function parse(text) {
  /** @type {any} */
  const json = JSON
  if (json.rawJSON === undefined) return JSON.parse(text)
  return json.parse(
    text,
    /** @type {(name: string, value: unknown, context?: { source?: string }) => unknown} */
    (_name, value, context) => {
      if (typeof value !== 'number' || context?.source === undefined) return value
      return String(value) === context.source ? value : json.rawJSON(context.source)
    },
  )
}

/**
 * @param {string} id
 * @returns {HTMLElement}
 */
export function element(id) {
  const found = document.getElementById(id)
  if (found === null) throw new Error(`the page has no ${id}`)
  return found
}

/**
 * @param {string} name
 * @param {string} [text]
 * @param {string} [className]
 * @returns {HTMLElement}
 */
export function make(name, text = '', className = '') {
  const made = document.createElement(name)
  if (text !== '') made.textContent = text
  if (className !== '') made.className = className
  return made
}

/**
 * A link for an http(s) address, else undefined: a `javascript:` one stays text.
 * @param {string} text
 * @returns {HTMLAnchorElement | undefined}
 */
export function webLink(text) {
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) return undefined
  const link = document.createElement('a')
  link.href = text
  link.rel = 'noopener noreferrer'
  link.target = '_blank'
  link.textContent = text
  return link
}

const problems = new Map()

/**
 * Shows what is wrong with one view; '' when nothing is.
 * @param {string} view
 * @param {unknown} problem
 */
export function showProblem(view, problem) {
  problems.set(view, problem instanceof Error ? problem.message : String(problem))
  const text = [...new Set(problems.values())].filter((one) => one !== '').join(' · ')
  // Setting the same text again would be read aloud again.
  if (element('problem').textContent !== text) element('problem').textContent = text
}
