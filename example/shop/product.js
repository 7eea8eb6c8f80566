import { findProduct, products } from './products.js'
import { fillShelf } from './shelf.js'
import { addToBasket, element, formatPrice, pictureOf, quantityMax, say, signal } from './shop.js'

/** One product: opening it is the event `preview`. */

const product = findProduct(new URLSearchParams(location.search).get('item_id'))
if (product === undefined) document.getElementById('absent').hidden = false
else open(product)

function open({ id, name, category, price, text }) {
  document.title = `${name} · Weir & Wren`
  const crumb = document.getElementById('crumb-category')
  crumb.textContent = category
  crumb.href = `./?category=${category}`
  document.getElementById('crumb-name').textContent = name
  document.getElementById('picture').replaceWith(pictureOf(product))
  document.getElementById('name').textContent = name
  document.getElementById('price').textContent = formatPrice(price)
  document.getElementById('text').textContent = text
  const quantity = document.getElementById('quantity')
  for (let count = 1; count <= quantityMax; count++) {
    quantity.append(element('option', { value: count }, String(count)))
  }
  document.getElementById('buy').addEventListener('submit', (event) => {
    event.preventDefault()
    const inBasket = addToBasket(product, Number(quantity.value))
    say(`${name} is in your basket: ${inBasket}${inBasket === quantityMax ? ', the most' : ''}`)
  })
  document.getElementById('product').hidden = false
  signal('preview', { item_id: id, price })
  const others = products.filter((other) => other.category === category && other.id !== id)
  void fillShelf([id], { products: others, text: `More in ${category}` })
}
