import { consumerKill } from './consumer-kill.ts'
import { smoke } from './smoke.ts'

smoke(consumerKill)
