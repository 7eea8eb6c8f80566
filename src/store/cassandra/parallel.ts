/**
 * Calls `work` for every item, at most `inFlightMax` at a time and begun in their order. After a
 * failure nothing more is begun; rejects with the first one when all that were under way have ended.
 */
export async function forEachParallel<Item>(
  items: Iterable<Item>,
  inFlightMax: number,
  work: (item: Item, index: number) => Promise<void>,
): Promise<void> {
  const waiting = items[Symbol.iterator]()
  let begun = 0
  let failure: { readonly thrown: unknown } | undefined
  async function takeTurns(): Promise<void> {
    while (failure === undefined) {
      const next = waiting.next()
      if (next.done === true) return
      try {
        await work(next.value, begun++)
      } catch (thrown) {
        failure ??= { thrown }
      }
    }
  }
  await Promise.all(Array.from({ length: inFlightMax }, takeTurns))
  if (failure !== undefined) throw failure.thrown
}

/** As `forEachParallel`, with the answers in the order of the items. */
export async function mapParallel<Item, Answer>(
  items: Iterable<Item>,
  inFlightMax: number,
  work: (item: Item) => Promise<Answer>,
): Promise<Answer[]> {
  const answers: Answer[] = []
  await forEachParallel(items, inFlightMax, async (item, index) => {
    answers[index] = await work(item)
  })
  return answers
}
