import { z } from 'zod'
import { positive } from './units.ts'

/** Recommendations made in the process that owns the store. */
export const recommendSchema = z.strictObject({
  /** Build and serve them; without it nothing is read or kept for them. */
  enabled: z.boolean().default(true),
  /** What they are made from: the last days of events with an item. */
  days: positive.max(366).default(30),
  /** Event types that tell of interest in their item, and what each counts (1 to 255). */
  eventTypes: z
    .array(z.string())
    .default(['pageView=1', 'preview=1', 'addToBasket=2', 'purchase=3']),
  /** Of these: an item that a session has bought is not recommended to it. */
  boughtEventTypes: z.array(z.string()).default(['purchase']),
  /** How often what has arrived is put into the models. */
  refreshSeconds: positive.default(30),
  /** How often everything is read from the store again: late events, retention, erasures elsewhere. */
  rebuildMinutes: positive.default(360),
  /** Most clicks in the models, about 25 bytes each; the oldest sessions go first. */
  clicksMax: positive.default(2_000_000),
  /** Most different items; anybody can make some up. */
  itemsMax: positive.max(2 ** 24).default(200_000),
  /** A session with more clicks is taken for a bot's and not learnt from. */
  sessionClicksMax: positive.default(200),
  /** An item without a click for so many days has expired; 0 for never. */
  itemDaysMax: z.int().min(0).default(0),
  /** Spark's `bin/spark-submit`, for models and aggregates made there. */
  sparkSubmit: z.string().min(1).default('spark-submit'),
  /** Spark's master; by itself a job runs on this machine. */
  sparkMaster: z.string().min(1).default('local[*]'),
  /** Memory of the job's driver, which on this machine is all of it. */
  sparkMemory: z
    .string()
    .regex(/^\d+[mg]$/)
    .default('2g'),
  /** A folder with the jars of the Cassandra connector; '': Spark fetches them from Maven Central. */
  sparkJars: z.string().default(''),
  /** More of Spark's own settings, such as spark.executor.memory=4g. */
  sparkConf: z.array(z.string().regex(/^spark\.[^=\s]+=/)).default([]),
})
