import {
  changeQuantity,
  element,
  formatPrice,
  linkTo,
  pictureOf,
  placeOrder,
  quantityMax,
  readBasket,
  say,
  totalOf,
} from './shop.js'

/** The basket: more, fewer, none, and the order. */

const list = document.getElementById('lines')

function show() {
  const lines = readBasket()
  list.replaceChildren(...lines.map(([product, quantity]) => lineOf(product, quantity)))
  const total = totalOf(lines.map(([{ price }, quantity]) => ({ price, quantity })))
  document.getElementById('total').textContent = formatPrice(total)
  document.getElementById('filled').hidden = lines.length === 0
  document.getElementById('empty').hidden = lines.length > 0
}

function lineOf(product, quantity) {
  const { id, name, price } = product
  const select = element('select', { 'aria-label': `Quantity of ${name}`, 'data-quantity': id })
  for (let count = 1; count <= quantityMax; count++) {
    const option = element('option', { value: count }, String(count))
    option.selected = count === quantity
    select.append(option)
  }
  const remove = element('button', { type: 'button', class: 'quiet', 'data-remove': id }, 'Remove')
  remove.setAttribute('aria-label', `Remove ${name}`)
  return element(
    'li',
    { class: 'line' },
    pictureOf(product),
    element(
      'div',
      { class: 'what' },
      element('h2', {}, element('a', { href: linkTo(product) }, name)),
      element('p', { class: 'kind' }, `${formatPrice(price)} each`),
    ),
    element('div', { class: 'how-many' }, select, remove),
    element('p', { class: 'price' }, formatPrice(price * quantity)),
  )
}

function productOf(id) {
  return readBasket().find(([product]) => product.id === id)?.[0]
}

list.addEventListener('change', ({ target }) => {
  const id = target.dataset.quantity
  const product = productOf(id)
  if (product !== undefined) changeQuantity(product, Number(target.value))
  show()
  list.querySelector(`[data-quantity="${id}"]`)?.focus()
})

list.addEventListener('click', (event) => {
  const product = productOf(event.target.closest('[data-remove]')?.dataset.remove)
  if (product === undefined) return
  changeQuantity(product, 0)
  show()
  say(`${product.name} is out of your basket`)
  // What had the focus is gone: whoever uses the keyboard goes on from the heading.
  document.querySelector('h1').focus()
})

document.getElementById('order').addEventListener('click', () => {
  // Another tab may have emptied it.
  if (readBasket().length === 0) {
    show()
    return
  }
  placeOrder()
  location.assign('thanks.html')
})

window.addEventListener('storage', show)
window.addEventListener('pageshow', show)
