import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  createFaultLedger,
  type Evidence,
  type FaultLedger,
  isClean,
  judge,
  type Verdict,
} from './checker.ts'

/** The checker of the fault runs has to see each kind of fault, and only that. */

const identities = ['a 1', 'a 2', 'b 1'] as const

function sound(): { ledger: FaultLedger; evidence: Evidence } {
  const ledger = createFaultLedger('seed')
  for (const identity of identities) {
    ledger.sent.add(identity)
    ledger.acknowledged.add(identity)
  }
  const rows = identities.map((identity) => {
    return { identity, day: '2026-01-02', itemId: '7', receipts: 1 }
  })
  const evidence = {
    answered: [...identities],
    rows,
    byParty: [...identities],
    counts: new Map([['2026-01-02', 3]]),
    topItems: new Map([['7', 3]]),
    strangers: [],
  }
  return { ledger, evidence }
}

/** What the checker finds when the ledger or the evidence of a sound run is changed. */
function found(
  change: Partial<Evidence>,
  note: (ledger: FaultLedger) => void = () => {},
): Partial<Verdict> {
  const { ledger, evidence } = sound()
  note(ledger)
  const verdict = judge(ledger, { ...evidence, ...change })
  const { sent, acknowledged, stored, ...faults } = verdict
  assert.equal(
    isClean(verdict),
    Object.values(faults).every((count) => count === 0),
  )
  return Object.fromEntries(Object.entries(faults).filter(([, count]) => count > 0))
}

test('a sound run is clean; one that acknowledged nothing says nothing', () => {
  assert.deepEqual(found({}), {})
  const { ledger, evidence } = sound()
  ledger.acknowledged.clear()
  assert.equal(isClean(judge(ledger, evidence)), false)
})

test('an acknowledged event that is missing in one place is lost, and the places disagree', () => {
  const { evidence } = sound()
  assert.deepEqual(found({ answered: ['a 1', 'a 2'] }), { lost: 1, torn: 1 })
  assert.deepEqual(found({ byParty: ['a 1', 'a 2'] }), { lost: 1, torn: 1 })
  const rows = evidence.rows.slice(1)
  assert.deepEqual(found({ rows }), { lost: 1, torn: 1, miscounted: 2 })
})

test('an event without an acknowledgement may be missing', () => {
  assert.deepEqual(
    found({}, ({ sent }) => void sent.add('c 1')),
    {},
  )
})

test('twice in an answer is a fault, even of an event that was sent again', () => {
  const resent = (ledger: FaultLedger): void => void ledger.resent.add('a 1')
  assert.deepEqual(found({ answered: [...identities, 'a 1'] }, resent), { twice: 1 })
})

test('twice in a table, or by its receipts, is a fault unless it was sent again', () => {
  const { evidence } = sound()
  const rows = evidence.rows.map((row, at) => (at === 0 ? { ...row, receipts: 2 } : row))
  assert.deepEqual(found({ rows }), { twice: 1 })
  assert.deepEqual(
    found({ rows }, ({ resent }) => void resent.add('a 1')),
    {},
  )
  assert.deepEqual(found({ byParty: [...identities, 'b 1'] }), { twice: 1 })
})

test('what was never sent, or was withdrawn, must be nowhere', () => {
  assert.deepEqual(found({ strangers: ['x 1'] }), { ghosts: 1 })
  assert.deepEqual(
    found({}, ({ sent, acknowledged }) => {
      sent.delete('b 1')
      acknowledged.delete('b 1')
    }),
    { ghosts: 1 },
  )
  assert.deepEqual(
    found({}, ({ withdrawn }) => void withdrawn.add('b 1')),
    { ghosts: 1 },
  )
})

test('counts that differ from a recount, and silence, are faults', () => {
  assert.deepEqual(found({ counts: new Map([['2026-01-02', 4]]) }), { miscounted: 1 })
  assert.deepEqual(found({ counts: new Map([['2026-01-03', 3]]) }), { miscounted: 6 })
  assert.deepEqual(found({ topItems: new Map() }), { miscounted: 3 })
  assert.deepEqual(
    found({}, (ledger) => {
      ledger.silent++
    }),
    { silent: 1 },
  )
})
