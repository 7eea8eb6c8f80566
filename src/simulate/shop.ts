import { createDraw, type Random } from './random.ts'

/** The shop that is simulated: what it sells, who comes, from where, with what. */

export const shopUrl = 'https://shop.example'

const itemsMax = 500
const categories = ['bikes', 'helmets', 'lights', 'bags', 'tools', 'tyres', 'clothing', 'locks']

/** Zipf's law: the second item is looked at half as often as the first, the third a third. */
const drawRank = createDraw(Array.from({ length: itemsMax }, (_, rank) => 1 / (rank + 1)))

export interface Item {
  readonly id: string
  readonly category: string
  readonly price: number
}

/** An item, popular ones more often; of one category when it is given. */
export function drawItem(random: Random, category?: string): Item {
  for (let tries = 0; tries < 20; tries++) {
    const item = itemAt(drawRank(random))
    if (category === undefined || item.category === category) return item
  }
  return itemAt(0)
}

function itemAt(rank: number): Item {
  // The order of numbers must not be that of popularity: nobody's catalogue is.
  const number = (rank * 211) % itemsMax
  const category = categories[number % categories.length] as string
  return { id: String(101_000 + number), category, price: 5 + ((number * 37) % 400) }
}

export function drawCategory(random: Random): string {
  return random.pick(categories)
}

export interface Device {
  readonly userAgent: string
  readonly width: number
  readonly height: number
  readonly ratio: number
}

const chrome = 'AppleWebKit/537.36 (KHTML, like Gecko) Chrome'
const devices: readonly (Device & { readonly weight: number })[] = [
  device(
    26,
    `Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${chrome}/126.0.0.0 Safari/537.36`,
    1920,
    1080,
    1,
  ),
  device(
    8,
    `Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${chrome}/125.0.0.0 Safari/537.36 Edg/125.0.0.0`,
    1536,
    864,
    1.25,
  ),
  device(
    6,
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:127.0) Gecko/20100101 Firefox/127.0',
    1920,
    1080,
    1,
  ),
  device(
    9,
    'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15',
    1440,
    900,
    2,
  ),
  device(3, `Mozilla/5.0 (X11; Linux x86_64) ${chrome}/126.0.0.0 Safari/537.36`, 1920, 1200, 1),
  device(
    22,
    'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1',
    390,
    844,
    3,
  ),
  device(
    18,
    `Mozilla/5.0 (Linux; Android 14; Pixel 8) ${chrome}/126.0.0.0 Mobile Safari/537.36`,
    412,
    915,
    2.625,
  ),
  device(
    5,
    `Mozilla/5.0 (Linux; Android 13; SAMSUNG SM-S911B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36`,
    360,
    780,
    3,
  ),
  device(
    3,
    'Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1',
    820,
    1180,
    2,
  ),
]

const bots: readonly Device[] = [
  device(
    1,
    'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)',
    1024,
    768,
    1,
  ),
  device(
    1,
    'Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)',
    1024,
    768,
    1,
  ),
  device(1, 'Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)', 1024, 768, 1),
]

function device(
  weight: number,
  userAgent: string,
  width: number,
  height: number,
  ratio: number,
): Device & { readonly weight: number } {
  return { weight, userAgent, width, height, ratio }
}

const drawDeviceAt = createDraw(devices.map(({ weight }) => weight))

export function drawDevice(random: Random): Device {
  return devices[drawDeviceAt(random)] as Device
}

export function drawBot(random: Random): Device {
  return random.pick(bots)
}

const countries = ['NL', 'DE', 'BE', 'GB', 'FR', 'US', 'ES', 'PL', 'SE', 'IT']
const drawCountryAt = createDraw([40, 18, 12, 8, 6, 5, 3, 3, 3, 2])

export function drawCountry(random: Random): string {
  return countries[drawCountryAt(random)] as string
}

const referers = [
  null,
  'https://www.google.com/',
  'https://duckduckgo.com/',
  'https://www.bing.com/',
  'https://www.instagram.com/',
  'https://news.ycombinator.com/item?id=40000000',
  'https://www.fietsforum.example/topic/12',
]
const drawRefererAt = createDraw([38, 36, 5, 6, 8, 2, 5])

export function drawReferer(random: Random): string | null {
  return referers[drawRefererAt(random)] as string | null
}

/** From midnight in UTC: the night is quiet, the evening is not. */
const hourWeights = [
  5, 3, 2, 2, 2, 4, 9, 18, 30, 38, 42, 44, 46, 44, 42, 42, 44, 50, 58, 68, 72, 60, 36, 15,
]
const drawHour = createDraw(hourWeights)

/** A time of day, in ms. */
export function drawTimeOfDay(random: Random): number {
  return Math.floor((drawHour(random) + random.next()) * 3_600_000)
}

/** From Sunday on. */
const weekdayWeights = [1.25, 0.95, 0.9, 0.9, 0.95, 0.95, 1.1]

/** How busy a day is beside the mean; `day` counts from 1970, which began on a Thursday. */
export function busyness(day: number): number {
  return weekdayWeights[(((day + 4) % 7) + 7) % 7] as number
}
