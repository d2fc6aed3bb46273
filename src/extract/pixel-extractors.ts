/**
 * `phash` and `blurhash`: what a picture looks like, in a few characters. Both add to `image`. They decode the picture and read the
 * whole object for it, so they run only when they are asked for.
 */
import { must } from '../base/assert.ts'
import type { Extractor } from './extract.ts'
import { fact, facts, record } from './fact-schema.ts'
import { isDecoded, SIDE, smallPixels } from './pixels.ts'

const phashSchema = facts('phash', {
  image: record({
    phash: fact(
      'string',
      'perceptual hash: 64 bits as 16 hex digits; pictures that look alike differ in few bits (10 or fewer of 64, as a rule)',
      { pattern: '^[0-9a-f]{16}$' },
    ),
  }),
})

export const phashExtractor: Extractor = {
  name: 'phash',
  version: 1,
  schema: phashSchema,
  appliesTo: ({ sniffed }) => isDecoded(sniffed),
  extract: async (_subject, bytes) => ({ image: { phash: perceptualHash(await smallPixels(bytes)) } }),
}

const blurhashSchema = facts('blurhash', {
  image: record({
    blurhash: fact('string', 'BlurHash of 4 x 3 components: a blurred picture to show while the picture loads', {
      pattern: '^[0-9A-Za-z#$%*+,.:;=?@\\[\\]^_{|}~-]{28}$',
    }),
  }),
})

/** Components of the hash across and down. */
const ACROSS = 4
const DOWN = 3

export const blurhashExtractor: Extractor = {
  name: 'blurhash',
  version: 1,
  schema: blurhashSchema,
  appliesTo: ({ sniffed }) => isDecoded(sniffed),
  async extract(_subject, bytes) {
    const [{ encode }, rgb] = await Promise.all([import('blurhash'), smallPixels(bytes)])
    const rgba = new Uint8ClampedArray(SIDE * SIDE * 4)
    for (let pixel = 0; pixel < SIDE * SIDE; pixel++) {
      rgba.set(rgb.subarray(pixel * 3, pixel * 3 + 3), pixel * 4)
      rgba[pixel * 4 + 3] = 255
    }
    return { image: { blurhash: encode(rgba, SIDE, SIDE, ACROSS, DOWN) } }
  },
}

/** Frequencies that count in each direction. */
const FREQUENCIES = 8

/**
 * The lowest 8 x 8 frequencies of the grey picture (DCT of 32 x 32); a bit says whether one is above their median. The very first is
 * the mean brightness, which says nothing about form: it takes no part in the median.
 */
export function perceptualHash(rgb: Uint8Array): string {
  const grey = new Float64Array(SIDE * SIDE)
  for (let i = 0; i < grey.length; i++)
    grey[i] = 0.299 * rgb[i * 3]! + 0.587 * rgb[i * 3 + 1]! + 0.114 * rgb[i * 3 + 2]!
  const rows = new Float64Array(SIDE * FREQUENCIES)
  for (let y = 0; y < SIDE; y++)
    for (let u = 0; u < FREQUENCIES; u++) {
      let sum = 0
      for (let x = 0; x < SIDE; x++) sum += grey[y * SIDE + x]! * COSINES[u * SIDE + x]!
      rows[y * FREQUENCIES + u] = sum
    }
  const found: number[] = []
  for (let v = 0; v < FREQUENCIES; v++)
    for (let u = 0; u < FREQUENCIES; u++) {
      let sum = 0
      for (let y = 0; y < SIDE; y++) sum += rows[y * FREQUENCIES + u]! * COSINES[v * SIDE + y]!
      // To a whole number, so that what the last bits of a sum are is never asked.
      found.push(Math.round(sum))
    }
  const sorted = found.slice(1).sort((a, b) => a - b)
  const median = must(sorted[sorted.length >> 1], 'a median of frequencies')
  let bits = 0n
  for (const value of found) bits = (bits << 1n) | (value > median ? 1n : 0n)
  return bits.toString(16).padStart(16, '0')
}

const COSINES = Float64Array.from({ length: FREQUENCIES * SIDE }, (_, i) => {
  const frequency = Math.floor(i / SIDE)
  return Math.cos(((2 * (i % SIDE) + 1) * frequency * Math.PI) / (2 * SIDE))
})
