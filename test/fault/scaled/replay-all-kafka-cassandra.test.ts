import { replayAll } from './replay-all.ts'
import { smoke } from './smoke.ts'

smoke(replayAll)
