import { createHash, hash } from 'node:crypto'
import { crc32 as zlibCrc32 } from 'node:zlib'

/** CRC-32 (IEEE 802.3) of bytes or UTF-8 text, unsigned 32 bits. */
export function crc32(data: Uint8Array | string): number {
  return zlibCrc32(data)
}

/** SHA-256 as lower-case hex (64 digits). */
export function sha256Hex(data: Uint8Array | string): string {
  return hash('sha256', data)
}

/** MD5 as lower-case hex (32 digits): only for etags, never for identity. */
export function md5Hex(data: Uint8Array | string): string {
  return createHash('md5').update(data).digest('hex')
}
