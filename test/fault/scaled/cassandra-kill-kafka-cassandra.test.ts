import { cassandraKill } from './cassandra-kill.ts'
import { smoke } from './smoke.ts'

smoke(cassandraKill)
