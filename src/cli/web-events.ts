/**
 * Made-up events of a web shop, the same for the same seed: visitors come, look at lists and products, like some, put some into their
 * cart, and now and then buy.
 */
import { createHash } from 'node:crypto'

export const EVENTS = ['visit', 'view', 'list', 'like', 'cart', 'purchase'] as const
export type EventName = (typeof EVENTS)[number]

/** What follows what, by weight; `end`: the visitor goes. */
export const NEXT: Readonly<Record<EventName, readonly (readonly [EventName | 'end', number])[]>> = {
  visit: [
    ['list', 50],
    ['view', 30],
    ['end', 20],
  ],
  list: [
    ['view', 60],
    ['list', 20],
    ['end', 20],
  ],
  view: [
    ['view', 20],
    ['list', 20],
    ['like', 15],
    ['cart', 20],
    ['end', 25],
  ],
  like: [
    ['view', 40],
    ['cart', 30],
    ['end', 30],
  ],
  cart: [
    ['purchase', 40],
    ['view', 30],
    ['end', 30],
  ],
  purchase: [['end', 1]],
}

const DEVICES = [
  ['Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0', 'linux'],
  ['Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Safari/604.1', 'ios'],
  ['Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/130.0.0.0 Safari/537.36', 'windows'],
  ['Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/130.0.0.0 Mobile Safari/537.36', 'android'],
  ['curl/8.9.1', null],
] as const
const SHOPS = ['shop.example.com', 'www.example.net', 'm.example.org']
const REFERRERS = ['https://search.example.com/', 'https://social.example.org/', null]
const USERS = 1_000
const PRODUCTS = 500
const CATEGORIES = 20
/** Visitors at a time, and the share of events with which a new one comes. */
const VISITORS_MAX = 50
const ARRIVALS = 0.15

export interface WebEvent {
  [column: string]: string | number | null
}

interface Session {
  user: number
  id: string
  host: string
  last: EventName
  page: string
  referrer: string | null
  product: number
}

export class WebEvents {
  readonly #seed: string
  readonly #users: readonly number[]
  readonly #products: readonly number[]
  readonly #sessions: Session[] = []
  #count = 0
  #sessionCount = 0

  /** @param skew exponent of Zipf's law for visitors and products; 0: all alike */
  constructor(seed: string, skew = 0) {
    this.#seed = seed
    this.#users = zipf(USERS, skew)
    this.#products = zipf(PRODUCTS, skew)
  }

  chance(share: number): boolean {
    return this.#below(1_000_000) < share * 1_000_000
  }

  /** A whole number from 0 up to `bound`, exclusive; the next one each time. */
  below(bound: number): number {
    return this.#below(bound)
  }

  next(atMs: number): WebEvent {
    const session = this.#step()
    const device = DEVICES[session.user % DEVICES.length] as (typeof DEVICES)[number]
    return {
      user_id: `u${String(session.user).padStart(4, '0')}`,
      session_id: session.id,
      event: session.last,
      referrer: session.referrer,
      user_agent: device[0],
      ip: `192.0.2.${session.user % 256}`,
      hostname: session.host,
      os: device[1],
      timestamp: `${new Date(atMs).toISOString().slice(0, 19)}Z`,
      uri: session.page,
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

  /** The session of the next event, as it stands after it. */
  #step(): Session {
    if (this.#sessions.length === 0 || (this.#sessions.length < VISITORS_MAX && this.chance(ARRIVALS)))
      return this.#arrive()
    const at = this.#below(this.#sessions.length)
    const session = this.#sessions[at] as Session
    const next = this.#weighted(NEXT[session.last])
    if (next === 'end') {
      this.#sessions.splice(at, 1)
      return this.#arrive()
    }
    session.referrer = `https://${session.host}${session.page}`
    // Who likes a product, or takes it, looks at it.
    if (next === 'view') session.product = this.#ranked(this.#products)
    session.page = pageOf(next, session.product, this.#below(CATEGORIES))
    session.last = next
    return session
  }

  #arrive(): Session {
    const user = this.#ranked(this.#users)
    const session: Session = {
      user,
      id: `s${createHash('sha256')
        .update(`${this.#seed} session ${this.#sessionCount++}`)
        .digest('hex')
        .slice(0, 12)}`,
      host: this.#pick(SHOPS),
      last: 'visit',
      page: '/',
      referrer: this.#pick(REFERRERS),
      product: 0,
    }
    this.#sessions.push(session)
    return session
  }

  #weighted(choices: readonly (readonly [EventName | 'end', number])[]): EventName | 'end' {
    let left = this.#below(choices.reduce((sum, [, weight]) => sum + weight, 0))
    for (const [name, weight] of choices) {
      if (left < weight) return name
      left -= weight
    }
    return 'end'
  }

  /** @param sums cumulative shares */
  #ranked(sums: readonly number[]): number {
    const share = this.#below(2 ** 32) / 2 ** 32
    let [low, high] = [0, sums.length - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((sums[middle] ?? 1) > share) high = middle
      else low = middle + 1
    }
    return low
  }

  #below(bound: number): number {
    const digest = createHash('sha256')
      .update(`${this.#seed} ${this.#count++}`)
      .digest()
    return Math.floor((digest.readUInt32BE() / 2 ** 32) * bound)
  }

  #pick<T>(values: readonly T[]): T {
    return values[this.#below(values.length)] as T
  }
}

/** Cumulative shares of `count` things, of which the k-th comes in proportion to 1 / k^skew. */
function zipf(count: number, skew: number): number[] {
  const weights = Array.from({ length: count }, (_, at) => (at + 1) ** -skew)
  const all = weights.reduce((sum, weight) => sum + weight, 0)
  let sum = 0
  return weights.map((weight) => {
    sum += weight / all
    return sum
  })
}

function pageOf(event: EventName, product: number, category: number): string {
  switch (event) {
    case 'visit':
      return '/'
    case 'list':
      return `/categories/${category}`
    case 'view':
    case 'like':
      return `/products/${product}`
    case 'cart':
      return '/cart'
    case 'purchase':
      return '/checkout/done'
  }
}

/** Puts a share of what comes aside and gives it back later, behind up to `LATE_MAX` others. */
export class Disorder<T> {
  readonly #late: { item: T; after: number }[] = []
  #count = 0

  /** @param lateBy so many places; 0: in its turn. The next item in order is made by `make` as often as it takes */
  next(make: () => T, lateBy: () => number): T {
    this.#count++
    const due = this.#late.findIndex(({ after }) => after <= this.#count)
    if (due >= 0) return this.#late.splice(due, 1)[0]!.item
    for (;;) {
      const item = make()
      const places = this.#late.length < LATE_MAX ? lateBy() : 0
      if (places === 0) return item
      this.#late.push({ item, after: this.#count + places })
    }
  }
}

export const LATE_MAX = 20
