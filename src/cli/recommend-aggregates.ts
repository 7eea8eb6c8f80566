import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Command } from 'commander'
import type { CountsAnswer, SessionsAnswer, UniquesAnswer } from '../api/answer.ts'
import type { Config } from '../config.ts'
import { type ModelDays, rangeOfDays } from '../recommend/model-build.ts'
import { openStore } from './backends.ts'
import { type ApiClient, connectOwner } from './client.ts'
import { type CommonFlags, configOf, createCommand } from './options.ts'
import { queryOf } from './question.ts'
import { exportDays } from './recommend-spark.ts'
import { type DaysFlags, daysOf, withDays } from './recommend-store.ts'
import { readJsonRows, runSparkSql, withTemporaryFolder } from './spark.ts'
import { printRows } from './table.ts'

/** `millrace recommend aggregates`: Spark counts the days, and what it finds is compared with the store. */

interface AggregatesFlags extends CommonFlags, DaysFlags {
  readonly out?: string
  readonly json?: boolean
}

export function aggregatesCommand(): Command {
  return withDays(
    createCommand('aggregates', 'Count days by Spark and compare them with the store'),
  )
    .option('--out <folder>', 'keep what Spark counted: JSON in counts, items, parties, sessions')
    .option('--json', 'print JSON, a line for each row')
    .addHelpText('after', '\nExit code 3: Spark and the store differ, in the days that say so.')
    .action(async (flags: AggregatesFlags) => {
      const config = await configOf(flags)
      const days = daysOf(flags, config)
      const rows = await withTemporaryFolder(async (folder) => {
        const out = flags.out === undefined ? join(folder, 'out') : resolve(flags.out)
        mkdirSync(out, { recursive: true })
        await countBySpark(config, days, flags, folder, out)
        return compareDays(await readSpark(out), await askStore(config, days))
      })
      await printRows(rows, columns, flags)
      if (rows.some(({ isEqual }) => !isEqual)) process.exitCode = 3
    })
}

const files = ['day-aggregates.sql', 'unique-parties.sql', 'session-statistics.sql']

async function countBySpark(
  config: Config,
  days: ModelDays,
  flags: CommonFlags,
  folder: string,
  out: string,
): Promise<void> {
  const variables = { out, first_day: days.firstDay, last_day: days.lastDay }
  if (config.store.backend === 'cassandra') {
    const { keyspace } = config.cassandra
    const job = { source: 'cassandra', files, variables: { keyspace, ...variables } } as const
    await runSparkSql(config, job, folder)
    return
  }
  const exported = join(folder, 'events')
  await exportDays(days, flags, exported)
  const job = { source: 'folder', files, variables: { folder: exported, ...variables } } as const
  await runSparkSql(config, job, folder)
}

/** What is compared, by day and by a text that names it. */
export type Facts = Map<string, Map<string, number>>

function addFact(facts: Facts, day: string, name: string, value: number): void {
  const ofDay = facts.get(day) ?? new Map<string, number>()
  facts.set(day, ofDay.set(name, (ofDay.get(name) ?? 0) + value))
}

async function readSpark(out: string): Promise<Facts> {
  const facts: Facts = new Map()
  type Counts = { day: string; event_type: string; is_bot: boolean; events: number }
  for (const { day, event_type, is_bot, events } of await readJsonRows<Counts>(
    join(out, 'counts'),
  )) {
    addFact(facts, day, `events of ${is_bot ? 'bots' : 'people'}: ${event_type}`, events)
  }
  type Parties = { day: string; people: number; parties: number }
  for (const { day, people, parties } of await readJsonRows<Parties>(join(out, 'parties'))) {
    if (people > 0) addFact(facts, day, 'parties without bots', people)
    addFact(facts, day, 'parties', parties)
  }
  type Sessions = { day: string; sessions: number; events: number; bounces: number }
  for (const row of await readJsonRows<Sessions>(join(out, 'sessions'))) {
    addFact(facts, row.day, 'sessions', row.sessions)
    addFact(facts, row.day, 'events in sessions', row.events)
    addFact(facts, row.day, 'bounces', row.bounces)
  }
  return facts
}

interface Answers {
  readonly people: CountsAnswer['rows']
  readonly all: CountsAnswer['rows']
  readonly partiesOfPeople: UniquesAnswer['rows']
  readonly parties: UniquesAnswer['rows']
  readonly sessions: readonly Omit<SessionsAnswer['rows'][number], 'meanSeconds'>[]
  /** Days whose parties are counted exactly; undefined for all. */
  readonly exactDays?: ReadonlySet<string>
}

async function askStore(config: Config, days: ModelDays): Promise<StoreFacts> {
  const api = config.store.backend === 'embedded' ? await connectOwner(config) : undefined
  const answers = await (api === undefined ? askHere(config, days) : askThere(api, days))
  const facts: Facts = new Map()
  for (const { day, eventType, count } of answers.people) {
    addFact(facts, day, `events of people: ${eventType}`, count)
    addFact(facts, day, `events of bots: ${eventType}`, -count)
  }
  for (const { day, eventType, count } of answers.all) {
    addFact(facts, day, `events of bots: ${eventType}`, count)
  }
  for (const ofDay of facts.values()) {
    for (const [name, value] of ofDay) if (value === 0) ofDay.delete(name)
  }
  for (const { day, parties } of answers.partiesOfPeople) {
    addFact(facts, day, 'parties without bots', parties)
  }
  for (const { day, parties } of answers.parties) addFact(facts, day, 'parties', parties)
  for (const { day, sessions, events, bounces } of answers.sessions) {
    addFact(facts, day, 'sessions', sessions)
    addFact(facts, day, 'events in sessions', events)
    addFact(facts, day, 'bounces', bounces)
  }
  return { facts, exactDays: answers.exactDays }
}

export interface StoreFacts {
  readonly facts: Facts
  /** Days whose parties are counted exactly; undefined for all. */
  readonly exactDays: ReadonlySet<string> | undefined
}

async function askThere(api: ApiClient, { firstDay, lastDay }: ModelDays): Promise<Answers> {
  const ask = async <Answer>(name: string, bots: string): Promise<Answer> =>
    api.json<Answer>(`/api/${name}${queryOf({}, { from: firstDay, to: lastDay, bots })}`)
  return {
    people: (await ask<CountsAnswer>('counts', 'exclude')).rows,
    all: (await ask<CountsAnswer>('counts', 'include')).rows,
    partiesOfPeople: (await ask<UniquesAnswer>('uniques', 'exclude')).rows,
    parties: (await ask<UniquesAnswer>('uniques', 'include')).rows,
    sessions: (await ask<SessionsAnswer>('sessions', 'exclude')).rows,
  }
}

async function askHere(config: Config, days: ModelDays): Promise<Answers> {
  const store = await openStore(config)
  try {
    const range = rangeOfDays(days)
    const [people, all] = [{ bots: 'exclude' }, { bots: 'include' }] as const
    const states = await store.days()
    const closed = states.filter(({ openRows, version }) => openRows === 0 && version > 0)
    return {
      people: await store.counts(range, people),
      all: await store.counts(range, all),
      partiesOfPeople: (await store.uniques(range, people)).rows,
      parties: (await store.uniques(range, all)).rows,
      sessions: await store.sessions(range, people),
      ...(config.store.backend === 'cassandra' && {
        exactDays: new Set(closed.map(({ day }) => day)),
      }),
    }
  } finally {
    await store.close()
  }
}

/** A day as Spark counted it, and whether the store says the same. */
export interface ComparedDay {
  readonly day: string
  readonly events: number
  /** '' where parties are only estimated by the store, as the day is not closed. */
  readonly parties: number | ''
  readonly sessions: number
  readonly isEqual: boolean
  /** The first fact that differs. */
  readonly difference: string
}

/** Every day that either of the two knows; of days that are not exact the parties are left out. */
export function compareDays(spark: Facts, { facts, exactDays }: StoreFacts): ComparedDay[] {
  const days = [...new Set([...spark.keys(), ...facts.keys()])].sort()
  return days.map((day) => {
    const [found, stored] = [spark.get(day) ?? new Map(), facts.get(day) ?? new Map()]
    const isExact = exactDays?.has(day) !== false
    const names = [...new Set([...found.keys(), ...stored.keys()])].filter(
      (name) => isExact || !name.startsWith('parties'),
    )
    const different = names.find((name) => (found.get(name) ?? 0) !== (stored.get(name) ?? 0))
    const events = [...found].filter(([name]) => /^events of (bots|people)/.test(name))
    return {
      day,
      events: events.reduce((sum, [, count]) => sum + count, 0),
      parties: isExact ? (found.get('parties') ?? 0) : '',
      sessions: found.get('sessions') ?? 0,
      isEqual: different === undefined,
      difference:
        different === undefined
          ? ''
          : `${different}: Spark ${found.get(different) ?? 0}, store ${stored.get(different) ?? 0}`,
    }
  })
}

const columns = [
  { title: 'day', value: (row: ComparedDay) => row.day },
  { title: 'events', value: (row: ComparedDay) => row.events },
  { title: 'parties', value: (row: ComparedDay) => row.parties },
  { title: 'sessions', value: (row: ComparedDay) => row.sessions },
  { title: 'equal', value: (row: ComparedDay) => (row.isEqual ? 'yes' : 'NO') },
  { title: 'difference', value: (row: ComparedDay) => row.difference },
]
