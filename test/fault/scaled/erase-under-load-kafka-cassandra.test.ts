import { eraseUnderLoad } from './erase-under-load.ts'
import { smoke } from './smoke.ts'

smoke(eraseUnderLoad)
