import { prepareSpark } from '../../script/services/spark.ts'
import { dayMs, minuteMs, secondMs } from '../../src/lib/clock.ts'
import type { Row } from '../../src/store/store.ts'
import { makeRow } from '../store/rows.ts'

/** What the tests with a real Spark share: the traffic of a shop, the same in every run. */

export interface TrafficOptions {
  /** ms since 1970: the start of the first day. */
  readonly start: number
  readonly days: number
  readonly sessions: number
  readonly parties: number
  readonly items: number
}

const types = ['pageView', 'pageView', 'pageView', 'preview', 'addToBasket', 'purchase', 'search']
const groupItems = 25

/**
 * Sessions one after the other, spread over the days: of one party each, on items of one group mostly,
 * some of bots, some without a party, some over midnight, some with a gap that makes them two.
 */
export function* makeTraffic(options: TrafficOptions): Generator<Row[], void, undefined> {
  const random = createRandom()
  const pick = (count: number): number => Math.floor(random() * count)
  for (let session = 0; session < options.sessions; session++) {
    const party = pick(options.parties)
    const group = Math.floor(random() ** 2 * (options.items / groupItems))
    let time = Math.floor(
      options.start + ((session + random()) / options.sessions) * options.days * dayMs,
    )
    const rows: Row[] = []
    for (let event = 1 + pick(10); event > 0; event--) {
      const stray = random() < 0.1
      const item = stray ? pick(options.items) : group * groupItems + pick(groupItems)
      const eventType = types[pick(types.length)] as string
      const hasParty = party % 40 !== 1
      rows.push(
        makeRow({
          eventId: `s${session}-${rows.length}`,
          partyId: hasParty ? `0:party${party}` : null,
          sessionId: hasParty || party % 80 === 1 ? `0:session${session}` : null,
          eventType,
          eventTime: time,
          itemId: eventType === 'search' ? null : `item-${item}`,
          bot: party % 50 === 0 ? 'crawler' : null,
          offset: 100 * session + rows.length,
        }),
      )
      time += random() < 0.05 ? 45 * minuteMs : Math.floor(random() * 90 * secondMs)
    }
    yield rows
  }
}

/** xorshift32. */
function createRandom(): () => number {
  let state = 20_260_310
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
}

/** Spark as it is installed for tests, with what makes a small job short; see `prepareSpark`. */
export async function sparkEnvironment(): Promise<Record<string, string>> {
  const { submit, jars } = await prepareSpark()
  const conf = [
    // Minutes of work are needed before the second compiler pays.
    'spark.driver.extraJavaOptions=-XX:TieredStopAtLevel=1 -XX:+UseSerialGC',
    'spark.sql.shuffle.partitions=4',
    // A machine that is busy with other tests may let it wait for long.
    'spark.executor.heartbeatInterval=60s',
    'spark.network.timeout=600s',
  ]
  return {
    MILLRACE_RECOMMEND_SPARK_SUBMIT: submit,
    MILLRACE_RECOMMEND_SPARK_JARS: jars,
    MILLRACE_RECOMMEND_SPARK_MASTER: 'local[2]',
    MILLRACE_RECOMMEND_SPARK_MEMORY: '1g',
    MILLRACE_RECOMMEND_SPARK_CONF: conf.join(),
  }
}
