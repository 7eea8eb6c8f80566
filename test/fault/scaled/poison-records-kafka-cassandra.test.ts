import { poisonousTopic } from './poison-records.ts'
import { smoke } from './smoke.ts'

smoke(poisonousTopic)
