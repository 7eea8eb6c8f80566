import { fullDisk } from './full-disk.ts'
import { smoke } from './smoke.ts'

smoke(fullDisk)
