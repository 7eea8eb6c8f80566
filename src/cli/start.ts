import type { Command } from 'commander'
import { Registry } from 'prom-client'
import { createInspector } from '../collect/inspect.ts'
import type { Config } from '../config.ts'
import { systemClock } from '../lib/clock.ts'
import { runUntilSignal } from './lifecycle.ts'
import {
  configOf,
  createCommand,
  type StageFlags,
  withApiFlags,
  withCollectFlags,
  withConsumeFlags,
} from './options.ts'
import { openRecommendStage } from './recommend-stage.ts'
import { openCollectLogStage, registerSpoolMetrics } from './spool.ts'
import * as stages from './stages.ts'
import { version } from './version.ts'

interface StartFlags extends StageFlags {
  readonly inspect?: boolean
}

/** `millrace start`: every stage in one process. */
export function startCommand(): Command {
  const command = createCommand(
    'start',
    'Run collector, log, consumer, store and API in one process',
  )
  return withConsumeFlags(withApiFlags(withCollectFlags(command)))
    .option('--inspect', 'show what arrives and what is refused, for tests of a site')
    .action(async (flags: StartFlags) => {
      const config = await configOf(flags)
      await runUntilSignal(async (lifecycle) => {
        const logs = await openCollectLogStage(config, lifecycle, true)
        const store = await stages.openStoreStage(config, lifecycle)
        const registry = new Registry()
        stages.registerPipelineMetrics(registry, logs, store)
        registerSpoolMetrics(registry, logs)
        let collectorUrl: string | null = null
        const inspector = flags.inspect === true ? createInspector(systemClock) : undefined
        const consumer = await stages.openConsumeStage(config, logs, store, flags, lifecycle)
        const recommend = await openRecommendStage(config, logs, store, lifecycle)
        const parts = {
          logs,
          store,
          consumer,
          recommend,
          collectorUrl: () => collectorUrl,
          inspector,
        }
        const api = await stages.openApiStage(config, parts, lifecycle)
        const collector = await stages.openCollectStage(
          config,
          logs,
          registry,
          lifecycle,
          api.url,
          recommend,
          inspector,
        )
        collectorUrl = collector.url
        printAddresses(config, collector.url, api.url)
        if (inspector !== undefined) process.stdout.write(`  Inspect     ${api.url}/inspect\n\n`)
      })
    })
}

function printAddresses(config: Config, collectorUrl: string, apiUrl: string): void {
  process.stdout.write(`
Millrace ${version}

  Demo page   ${collectorUrl}/
  Shop        ${collectorUrl}/shop/
  Dashboard   ${apiUrl}/
  Your pages  <script src="${collectorUrl}/${config.tag.name}" defer async></script>
  API         ${apiUrl}/api/openapi.json
  Data        ${stages.dataFolder(config)}

Ctrl+C stops it; what was answered with 2xx is on disk.

`)
}
