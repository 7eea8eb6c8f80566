import { cassandraKill } from './cassandra-kill.ts'
import { collectorKill } from './collector-kill.ts'
import { consumerKill } from './consumer-kill.ts'
import { eraseUnderLoad } from './erase-under-load.ts'
import { fullDisk } from './full-disk.ts'
import { leaderKill } from './leader-kill.ts'
import { lostAnswer } from './lost-answer.ts'
import { midnight } from './midnight.ts'
import { poisonousTopic } from './poison-records.ts'
import { replayAll } from './replay-all.ts'
import type { FaultRow } from './run.ts'

/** The rows of the fault matrix that are run over real Kafka and real Cassandra. */
export const faultRows: readonly FaultRow[] = [
  collectorKill,
  leaderKill,
  lostAnswer,
  consumerKill,
  cassandraKill,
  fullDisk,
  poisonousTopic,
  replayAll,
  midnight,
  eraseUnderLoad,
]

/** @throws Error for a number that is not in the list */
export function faultRow(number: number): FaultRow {
  const row = faultRows.find((one) => one.number === number)
  if (row === undefined) throw new Error(`there is no row ${number}`)
  return row
}
