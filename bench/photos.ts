/**
 * Photos of 12 megapixels with the metadata of real and odd ones: upscaled sample photos, each with the APP segments of another
 * JPEG of the golden images. Made once per run into a folder; the same files every time.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import sharp from 'sharp'

const ROOT = path.join(import.meta.dirname, '..')
const SAMPLES = path.join(ROOT, 'examples', 'photos')
const GOLDEN = path.join(ROOT, 'test', 'golden', 'images', 'files')
const BODIES = 6
const WIDTH = 4_000

export interface Photo {
  path: string
  sizeBytes: number
}

/** `count` photos of 2 to 8 MB in `folder`. */
export async function makePhotos(folder: string, count: number): Promise<Photo[]> {
  const samples = (await readdir(SAMPLES, { recursive: true })).filter((name) => name.endsWith('.jpg')).sort()
  const heads: Uint8Array[] = []
  for (const file of [
    ...samples.map((name) => path.join(SAMPLES, name)),
    ...(await readdir(GOLDEN)).sort().map((name) => path.join(GOLDEN, name)),
  ]) {
    if (!file.endsWith('.jpg')) continue
    const segments = appSegments(await readFile(file))
    if (segments !== null && segments.length > 100) heads.push(segments)
  }
  const bodies: Buffer[] = []
  for (let at = 0; at < BODIES; at++) {
    const sample = path.join(SAMPLES, samples[Math.floor((at * samples.length) / BODIES)]!)
    const noise = {
      create: {
        width: WIDTH,
        height: 3_000,
        channels: 3 as const,
        background: '#808080',
        noise: { type: 'gaussian' as const, mean: 128, sigma: 40 },
      },
    }
    const grain = await sharp(noise).png({ compressionLevel: 1 }).toBuffer()
    const resized = sharp(sample).resize(WIDTH, 3_000, { fit: 'cover' })
    bodies.push(
      await resized
        .composite([{ input: grain, blend: 'overlay' }])
        .jpeg({ quality: 90 })
        .toBuffer(),
    )
  }
  const photos: Photo[] = []
  for (let at = 0; at < count; at++) {
    const body = bodies[at % bodies.length]!
    const bytes = Buffer.concat([body.subarray(0, 2), heads[at % heads.length]!, body.subarray(2)])
    const file = path.join(folder, `${at}.jpg`)
    await writeFile(file, bytes)
    photos.push({ path: file, sizeBytes: bytes.length })
  }
  return photos
}

/** The APP1, APP2 and APP13 segments of a JPEG, one after another; null when it is none, or damaged. */
function appSegments(bytes: Buffer): Uint8Array | null {
  if (bytes.length < 4 || bytes.readUInt16BE(0) !== 0xffd8) return null
  const kept: Uint8Array[] = []
  for (let at = 2; at + 4 <= bytes.length; ) {
    if (bytes[at] !== 0xff) return null
    const marker = bytes[at + 1]!
    const end = at + 2 + bytes.readUInt16BE(at + 2)
    if (marker < 0xe0 || marker > 0xef) break
    if (end > bytes.length) return null
    if (marker === 0xe1 || marker === 0xe2 || marker === 0xed) kept.push(bytes.subarray(at, end))
    at = end
  }
  return Buffer.concat(kept)
}
