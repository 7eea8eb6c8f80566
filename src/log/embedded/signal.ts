/** Wakes those who wait for something to happen; nothing that happens between two looks is missed. */
export class Signal {
  #count = 0
  readonly #waiting = new Set<() => void>()

  /** Take it before looking; see `wait`. */
  mark(): number {
    return this.#count
  }

  set(): void {
    this.#count++
    for (const wake of [...this.#waiting]) wake()
  }

  /** Resolves when `set` has been called since `mark`, after `ms`, or when `signal` aborts. */
  wait(mark: number, ms: number, signal?: AbortSignal): Promise<void> {
    if (this.#count !== mark || signal?.aborted === true) return Promise.resolve()
    return new Promise((resolve) => {
      const wake = () => {
        this.#waiting.delete(wake)
        clearTimeout(timer)
        signal?.removeEventListener('abort', wake)
        resolve()
      }
      const timer = setTimeout(wake, ms)
      this.#waiting.add(wake)
      signal?.addEventListener('abort', wake)
    })
  }
}
