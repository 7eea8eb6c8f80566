import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { dayMs, dayOf, minuteMs } from '../../../src/lib/clock.ts'
import { bucketOf, dayNumberOf, type Layout, slotsOf } from '../../../src/store/bucket.ts'
import { everyRow } from './evidence.ts'
import type { Attempt, FaultRow } from './run.ts'
import type { Scene } from './scene.ts'
import { topicEnds } from './topic-ends.ts'

/**
 * Row 24: the collector's clock crosses midnight under load, beside a consumer whose clock is a day
 * ahead or behind. Every event is in the one partition that its record says, and readers list it.
 * UTC has no summer time; a leap second is a clock that shows a second twice, which no stage sees.
 */
export const midnight: FaultRow = {
  number: 24,
  title: 'midnight UTC, a consumer a day off',
  scene: {
    collectScript: new URL('shifted-clock.ts', import.meta.url).pathname,
    consumeScript: new URL('shifted-clock.ts', import.meta.url).pathname,
  },
  async prepare(scene) {
    await layOutDays(scene)
    return async () => {}
  },
  async run(scene, attempt) {
    attempt.range = `from=${dayOf(Date.now() - 7 * dayMs)}&to=${dayOf(Date.now() + 2 * dayMs)}`
    const isAhead = attempt.seed % 2 === 1
    const midnightMs = (dayNumberOf(Date.now()) - (attempt.seed % days)) * dayMs
    const offsetMs = Math.round(midnightMs - leadMs - attempt.random() * 1_000 - Date.now())
    if (hasShiftedConsumer(scene)) {
      // Another one than in the seed before: what that has written is a day or two ahead of it.
      await (await scene.consumer()).kill()
      const set = setClock(scene, 'consume', isAhead ? dayMs : -dayMs)
      await Promise.all([set, scene.consumer()])
    }
    await setClock(scene, 'collect', offsetMs)
    const driver = attempt.drive({
      port: scene.collectPort(),
      rate: 300,
      eventOf: (index) => ({ clientTime: clientTimeOf(index, midnightMs) }),
    })
    await driver.untilAcknowledged(20)
    while (Date.now() + offsetMs <= midnightMs) {
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    await driver.untilAcknowledged(300)
    await driver.stop()
    attempt.notes.push(`midnight to ${dayOf(midnightMs)}, consumer ${isAhead ? '+' : '-'}1 day`)
  },
  check: checkPlaces,
  control: {
    title: 'rows are placed by the clock of the consumer',
    scene: {
      env: { TEST_WRONG_CONSUMER: 'restamping' },
      collectScript: new URL('shifted-clock.ts', import.meta.url).pathname,
      consumeScript: new URL('wrong-consumer.ts', import.meta.url).pathname,
    },
  },
}

/** Midnights that are tried, back from the last one. */
const days = 5
const leadMs = 1_000
const takenMs = 180_000
const spreadMs = 40_000

/** Half of the days in five-minute slots, so that midnight parts two of these; the others as planned. */
async function layOutDays({ client, keyspace }: Scene): Promise<void> {
  const today = dayNumberOf(Date.now())
  for (let day = today - days - 1; day <= today; day += 2) {
    const name = dayOf(day * dayMs)
    await client.execute(
      `INSERT INTO ${keyspace}.bucket_map (month, day, slot_ms, shards) VALUES (?, ?, ?, ?) IF NOT EXISTS`,
      [name.slice(0, 7), name, 5 * minuteMs, 3],
      { prepare: true },
    )
  }
}

/** The control's consumer has the machine's clock. */
function hasShiftedConsumer({ env }: Scene): boolean {
  return env['TEST_WRONG_CONSUMER'] === undefined
}

/** Sets the clock of the running process of a command, see shifted-clock.ts. */
async function setClock(scene: Scene, command: string, offsetMs: number): Promise<void> {
  const file = join(scene.env['MILLRACE_DATA'] ?? '', '..', `${command}-clock`)
  await writeFile(file, `${offsetMs}`)
  const deadline = performance.now() + takenMs
  while ((await readFile(`${file}-taken`, 'utf8').catch(() => '')) !== `${offsetMs}`) {
    if (performance.now() > deadline) throw new Error(`${command} has not taken the clock`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/**
 * A client's clock, on both sides of midnight and on it; some send none. Requests of the tag have the
 * time of this machine, which is hours ahead of the collector: they are placed by their receipt.
 */
function clientTimeOf(index: number, midnightMs: number): number | undefined {
  const kind = index % 10
  if (kind === 0) return
  if (kind === 1) return midnightMs
  if (kind === 2) return midnightMs - 1
  return midnightMs - spreadMs / 2 + ((index * 7_919) % spreadMs)
}

async function checkPlaces(scene: Scene, { broken, notes, ledger }: Attempt): Promise<void> {
  const { client, keyspace } = scene
  const layouts = new Map<string, Layout>()
  const map = `SELECT day, slot_ms, shards FROM ${keyspace}.bucket_map`
  for (const row of await everyRow(client, map)) {
    layouts.set(row.get('day'), { slotMs: row.get('slot_ms'), shards: row.get('shards') })
  }
  const listed = new Set<string>()
  for (const [day, layout] of layouts) {
    const slots = slotsOf(Date.parse(day) / dayMs, layout)
    for (const bucket of slots.flatMap(({ buckets }) => buckets)) listed.add(bucket)
  }
  const perDay = new Map<string, number>()
  let unlisted = 0
  let misplaced = 0
  const columns = 'pk, event_date, event_id, click_stream_cookie_id, event_name, client_date'
  const sql = `SELECT ${columns}, clock_source, received_at FROM ${keyspace}.click_stream`
  for (const row of await everyRow(client, sql)) {
    if (row.get('event_name') !== ledger.name) continue
    const pk = row.get('pk') as string
    const time = (row.get('event_date') as Date).getTime()
    const decided = row.get('clock_source') === 'client' ? 'client_date' : 'received_at'
    const layout = layouts.get(dayOf(time))
    const own =
      layout && bucketOf(layout, time, row.get('click_stream_cookie_id'), row.get('event_id'))
    if (!listed.has(pk)) unlisted++
    if (pk !== own || (row.get(decided) as Date).getTime() !== time) misplaced++
    perDay.set(dayOf(time), (perDay.get(dayOf(time)) ?? 0) + 1)
  }
  if (unlisted > 0) broken.push(`${unlisted} events are in partitions that no reader lists`)
  if (misplaced > 0) broken.push(`${misplaced} events are not where their record says`)
  if (perDay.size !== 2) broken.push(`events of ${perDay.size} days instead of 2`)
  notes.push([...perDay].map(([day, events]) => `${events} on ${day}`).join(', '))
  await checkPositions(scene, broken)
}

/** A position that a wrong clock holds fast would be read from again at each start. */
async function checkPositions(scene: Scene, broken: string[]): Promise<void> {
  const { client, keyspace, topic } = scene
  const ends = (await topicEnds(scene)).get(topic) ?? []
  const sql = `SELECT topic, log_partition, next_offset FROM ${keyspace}.progress`
  for (const row of await everyRow(client, sql)) {
    if (row.get('topic') !== 'events') continue
    const partition = row.get('log_partition') as number
    const position = Number(row.get('next_offset'))
    if (position === ends[partition]) continue
    broken.push(`partition ${partition} is stored to ${position} of ${ends[partition]}`)
  }
}
