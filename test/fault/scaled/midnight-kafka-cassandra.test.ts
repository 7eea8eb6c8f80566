import { midnight } from './midnight.ts'
import { smoke } from './smoke.ts'

smoke(midnight)
