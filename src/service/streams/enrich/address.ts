/**
 * An IP address → one that stands for fewer people: cut to its network, or a keyed hash. What is no address gives null, and
 * never passes: it could hold one. Addresses of IPv4 in IPv6 are the same as those of IPv4. Pure.
 */
import { createHmac } from 'node:crypto'
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'

/** The address in its one form; null when the text is none. */
function parse(text: string): ipaddr.IPv4 | ipaddr.IPv6 | null {
  const [bare = ''] = text.trim().split('%')
  if (isIP(bare) === 0) return null
  return ipaddr.process(bare)
}

/** `192.0.2.0` for `192.0.2.7` and 24 bits, `2001:db8:1::` for 48 bits of IPv6. */
export function truncateAddress(text: string, bits: { v4: number; v6: number }): string | null {
  // Most are of this kind, and it needs no library.
  if (isIP(text) === 4)
    return text
      .split('.')
      .map((byte, at) => Number(byte) & mask(bits.v4 - at * 8))
      .join('.')
  const address = parse(text)
  if (address === null) return null
  const kept = address.kind() === 'ipv4' ? bits.v4 : bits.v6
  const bytes = address.toByteArray().map((byte, at) => byte & mask(kept - at * 8))
  return ipaddr.fromByteArray(bytes).toString()
}

/** HMAC-SHA-256 of the address, 32 hexadecimal digits: the same for the same address as long as the secret is. */
export function hashAddress(text: string, secret: string): string | null {
  const address = parse(text)
  if (address === null) return null
  return createHmac('sha256', secret).update(address.toString()).digest('hex').slice(0, 32)
}

/** Of a byte with so many bits to keep. */
function mask(bits: number): number {
  return (0xff00 >> Math.min(8, Math.max(0, bits))) & 0xff
}
