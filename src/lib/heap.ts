import { setFlagsFromString } from 'node:v8'

/** By how much the heap may grow beyond what was alive when it was last cleared, percent. */
const growthPercent = 50

/**
 * Keeps the memory of this process near what is alive in it; call it before its work begins. On a
 * machine with much memory V8 lets its heap become several times as large before it looks: a consumer
 * with 50 MB alive would hold 250. Both flags are read anew at each collection, so they may be set
 * while the process runs, and no option of the command line has to travel with it.
 */
export function keepHeapSmall(): void {
  setFlagsFromString(`--heap-growing-percent=${growthPercent}`)
  // The young generation stays as large as the start made it: no time is gained by more.
  setFlagsFromString('--semi-space-growth-factor=1')
}
