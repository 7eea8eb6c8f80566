/**
 * What the shop sells. `id` is what events call `item_id` and the name of the drawing in
 * products.svg; prices are in euros.
 */
export const products = [
  {
    id: 'enamel-kettle',
    name: 'Enamel kettle',
    category: 'Kitchen',
    price: 46,
    text: 'Two litres, a beech grip that stays cool, and a spout that pours without a drop on the table.',
  },
  {
    id: 'mushroom-lamp',
    name: 'Mushroom lamp',
    category: 'Light',
    price: 89,
    text: 'A glazed cap over a warm bulb. Small enough for a bedside, bright enough for a book.',
  },
  {
    id: 'stoneware-mug',
    name: 'Stoneware mug',
    category: 'Table',
    price: 14.5,
    text: 'Thrown by hand and dipped twice. Holds a proper third of a litre and survives the dishwasher.',
  },
  {
    id: 'watering-can',
    name: 'Watering can',
    category: 'Garden',
    price: 38,
    text: 'Zinc, five litres, balanced so that it tips by itself. The rose comes off for thirsty days.',
  },
  {
    id: 'harvest-basket',
    name: 'Harvest basket',
    category: 'Garden',
    price: 34,
    text: 'Woven from willow that was cut in winter. Carries twelve kilos of apples and looks good empty.',
  },
  {
    id: 'cast-iron-pot',
    name: 'Cast-iron pot',
    category: 'Kitchen',
    price: 129,
    text: 'Heavy, slow and forgiving: bread, beans and stews come out better. Four and a half litres.',
  },
  {
    id: 'teapot',
    name: 'Teapot',
    category: 'Table',
    price: 42,
    text: 'One litre under an ochre glaze, with a sieve at the spout so that loose leaves stay inside.',
  },
  {
    id: 'storm-lantern',
    name: 'Storm lantern',
    category: 'Light',
    price: 52,
    text: 'Steel and glass around one candle. Stands on the table, hangs in the apple tree.',
  },
  {
    id: 'salad-bowl',
    name: 'Salad bowl',
    category: 'Table',
    price: 48,
    text: 'Wide, deep and rimmed in blue. Enough for eight people, or for two who like salad.',
  },
  {
    id: 'pendant-lamp',
    name: 'Pendant lamp',
    category: 'Light',
    price: 118,
    text: 'Spun steel, lacquered midnight blue, with two metres of cord. It lights the table, not the eyes.',
  },
  {
    id: 'moka-pot',
    name: 'Moka pot',
    category: 'Kitchen',
    price: 32,
    text: 'Six small cups in five minutes, on gas or induction. The seal is a standard size.',
  },
  {
    id: 'potted-fern',
    name: 'Potted fern',
    category: 'Garden',
    price: 22,
    text: 'Likes shade, forgives a forgotten week, and comes in a terracotta pot with a saucer.',
  },
  {
    id: 'desk-lamp',
    name: 'Desk lamp',
    category: 'Light',
    price: 74,
    text: 'Two brass joints, one sage shade, and a base that no cable can pull over.',
  },
  {
    id: 'olive-board',
    name: 'Olive wood board',
    category: 'Kitchen',
    price: 39.5,
    text: 'Cut from one piece, so that no two look alike. Oil it once a season.',
  },
  {
    id: 'rain-boots',
    name: 'Rain boots',
    category: 'Garden',
    price: 59,
    text: 'Natural rubber with a soft lining. Sizes 36 to 46, for puddles of every depth.',
  },
  {
    id: 'bud-vase',
    name: 'Bud vase',
    category: 'Table',
    price: 26,
    text: 'A narrow neck for three stems from the roadside. The glaze breaks violet over grey.',
  },
  {
    id: 'pepper-mill',
    name: 'Pepper mill',
    category: 'Kitchen',
    price: 36,
    text: 'Turned walnut around a steel grinder with eleven settings, from dust to gravel.',
  },
  {
    id: 'bird-house',
    name: 'Bird house',
    category: 'Garden',
    price: 41,
    text: 'Larch, unpainted inside, with a 28 mm door for tits and a roof that opens for cleaning.',
  },
  {
    id: 'carafe-set',
    name: 'Carafe and glass',
    category: 'Table',
    price: 33,
    text: 'The glass sits on the carafe as its lid. For water at night, for lemonade in the afternoon.',
  },
  {
    id: 'candle-holder',
    name: 'Candle holder',
    category: 'Light',
    price: 45,
    text: 'Three arms of brass that darken with the years. Takes ordinary candles.',
  },
  {
    id: 'globe-lamp',
    name: 'Globe lamp',
    category: 'Light',
    price: 96,
    text: 'A ball of opal glass on a brass foot. Dims with a touch, glows like a full moon.',
  },
  {
    id: 'hand-trowel',
    name: 'Hand trowel',
    category: 'Garden',
    price: 18.5,
    text: 'Forged in one piece, with an ash handle. It will be older than your garden one day.',
  },
  {
    id: 'coffee-dripper',
    name: 'Coffee dripper',
    category: 'Kitchen',
    price: 28,
    text: 'Porcelain cone, wooden collar, glass jug. Three minutes of calm, then coffee.',
  },
  {
    id: 'dinner-plates',
    name: 'Four dinner plates',
    category: 'Table',
    price: 64,
    text: 'Four plates, three glazes, one stack. Chips are glazed over again for free.',
  },
]

export const categories = ['Kitchen', 'Table', 'Light', 'Garden']

export function findProduct(id) {
  return products.find((product) => product.id === id)
}
