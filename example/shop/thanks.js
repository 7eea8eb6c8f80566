import { findProduct } from './products.js'
import {
  element,
  formatPrice,
  markOrderTold,
  pictureOf,
  readOrder,
  signal,
  totalOf,
} from './shop.js'

/** The end of an order: one `purchase` for each line, once, however often the page is loaded. */

const order = readOrder()
if (order === null) document.getElementById('absent').hidden = false
else thank(order)

function thank({ id, lines, isTold }) {
  document.getElementById('order-id').textContent = id
  document.getElementById('total').textContent = formatPrice(totalOf(lines))
  document.getElementById('lines').append(...lines.flatMap(lineOf))
  document.getElementById('done').hidden = false
  if (isTold) return
  markOrderTold(order)
  for (const line of lines) {
    const { id: item, price, quantity } = line
    signal('purchase', { item_id: item, price, quantity, order_id: id })
  }
}

function lineOf({ id, price, quantity }) {
  const product = findProduct(id)
  if (product === undefined) return []
  return element(
    'li',
    { class: 'line' },
    pictureOf(product),
    element(
      'div',
      { class: 'what' },
      element('h2', {}, product.name),
      element('p', { class: 'kind' }, `${quantity} × ${formatPrice(price)}`),
    ),
    element('p', { class: 'price' }, formatPrice(price * quantity)),
  )
}
