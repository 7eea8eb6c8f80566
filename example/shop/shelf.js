import { findProduct } from './products.js'
import { cardOf, element, readBasket } from './shop.js'

/** The shelf at the end of a page: what the collector recommends, or else the shop's own choice. */

const shelf = document.getElementById('shelf')
const title = document.getElementById('shelf-title')
const list = document.getElementById('shelf-items')
const countMax = 4
/** So long the page waits for an answer before it shows its own choice; a later answer replaces it. */
const waitMs = 500

/**
 * @param items ids of what is looked at now, the current one last
 * @param own products to show where nothing is recommended, and a title for them
 */
export async function fillShelf(items, own) {
  const recommended = recommend(items)
  const shown = await Promise.race([
    recommended,
    new Promise((resolve) => setTimeout(resolve, waitMs, 0)),
  ])
  if (shown > 0) return
  showOwn(own)
  await recommended
}

/** The tag draws, watches and tells it all; without the tag there is nothing. */
async function recommend(items) {
  const count = await window.divolte?.shelf?.(list, {
    items,
    exclude: readBasket().map(([{ id }]) => id),
    limit: countMax,
    draw: ({ itemId, reason }) => {
      const product = findProduct(itemId)
      return product && withReason(cardOf(product), reason)
    },
  })
  if (count > 0) reveal('You may also like')
  return count ?? 0
}

function withReason(card, reason) {
  card.querySelector('.kind').after(element('p', { class: 'why' }, wordsOf(reason)))
  return card
}

/** The reason ends with the id of the item that led there; people know its name. */
function wordsOf(reason) {
  const words = reason.split(' ')
  const product = findProduct(words.at(-1))
  return product === undefined ? reason : [...words.slice(0, -1), product.name].join(' ')
}

function showOwn({ products, text }) {
  if (products.length === 0) return
  list.replaceChildren(...products.slice(0, countMax).map(cardOf))
  reveal(text)
}

function reveal(text) {
  title.textContent = text
  shelf.hidden = false
}
