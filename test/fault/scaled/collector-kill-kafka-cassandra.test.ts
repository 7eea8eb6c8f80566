import { collectorKill } from './collector-kill.ts'
import { smoke } from './smoke.ts'

smoke(collectorKill)
