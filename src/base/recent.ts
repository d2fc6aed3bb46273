interface Entry<V> {
  value: V
  weight: number
}

/** A map of bounded weight: beyond its bound, what was used least recently leaves first. */
export class Recent<K, V> {
  readonly #weightMax: number
  /** Least recently used first. */
  readonly #entries = new Map<K, Entry<V>>()
  #weight = 0

  /** @param weightMax in whatever unit `set` weighs in: entries, bytes */
  constructor(weightMax: number) {
    this.#weightMax = weightMax
  }

  /** The value, which counts as used now. */
  get(key: K): V | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    return entry.value
  }

  /** Keeps a value in place of the one before. One that is heavier than the bound is not kept at all. */
  set(key: K, value: V, weight = 1): void {
    this.delete(key)
    if (weight > this.#weightMax) return
    this.#entries.set(key, { value, weight })
    this.#weight += weight
    for (const oldest of this.#entries.keys()) {
      if (this.#weight <= this.#weightMax) break
      this.delete(oldest)
    }
  }

  delete(key: K): void {
    this.#weight -= this.#entries.get(key)?.weight ?? 0
    this.#entries.delete(key)
  }
}
