/**
 * The order of keys in a listing of S3: by the bytes of their UTF-8, which is the order of code points. JavaScript, and the file of
 * object versions, compare UTF-16 code units, which differ for U+E000 to U+FFFF against everything beyond them. Pure.
 */

const SURROGATES = 0xd800
const AFTER_SURROGATES = 0xe000

/** Less than 0 when `one` comes before `other` in a listing. */
export function compareKeyOrder(one: string, other: string): number {
  if (one === other) return 0
  const end = Math.min(one.length, other.length)
  for (let at = 0; at < end; at++) {
    const left = one.charCodeAt(at)
    const right = other.charCodeAt(at)
    if (left !== right) return rank(left) - rank(right)
  }
  return one.length - other.length
}

/** Where surrogates come after everything else. */
function rank(unit: number): number {
  if (unit >= AFTER_SURROGATES) return unit - AFTER_SURROGATES + SURROGATES
  return unit >= SURROGATES ? unit + 0x10000 : unit
}

/** The first place at or after `from` where the two orders may differ; -1 when there is none. */
export function firstUnordered(key: string, from: number): number {
  for (let at = from; at < key.length; at++) if (key.charCodeAt(at) >= SURROGATES) return at
  return -1
}
