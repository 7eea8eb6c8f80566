import { lostAnswer } from './lost-answer.ts'
import { smoke } from './smoke.ts'

smoke(lostAnswer)
