import { leaderKill } from './leader-kill.ts'
import { smoke } from './smoke.ts'

smoke(leaderKill)
