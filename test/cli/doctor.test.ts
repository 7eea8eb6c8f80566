import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { HealthAnswer } from '../../src/api/answer.ts'
import { sizeText } from '../../src/cli/doctor-finding.ts'
import { checkNode, judgeClock, judgeDisk, judgeLogSize } from '../../src/cli/doctor-machine.ts'
import {
  judgeBucket,
  judgeHealth,
  judgeOthers,
  judgeProxies,
} from '../../src/cli/doctor-running.ts'
import { checkSettings } from '../../src/cli/doctor-settings.ts'
import { parseConfig } from '../../src/config.ts'
import { hourMs, minuteMs } from '../../src/lib/clock.ts'

const now = Date.parse('2026-03-10T15:30:00Z')
const GiB = 1024 ** 3

const well: HealthAnswer = {
  ok: true,
  problem: null,
  lag: 3,
  consumer: 'running',
  lastStoredAt: new Date(now - minuteMs).toISOString(),
  lastWrittenAt: null,
  events: 1,
  duplicates: 0,
  deadLetters: 0,
  storeBytes: 1,
  fullestBucket: null,
  liveStreams: 0,
  collectorUrl: null,
  version: '1.2.3',
  now: new Date(now).toISOString(),
}

function levelsOf(health: Partial<HealthAnswer>): Record<string, string> {
  const findings = [...judgeHealth({ ...well, ...health })]
  return Object.fromEntries(findings.map(({ check, level }) => [check, level]))
}

describe('the doctor', () => {
  it('finds nothing where all is well', () => {
    assert.deepEqual(new Set(Object.values(levelsOf({}))), new Set(['ok']))
    assert.deepEqual(
      [...checkSettings(parseConfig({}))].map(({ level }) => level),
      ['ok', 'ok', 'ok', 'ok'],
    )
  })

  it('tells what keeps events from being stored', () => {
    assert.equal(levelsOf({ problem: 'the disk is full' })['health'], 'fail')
    assert.equal(levelsOf({ consumer: 'stopped' })['consumer'], 'fail')
    assert.equal(levelsOf({ consumer: 'waiting' })['consumer'], 'fail')
    assert.equal(levelsOf({ lag: null })['consumer'], 'fail')
    assert.equal(levelsOf({ lag: 60_000 })['consumer'], 'warn')
    assert.equal(levelsOf({ deadLetters: 1 })['dead letters'], 'warn')
    assert.equal(levelsOf({ lastStoredAt: null })['newest event'], 'warn')
    const before = new Date(now - 25 * hourMs).toISOString()
    assert.equal(levelsOf({ lastStoredAt: before })['newest event'], 'warn')
    const later = new Date(now + hourMs).toISOString()
    assert.equal(levelsOf({ lastStoredAt: later })['newest event'], 'fail')
  })

  it('believes that others consume while what waits gets less or is stored', () => {
    const first = { ...well, consumer: 'elsewhere', lag: 100 }
    assert.deepEqual(levelsOf(first)['consumer'], undefined)
    assert.equal(levelsOf({ ...first, lag: null })['consumer'], 'fail')
    const judged = (over: Partial<HealthAnswer>): string =>
      judgeOthers(first, { ...first, ...over }).level
    assert.equal(judged({}), 'fail')
    assert.equal(judged({ lag: 101 }), 'fail')
    assert.equal(judged({ lag: 99 }), 'ok')
    assert.equal(judged({ lag: 0 }), 'ok')
    const stored = new Date(now + 1).toISOString()
    assert.equal(judged({ lag: 101, lastStoredAt: stored }), 'ok')
    assert.equal(judged({ lag: 60_000, lastStoredAt: stored }), 'warn')
  })

  it('warns of a partition of the store that has grown too large', () => {
    const levels = (rows: number): string[] =>
      [...judgeBucket({ ...well, fullestBucket: { name: '2026-03-10', rows } })].map(
        ({ level }) => level,
      )
    assert.deepEqual([...judgeBucket(well)], [])
    assert.deepEqual(levels(500_000), ['ok'])
    assert.deepEqual(levels(500_001), ['warn'])
  })

  it('judges Node, disk, clock and log by their bounds', () => {
    assert.equal(checkNode('24.0.0').level, 'ok')
    assert.equal(checkNode('9.11.2').level, 'fail')
    assert.equal(judgeDisk(GiB, GiB).level, 'fail')
    assert.equal(judgeDisk(1.5 * GiB, GiB).level, 'warn')
    assert.equal(judgeDisk(3 * GiB, GiB).level, 'ok')
    assert.equal(judgeClock(now + 4 * minuteMs, now).level, 'ok')
    assert.equal(judgeClock(now + 6 * minuteMs, now).level, 'fail')
    assert.equal(judgeLogSize(79, 100).level, 'ok')
    assert.equal(judgeLogSize(80, 100).level, 'warn')
    assert.equal(judgeLogSize(100, 100).level, 'fail')
    assert.equal(sizeText(0), '0 bytes')
    assert.equal(sizeText(1.5 * GiB), '1.5 GiB')
  })

  it('sees a proxy that is not named by the one address that all parties have', () => {
    const events = (addresses: number, parties: number) =>
      Array.from({ length: 200 }, (_, n) => ({
        remoteAddress: `192.0.2.${n % addresses}`,
        partyId: `p${n % parties}`,
      }))
    assert.equal(judgeProxies(events(1, 50)).level, 'warn')
    assert.equal(judgeProxies(events(1, 3)).level, 'ok')
    assert.equal(judgeProxies(events(2, 50)).level, 'ok')
    assert.equal(judgeProxies([]).level, 'ok')
    const unknown = events(1, 50).map((event) => ({ ...event, remoteAddress: '' }))
    assert.equal(judgeProxies(unknown).level, 'ok')
  })

  it('says what an open door means', () => {
    const open = parseConfig({
      api: { host: '0.0.0.0', token: 'x'.repeat(32) },
      collect: { host: '0.0.0.0', publicPages: true },
      log: { retentionDays: 100 },
    })
    const levels = [...checkSettings(open)].map(({ check, level }) => `${check} ${level}`)
    assert.deepEqual(levels, [
      'API host warn',
      'collector host warn',
      'public pages warn',
      'allowed origins ok',
      'retention warn',
    ])
    const named = (token?: string) =>
      [
        ...checkSettings(
          parseConfig({ api: { token, allowedHosts: ['localhost', 'stats.example:443'] } }),
        ),
      ].find(({ check }) => check === 'API host')
    assert.equal(named()?.level, 'warn')
    assert.match(named()?.text ?? '', /stats\.example:443/)
    assert.equal(named('x'.repeat(32))?.level, 'ok')
  })
})
