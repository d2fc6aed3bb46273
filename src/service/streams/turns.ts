/** One at a time per name, in the order of arrival; different names do not wait for each other. */
export class Turns {
  readonly #last = new Map<string, Promise<unknown>>()

  /** Runs `work` when nobody before holds `name`; without a name at once. */
  async take<T>(name: string | null, work: () => Promise<T>): Promise<T> {
    if (name === null) return work()
    const before = this.#last.get(name) ?? Promise.resolve()
    const mine = before.then(work, work)
    const settled = mine.catch(() => undefined)
    this.#last.set(name, settled)
    try {
      return await mine
    } finally {
      if (this.#last.get(name) === settled) this.#last.delete(name)
    }
  }

  /** Runs `work` when nobody before holds any of `names`. They are taken in the order given, which is to be the same for all. */
  async takeAll<T>(names: readonly string[], work: () => Promise<T>): Promise<T> {
    const [name, ...rest] = names
    return name === undefined ? work() : this.take(name, () => this.takeAll(rest, work))
  }
}
