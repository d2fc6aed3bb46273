/**
 * A picture's pixels, made small: 32 x 32 in sRGB, upright, on white. Decoded by sharp once for each object, for `phash` and
 * `blurhash`; the whole object is read for it.
 */
import { limits } from '../base/limits.ts'
import type { ByteSource } from './extract.ts'
import { pagesOf, parsed } from './pages.ts'

export const SIDE = 32

const TYPES: ReadonlySet<string> = new Set([
  'image/jpeg',
  'image/png',
  'image/apng',
  'image/gif',
  'image/webp',
  'image/tiff',
  'image/avif',
])

/** True for the types whose pixels are decoded here. */
export function isDecoded(sniffed: string | null): boolean {
  return sniffed !== null && TYPES.has(sniffed)
}

const decoded = new WeakMap<ByteSource, Promise<Uint8Array>>()

/** Red, green and blue of 32 rows of 32 pixels. @throws Fault `corrupt`, `limit` for an object longer than the bound on bytes */
export function smallPixels(source: ByteSource): Promise<Uint8Array> {
  const known = decoded.get(source)
  if (known !== undefined) return known
  const pixels = parsed(pagesOf(source), 'the picture', () => decode(source))
  decoded.set(source, pixels)
  pixels.catch(() => undefined)
  return pixels
}

async function decode(source: ByteSource): Promise<Uint8Array> {
  const { default: sharp } = await import('sharp')
  // Each worker decodes one picture at a time: more threads and a cache would only take memory.
  sharp.cache(false)
  sharp.concurrency(1)
  const bytes = await source.read(0, source.sizeBytes)
  return await sharp(bytes, { limitInputPixels: limits.imagePixelsMax, pages: 1 })
    .timeout({ seconds: limits.imageDecodeMs / 1000 })
    .autoOrient()
    .flatten({ background: '#ffffff' })
    .resize(SIDE, SIDE, { fit: 'fill' })
    .toColourspace('srgb')
    .raw()
    .toBuffer()
}
