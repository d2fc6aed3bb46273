/** A picture made smaller, for services that take no more than some bytes: upright, on white, as JPEG. Pixels and time are bounded. */
import { limits } from '../base/limits.ts'

/** Rejects with the decoder's error for what it does not take. */
export async function shrunkPicture(bytes: Uint8Array): Promise<Uint8Array> {
  const { default: sharp } = await import('sharp')
  return await sharp(bytes, { limitInputPixels: limits.labelPixelsMax })
    .timeout({ seconds: limits.labelShrinkMs / 1000 })
    .autoOrient()
    .resize(limits.labelSidePixels, limits.labelSidePixels, { fit: 'inside', withoutEnlargement: true })
    .flatten({ background: '#ffffff' })
    .jpeg({ quality: 85 })
    .toBuffer()
}
