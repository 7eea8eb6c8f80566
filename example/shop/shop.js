import { findProduct } from './products.js'

/** What all pages share: events, the basket, and pieces of the page. */

/**
 * Sends an event by the tag. The tag's script comes first in every page, so it is there by now,
 * unless something in the browser blocks it; the shop works all the same.
 */
export function signal(type, parameters) {
  window.divolte?.signal(type, parameters)
}

const basketKey = 'millrace-shop-basket'
const orderKey = 'millrace-shop-order'
export const quantityMax = 9

/** The basket as `[product, quantity]`, in the order in which things were put into it. */
export function readBasket() {
  const kept = readStored(localStorageOf(), basketKey)
  return Object.entries(kept ?? {}).flatMap(([id, quantity]) => {
    const product = findProduct(id)
    const isSound = Number.isInteger(quantity) && quantity > 0 && quantity <= quantityMax
    return product && isSound ? [[product, quantity]] : []
  })
}

/** Puts things into the basket or takes them out, and tells it; returns how many are in it now. */
export function changeQuantity(product, quantity) {
  const lines = new Map(readBasket().map(([{ id }, count]) => [id, count]))
  const before = lines.get(product.id) ?? 0
  const after = Math.max(0, Math.min(quantityMax, quantity))
  if (after === 0) lines.delete(product.id)
  else lines.set(product.id, after)
  writeStored(localStorageOf(), basketKey, Object.fromEntries(lines))
  showBasketCount()
  if (after !== before) {
    signal(after > before ? 'addToBasket' : 'removeFromBasket', {
      item_id: product.id,
      price: product.price,
      quantity: Math.abs(after - before),
    })
  }
  return after
}

export function addToBasket(product, quantity) {
  const line = readBasket().find(([{ id }]) => id === product.id)
  return changeQuantity(product, (line?.[1] ?? 0) + quantity)
}

/** Makes an order of what is in the basket, which is empty then. */
export function placeOrder() {
  const digits = crypto.getRandomValues(new Uint32Array(1))[0].toString(36).toUpperCase()
  const lines = readBasket().map(([{ id, price }, quantity]) => ({ id, price, quantity }))
  writeStored(sessionStorageOf(), orderKey, { id: `W-${digits}`, lines, isTold: false })
  writeStored(localStorageOf(), basketKey, {})
}

export function readOrder() {
  return readStored(sessionStorageOf(), orderKey)
}

export function markOrderTold(order) {
  writeStored(sessionStorageOf(), orderKey, { ...order, isTold: true })
}

export function totalOf(lines) {
  return lines.reduce((sum, { price, quantity }) => sum + price * quantity, 0)
}

const euros = new Intl.NumberFormat('en-IE', {
  style: 'currency',
  currency: 'EUR',
  trailingZeroDisplay: 'stripIfInteger',
})

export function formatPrice(price) {
  return euros.format(price)
}

/** An element with attributes; children are texts or elements, never HTML. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
  made.append(...children)
  return made
}

/** The drawing of a product; it says nothing that the name beside it does not say. */
export function pictureOf(product) {
  const { id, category } = product
  const image = element('img', { src: `products.svg#${id}`, alt: '', width: 200, height: 200 })
  return element('span', { class: `picture ${category.toLowerCase()}` }, image)
}

export function linkTo(product) {
  return `product.html?item_id=${encodeURIComponent(product.id)}`
}

/** A product of a list: a picture, a link, a price, and a button that puts it into the basket. */
export function cardOf(product) {
  const { id, name, price, category } = product
  const link = element('a', { href: linkTo(product) }, name)
  const add = element('button', { type: 'button', class: 'add', 'data-add': id }, 'Add')
  add.setAttribute('aria-label', `Add ${name} to the basket`)
  return element(
    'li',
    { class: 'card', 'data-item': id },
    pictureOf(product),
    element('h3', {}, link),
    element('p', { class: 'kind' }, category),
    element('div', { class: 'buy' }, element('span', { class: 'price' }, formatPrice(price)), add),
  )
}

document.addEventListener('click', ({ target }) => {
  const product = findProduct(target.closest('[data-add]')?.dataset.add)
  if (product === undefined) return
  addToBasket(product, 1)
  say(`${product.name} is in your basket`)
})

let saidTimer

/** Says something that just happened, to the eye and to a screen reader. */
export function say(text) {
  const place = document.getElementById('said')
  place.textContent = text
  place.classList.add('shown')
  clearTimeout(saidTimer)
  saidTimer = setTimeout(() => place.classList.remove('shown'), 4_000)
}

export function showBasketCount() {
  const count = readBasket().reduce((sum, [, quantity]) => sum + quantity, 0)
  document.getElementById('basket-count').textContent = String(count)
  document
    .getElementById('basket-link')
    .setAttribute('aria-label', `Basket, ${count} ${count === 1 ? 'thing' : 'things'}`)
}

// Another tab may change the basket, and a page may come back out of the browser's cache.
window.addEventListener('storage', showBasketCount)
window.addEventListener('pageshow', showBasketCount)

/** Storage may be switched off: the page then keeps nothing, and says nothing. */
function localStorageOf() {
  try {
    return window.localStorage
  } catch {
    return undefined
  }
}

function sessionStorageOf() {
  try {
    return window.sessionStorage
  } catch {
    return undefined
  }
}

function readStored(storage, key) {
  try {
    return JSON.parse(storage?.getItem(key) ?? 'null')
  } catch {
    return null
  }
}

function writeStored(storage, key, value) {
  try {
    storage?.setItem(key, JSON.stringify(value))
  } catch {
    // Full: the basket stays as it was.
  }
}
