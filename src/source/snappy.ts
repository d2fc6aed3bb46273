/** Snappy's raw format, unpacked. Pure. No package that is kept does this without a build of its own. */
import { Fault } from '../base/fault.ts'
import { varint } from './orc-tail.ts'

/** @param bytesMax refuse what says it is larger @throws Fault `corrupt`, `limit` */
export function unpackSnappy(packed: Uint8Array, bytesMax: number): Uint8Array {
  const at = { offset: 0 }
  const size = varint(packed, at)
  if (size > bytesMax) throw new Fault('limit', `expected at most ${bytesMax} bytes of Snappy, got ${size}`)
  const bytes = new Uint8Array(size)
  let filled = 0
  let from = at.offset
  const need = (length: number) => {
    if (filled + length > size) throw damaged()
  }
  while (from < packed.length) {
    const tag = packed[from++]!
    if ((tag & 3) === 0) {
      let length = tag >> 2
      if (length >= 60) {
        const count = length - 59
        length = littleEndian(packed, from, count)
        from += count
      }
      length++
      need(length)
      if (from + length > packed.length) throw damaged()
      bytes.set(packed.subarray(from, from + length), filled)
      filled += length
      from += length
      continue
    }
    const { length, distance, taken } = copyOf(tag, packed, from)
    from += taken
    need(length)
    if (distance === 0 || distance > filled) throw damaged()
    // What is copied may overlap what it makes.
    for (let index = 0; index < length; index++) bytes[filled + index] = bytes[filled + index - distance]!
    filled += length
  }
  if (filled !== size) throw damaged()
  return bytes
}

function copyOf(tag: number, packed: Uint8Array, from: number): { length: number; distance: number; taken: number } {
  switch (tag & 3) {
    case 1:
      return {
        length: ((tag >> 2) & 7) + 4,
        distance: ((tag >> 5) << 8) | littleEndian(packed, from, 1),
        taken: 1,
      }
    case 2:
      return { length: (tag >> 2) + 1, distance: littleEndian(packed, from, 2), taken: 2 }
    default:
      return { length: (tag >> 2) + 1, distance: littleEndian(packed, from, 4), taken: 4 }
  }
}

function littleEndian(bytes: Uint8Array, from: number, count: number): number {
  if (from + count > bytes.length) throw damaged()
  let value = 0
  for (let index = count - 1; index >= 0; index--) value = value * 256 + bytes[from + index]!
  return value
}

function damaged(): Fault {
  return new Fault('corrupt', 'expected bytes packed with Snappy, got some that are damaged or cut off')
}
