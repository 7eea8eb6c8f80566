import { randomBytes } from 'node:crypto'
import type { ErasureAnswer } from '../../../src/api/answer.ts'
import { createIdentifier } from '../../../src/event/identifier.ts'
import { mentionsParty } from '../../../src/event/mention.ts'
import { dayMs } from '../../../src/lib/clock.ts'
import { runCommand } from '../process.ts'
import type { FaultLedger } from './checker.ts'
import { everyRow } from './evidence.ts'
import type { Attempt, FaultRow } from './run.ts'
import type { Scene } from './scene.ts'

/**
 * Row 26: two parties are erased under load, beside a second consumer that has to hear of it, and
 * the whole topic is read again. One has stopped before: nothing of it is left in any table. The
 * other goes on all the time: what was received until its erasure is gone, what came later is there.
 */
export const eraseUnderLoad: FaultRow = {
  number: 26,
  title: 'erasure under load, then a replay of all',
  scene: { env: { MILLRACE_CONSUME_HOUSEKEEPING_MS: '1000' } },
  run: (scene, attempt) => loadAndErase(scene, attempt, erase),
  check: checkErased,
  control: {
    title: 'the rows are deleted and nothing is noted',
    run: (scene, attempt) => loadAndErase(scene, attempt, deleteRows),
  },
}

interface Parties {
  /** Has sent its last event before it is erased. */
  readonly gone: string
  /** Sends all the time. */
  readonly going: string
}

/** Those of each attempt. */
const erased = new WeakMap<Attempt, Parties>()

const finalMs = 60_000
const acknowledgedMs = 60_000

async function loadAndErase(
  scene: Scene,
  attempt: Attempt,
  eraseParty: (scene: Scene, partyId: string) => Promise<void>,
): Promise<void> {
  const { ledger, random } = attempt
  await scene.consumer(1)
  const [gone, going] = [newParty(), newParty()]
  erased.set(attempt, { gone, going })
  let isGone = false
  const driver = attempt.drive({
    port: scene.collectPort(),
    rate: 300,
    eventOf(index) {
      if (index % 5 === 0) return { partyId: going }
      if (isGone) return {}
      if (index % 5 === 1) return { partyId: gone }
      // With a clock that is wrong, so that there is a claim too.
      return index % 5 === 2 ? { partyId: gone, clientTime: Date.now() - 9 * dayMs } : {}
    },
  })
  await driver.untilAcknowledged(200 + Math.floor(random() * 600))
  await sendRefused(scene, gone)
  isGone = true
  const deadline = performance.now() + acknowledgedMs
  while (of(ledger.sent, gone).some((identity) => !ledger.acknowledged.has(identity))) {
    if (performance.now() > deadline) throw new Error('an event was never acknowledged')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  const until = of(ledger.acknowledged, going)
  await Promise.all([eraseParty(scene, gone), eraseParty(scene, going)])
  const during = of(ledger.sent, going)
  await driver.untilAcknowledged(100)
  await driver.stop()
  for (const identity of [...of(ledger.sent, gone), ...until]) ledger.withdrawn.add(identity)
  // Received before or after it was erased, nobody knows: there or not, either is right.
  for (const identity of during) ledger.acknowledged.delete(identity)
  await scene.untilStored()
  const { code, stderr } = await runCommand(['replay', '--from', 'earliest'], scene.env)
  if (code !== 0) attempt.broken.push(`millrace replay ended with ${code}: ${stderr}`)
  attempt.notes.push(`${ledger.withdrawn.size} erased`)
}

function newParty(): string {
  return createIdentifier(Date.now(), randomBytes(32))
}

function of(identities: FaultLedger['sent'], partyId: string): string[] {
  return [...identities].filter((identity) => identity.startsWith(`${partyId} `))
}

/** A request that becomes a dead letter, which names the party. */
async function sendRefused(scene: Scene, partyId: string): Promise<void> {
  const body = JSON.stringify({ events: [{ partyId, eventType: 'refused', clientTime: 'never' }] })
  const headers = { 'Content-Type': 'application/json' }
  const url = `http://127.0.0.1:${scene.collectPort()}/events`
  await (await fetch(url, { method: 'POST', body, headers })).text()
}

/** By the command that a user types. */
async function erase(scene: Scene, partyId: string): Promise<void> {
  const { code, stdout, stderr } = await runCommand(['erase', partyId, '--yes'], scene.env)
  if (code !== 0) throw new Error(`millrace erase: ${stdout}${stderr}`)
}

/** The negative control: what anybody would do who knows the tables and no more. */
async function deleteRows({ client, keyspace }: Scene, partyId: string): Promise<void> {
  const rows = await everyRow(client, `SELECT * FROM ${keyspace}.events_by_party`)
  const own = rows.filter((row) => row.get('click_stream_cookie_id') === partyId)
  const deleted = own.map(async (row) => {
    const key = [row.get('pk'), row.get('event_date'), row.get('event_id'), partyId]
    for (const table of ['click_stream', 'events_by_party']) {
      const where = 'pk = ? AND event_date = ? AND event_id = ? AND click_stream_cookie_id = ?'
      const sql = `DELETE FROM ${keyspace}.${table} WHERE ${where}`
      await client.execute(sql, key, { prepare: true })
    }
  })
  await Promise.all(deleted)
}

async function checkErased(scene: Scene, attempt: Attempt): Promise<void> {
  const parties = erased.get(attempt)
  if (parties === undefined) throw new Error('nobody was erased')
  const { gone, going } = parties
  for (const partyId of [gone, going]) {
    const receipt = await finalReceipt(scene, partyId)
    if (receipt?.state !== 'final') attempt.broken.push(`the receipt is ${receipt?.state}`)
    const at = receipt === undefined ? Number.POSITIVE_INFINITY : Date.parse(receipt.at)
    for (const [table, rows] of await rowsOf(scene, partyId, partyId === gone ? undefined : at)) {
      if (rows === 0) continue
      const who = partyId === gone ? 'a party that is gone' : 'what was received until the erasure'
      attempt.broken.push(`${rows} rows in ${table} of ${who}`)
    }
    attempt.notes.push(`${receipt?.places[0]?.rows} events deleted, ${receipt?.dropped} dropped`)
  }
}

/** The receipt as a user asks for it, until it is final. */
async function finalReceipt(scene: Scene, partyId: string): Promise<ErasureAnswer | undefined> {
  const deadline = performance.now() + finalMs
  for (;;) {
    const args = ['erase', partyId, '--receipt', '--json']
    const { stdout } = await runCommand(args, scene.env)
    if (stdout === '') return
    const receipt = JSON.parse(stdout) as ErasureAnswer
    if (receipt.state === 'final' || performance.now() > deadline) return receipt
    await new Promise((resolve) => setTimeout(resolve, 500))
  }
}

/** How many rows of a party each table has, or of them those that were received until `at`. */
async function rowsOf(
  { client, keyspace }: Scene,
  partyId: string,
  at?: number,
): Promise<Map<string, number>> {
  const counts = new Map<string, number>()
  const count = (table: string): void => void counts.set(table, (counts.get(table) ?? 0) + 1)
  const left = new Set<string>()
  for (const row of await everyRow(client, `SELECT * FROM ${keyspace}.click_stream`)) {
    if (row.get('click_stream_cookie_id') !== partyId) continue
    const times = [row.get('received_at') as Date, ...((row.get('receipts') ?? []) as Date[])]
    if (at === undefined || times.some((time) => time.getTime() <= at)) count('click_stream')
    else left.add(row.get('event_id'))
  }
  for (const row of await everyRow(client, `SELECT * FROM ${keyspace}.events_by_party`)) {
    if (row.get('click_stream_cookie_id') !== partyId) continue
    if (!left.has(row.get('event_id'))) count('events_by_party')
  }
  for (const row of await everyRow(client, `SELECT * FROM ${keyspace}.claims`)) {
    if (row.get('claimant') === partyId) count('claims')
  }
  for (const row of await everyRow(client, `SELECT value FROM ${keyspace}.dead_letters`)) {
    if (mentionsParty(row.get('value') as Buffer, partyId)) count('dead_letters')
  }
  for (const row of await everyRow(client, `SELECT * FROM ${keyspace}.erasures`)) {
    if (row.get('party_id') === partyId) count('erasures')
  }
  return counts
}
