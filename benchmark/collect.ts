import { compareWithBare } from './beside-bare.ts'

/**
 * Claim: the collector, answering after the sync, costs at most 2.1 × a bare node:http server per
 * single request and at most 0.9 × per event in batches of 20; p99 ≤ 15 ms at 10,000 requests/s.
 *
 *     node benchmark/collect.ts [rounds]
 */
await compareWithBare({
  rounds: Number(process.argv[2] ?? 5),
  requests: 60_000,
  claims: { single: 2.1, batched: 0.9, p99Ms: 15 },
})
