/**
 * A day of a web shop, always the same day: visits of people who come once or often, look at what is popular more than at the
 * rest, pause, come back, and now and then buy. Only additions and multiplications of numbers, so that every machine makes the same.
 */

const DAY = Date.UTC(2026, 4, 4) / 1000
const VISITS = 900
const PEOPLE = 300
const PRODUCTS = 60
const CATEGORIES = ['lamps', 'chairs', 'tables', 'rugs']
const SYSTEMS = ['android', 'ios', 'windows', 'linux']
const AGENTS = {
  android: 'Mozilla/5.0 (Linux; Android 16)',
  ios: 'Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X)',
  windows: 'Mozilla/5.0 (Windows NT 10.0; Win64; x64)',
  linux: 'Mozilla/5.0 (X11; Linux x86_64)',
}
const REFERRERS = ['https://search.example.com/', 'https://news.example.org/', null]

/** Numbers from 0 to 1, exclusive, the same for the same seed (mulberry32). */
function randomFrom(seed) {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const random = randomFrom(7)
const below = (bound) => Math.floor(random() * bound)
const chance = (share) => random() < share
/** The first of `bound` come much oftener than the last. */
const skewed = (bound) => {
  const part = random()
  return Math.floor(part * part * bound)
}

/** Events in the order in which they are sent, which is not quite that in which they happened. */
export function eventsOfTheDay() {
  const sent = []
  for (let visit = 0; visit < VISITS; visit++) {
    for (const event of eventsOfVisit(visit)) sent.push({ event, at: event.at + below(300) })
  }
  sent.sort((a, b) => a.at - b.at)
  return sent.map(({ event: { at, ...event } }) => ({ ...event, timestamp: isoOf(at) }))
}

/** Events that a table of these columns cannot take. */
export function badEvents() {
  const [good] = eventsOfVisit(0)
  const { at, ...event } = good
  return [
    { ...event, timestamp: '04/May/2026:10:00:00' },
    { ...event, timestamp: isoOf(at), ip: 3_232_235_777 },
    { ...event, timestamp: isoOf(at), userId: event.user_id },
  ]
}

function eventsOfVisit(visit) {
  const person = skewed(PEOPLE)
  const os = SYSTEMS[((person * 7) % 11) % SYSTEMS.length]
  const common = {
    user_id: `u${String(person).padStart(3, '0')}`,
    session_id: `s${String(visit).padStart(4, '0')}`,
    referrer: REFERRERS[below(REFERRERS.length)],
    user_agent: AGENTS[os],
    ip: `192.0.2.${person % 256}`,
    hostname: 'shop.example.com',
    os,
  }
  let at = DAY + 6 * 3600 + below(8 * 3600) + below(8 * 3600)
  const events = []
  const add = (event, uri) => {
    events.push({ ...common, event, uri, at })
    // Most go on at once; some leave the page open over lunch.
    at += chance(0.04) ? 1_860 + below(3_600) : 5 + below(175)
  }
  add('visit', '/')
  if (chance(0.3)) return events
  const category = CATEGORIES[skewed(CATEGORIES.length)]
  if (chance(0.7)) add('list', `/categories/${category}`)
  let carts = 0
  for (let views = 1 + skewed(6); views > 0; views--) {
    const product = `/products/${skewed(PRODUCTS)}`
    add('view', product)
    if (chance(0.12)) add('like', product)
    if (!chance(0.22)) continue
    add('cart', product)
    carts += 1
  }
  if (carts > 0 && chance(0.45)) add('purchase', '/checkout')
  return events
}

function isoOf(seconds) {
  return `${new Date(seconds * 1000).toISOString().slice(0, 19)}Z`
}
