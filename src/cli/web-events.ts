/** Made-up events of a web shop, the same for the same seed. */
import { createHash } from 'node:crypto'

const EVENTS = ['visit', 'view', 'list', 'like', 'cart', 'purchase'] as const
const AGENTS = [
  'Mozilla/5.0 (X11; Linux x86_64)',
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X)',
  'curl/8.9.1',
]
const SYSTEMS = ['linux', 'ios', 'windows', 'android', null]
const HOSTS = ['shop.example.com', 'www.example.net', 'm.example.org']

export interface WebEvent {
  [column: string]: string | number | null
}

export class WebEvents {
  readonly #seed: string
  #count = 0

  constructor(seed: string) {
    this.#seed = seed
  }

  /** A number from 0 up to `bound`, exclusive; the next one each time. */
  #below(bound: number): number {
    const digest = createHash('sha256')
      .update(`${this.#seed} ${this.#count++}`)
      .digest()
    return Math.floor((digest.readUInt32BE() / 2 ** 32) * bound)
  }

  chance(share: number): boolean {
    return this.#below(1_000_000) < share * 1_000_000
  }

  next(atMs: number): WebEvent {
    const user = this.#below(1_000)
    const host = this.#pick(HOSTS)
    return {
      user_id: `u${String(user).padStart(4, '0')}`,
      session_id: `s${String(user * 7 + this.#below(7)).padStart(5, '0')}`,
      event: this.#pick(EVENTS),
      referrer: this.chance(0.5) ? `https://${this.#pick(HOSTS)}/` : null,
      user_agent: this.#pick(AGENTS),
      ip: `192.0.2.${this.#below(256)}`,
      hostname: host,
      os: this.#pick(SYSTEMS),
      timestamp: `${new Date(atMs).toISOString().slice(0, 19)}Z`,
      uri: `/products/${this.#below(500)}`,
    }
  }

  /** An event with one thing wrong with it. */
  bad(atMs: number): WebEvent {
    const { user_id, ...event } = this.next(atMs)
    switch (this.#below(3)) {
      case 0:
        return event
      case 1:
        return { ...event, user_id: user_id ?? null, ip: 3_232_235_777 }
      default:
        return { ...event, user_id: user_id ?? null, timestamp: '18/Jun/2022:02:00:00' }
    }
  }

  #pick<T>(values: readonly T[]): T {
    return values[this.#below(values.length)] as T
  }
}
