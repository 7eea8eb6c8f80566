import { categories, products } from './products.js'
import { fillShelf } from './shelf.js'
import { cardOf, signal } from './shop.js'

/** The list of products: search, filter, order, and what of it was seen. */

const orders = {
  shop: () => 0,
  cheap: (a, b) => a.price - b.price,
  dear: (a, b) => b.price - a.price,
  name: (a, b) => a.name.localeCompare(b.name),
}

const form = document.getElementById('find')
const grid = document.getElementById('products')

/** What is looked for, as the address says it: so it can be linked, and is there again on the way back. */
function readQuestion() {
  const query = new URLSearchParams(location.search)
  const category = query.get('category')
  const order = query.get('order')
  return {
    phrase: (query.get('q') ?? '').trim().slice(0, 80),
    category: categories.includes(category) ? category : '',
    order: Object.hasOwn(orders, order) ? order : 'shop',
  }
}

function writeQuestion({ phrase, category, order }) {
  const query = new URLSearchParams()
  if (phrase !== '') query.set('q', phrase)
  if (category !== '') query.set('category', category)
  if (order !== 'shop') query.set('order', order)
  history.replaceState(null, '', query.size === 0 ? location.pathname : `?${query}`)
}

function answer({ phrase, category, order }) {
  const words = phrase.toLowerCase().split(/\s+/)
  return products
    .filter((product) => category === '' || product.category === category)
    .filter(({ name, text, category: kind }) => {
      const all = `${name} ${text} ${kind}`.toLowerCase()
      return words.every((word) => all.includes(word))
    })
    .sort(orders[order])
}

let shown = []

function show(question) {
  flushImpressions()
  shown = answer(question)
  grid.replaceChildren(...shown.map(cardOf))
  const count = `${shown.length} ${shown.length === 1 ? 'product' : 'products'}`
  document.getElementById('count').textContent = count
  document.getElementById('nothing').hidden = shown.length > 0
  watchCards(question)
}

/**
 * Impressions: a card counts as seen when half of it was in view for a second, once per page view
 * and list. What was seen together goes as one event, so a long list costs a few requests.
 */
const seenAfterMs = 1_000
const gatherMs = 250

const told = new Set()
let list = 'all'
let seen = []
let flushTimer
let dwelling = new Map()
let observer

function watchCards({ phrase, category }) {
  list = phrase !== '' ? 'search' : category === '' ? 'all' : category.toLowerCase()
  observer?.disconnect()
  for (const timer of dwelling.values()) clearTimeout(timer)
  dwelling = new Map()
  observer = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        clearTimeout(dwelling.get(target))
        if (isIntersecting)
          dwelling.set(
            target,
            setTimeout(() => noteSeen(target), seenAfterMs),
          )
      }
    },
    { threshold: 0.5 },
  )
  for (const card of grid.children) observer.observe(card)
}

function noteSeen(card) {
  observer.unobserve(card)
  const id = card.dataset.item
  if (told.has(`${list} ${id}`)) return
  told.add(`${list} ${id}`)
  seen.push({ item_id: id, position: shown.findIndex((product) => product.id === id) + 1 })
  flushTimer ??= setTimeout(flushImpressions, gatherMs)
}

function flushImpressions() {
  clearTimeout(flushTimer)
  flushTimer = undefined
  if (seen.length === 0) return
  const items = seen.sort((a, b) => a.position - b.position)
  seen = []
  signal('impression', { list, items })
}

document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'hidden') flushImpressions()
})

let searched = ''

function ask() {
  const answers = new FormData(form)
  const question = {
    phrase: String(answers.get('q')).trim(),
    category: String(answers.get('category')),
    order: String(answers.get('order')),
  }
  writeQuestion(question)
  show(question)
  return question
}

/** The search is told when it was meant: on Enter or on leaving the field, not for every letter. */
function tellSearch() {
  const { phrase } = ask()
  if (phrase === '' || phrase === searched) return
  searched = phrase
  signal('search', { phrase, results: shown.length })
}

form.addEventListener('input', ask)
form.addEventListener('change', (event) => {
  if (event.target.name === 'q') tellSearch()
})
form.addEventListener('submit', (event) => {
  event.preventDefault()
  tellSearch()
})
document.getElementById('reset').addEventListener('click', () => {
  form.reset()
  ask()
  form.elements.q.focus()
})

const asked = readQuestion()
searched = asked.phrase
form.elements.q.value = asked.phrase
form.elements.category.value = asked.category
form.elements.order.value = asked.order
show(asked)
// All products are on this page: the shop has no choice of its own.
void fillShelf([], { products: [], text: '' })
