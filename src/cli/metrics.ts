import { Counter, Histogram, type Registry } from 'prom-client'
import type { Written } from '../consume/writer.ts'

/** What a consumer tells Prometheus beside what `registerPipelineMetrics` reads. */
export interface ConsumeMetrics {
  readonly onRetry: () => void
  readonly onWritten: (written: Written) => void
}

export function createConsumeMetrics(registry: Registry): ConsumeMetrics {
  const registers = [registry]
  const retries = new Counter({
    name: 'millrace_consume_retries_total',
    help: 'Reads and writes that failed and were tried again',
    registers,
  })
  const rows = new Counter({
    name: 'millrace_consume_rows_total',
    help: 'Rows given to the store, those that it had already included',
    registers,
  })
  const deadLetters = new Counter({
    name: 'millrace_consume_dead_letters_total',
    help: 'Refused requests and unreadable records given to the store',
    registers,
  })
  const seconds = new Histogram({
    name: 'millrace_consume_write_seconds',
    help: 'Time until a batch was durable in the store, retries included',
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60],
    registers,
  })
  return {
    onRetry: () => retries.inc(),
    onWritten(written) {
      rows.inc(written.rows)
      deadLetters.inc(written.deadLetters)
      seconds.observe(written.seconds)
    },
  }
}
