/** For tests: writes a TIFF block exactly as told, right or wrong. */

/** tag, type, values (numbers, pairs for rationals, or bytes as they are), and a count that may lie. */
export interface TestEntry {
  tag: number
  type: number
  value: number[] | [number, number][] | Uint8Array
  count?: number
}

export interface TestIfd {
  entries: TestEntry[]
  /** Pointer tag → directory. */
  children?: [number, TestIfd][]
}

const UNIT: Record<number, number> = {
  1: 1,
  2: 1,
  3: 2,
  4: 4,
  5: 8,
  6: 1,
  7: 1,
  8: 2,
  9: 4,
  10: 8,
  11: 4,
  12: 8,
  129: 1,
}

function encode({ type, value }: TestEntry, little: boolean): Buffer {
  if (value instanceof Uint8Array) return Buffer.from(value)
  const unit = UNIT[type] ?? 1
  const out = Buffer.alloc(unit * value.length)
  const view = new DataView(out.buffer, out.byteOffset, out.byteLength)
  for (const [i, one] of value.entries()) {
    const at = i * unit
    if (Array.isArray(one)) {
      const set = type === 10 ? view.setInt32 : view.setUint32
      set.call(view, at, one[0], little)
      set.call(view, at + 4, one[1], little)
    } else if (type === 3) view.setUint16(at, one, little)
    else if (type === 8) view.setInt16(at, one, little)
    else if (type === 4) view.setUint32(at, one, little)
    else if (type === 9) view.setInt32(at, one, little)
    else if (type === 11) view.setFloat32(at, one, little)
    else if (type === 12) view.setFloat64(at, one, little)
    else if (type === 6) view.setInt8(at, one)
    else view.setUint8(at, one)
  }
  return out
}

/** The block, beginning with `II` or `MM`. */
export function tiffBlock(root: TestIfd, little = true): Buffer {
  const pieces: Buffer[] = []
  let end = 8
  const place = (bytes: Buffer): number => {
    const at = end
    const padded = bytes.length % 2 === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(1)])
    pieces.push(padded)
    end += padded.length
    return at
  }
  const directory = (ifd: TestIfd): number => {
    const children: TestEntry[] = (ifd.children ?? []).map(([tag, child]) => ({
      tag,
      type: 4,
      value: [directory(child)],
    }))
    const entries = [...ifd.entries, ...children].sort((a, b) => a.tag - b.tag)
    const raw = Buffer.alloc(2 + entries.length * 12 + 4)
    const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength)
    view.setUint16(0, entries.length, little)
    for (const [i, entry] of entries.entries()) {
      const at = 2 + i * 12
      const data = encode(entry, little)
      view.setUint16(at, entry.tag, little)
      view.setUint16(at + 2, entry.type, little)
      view.setUint32(at + 4, entry.count ?? data.length / (UNIT[entry.type] ?? 1), little)
      if (data.length <= 4) data.copy(raw, at + 8)
      else view.setUint32(at + 8, place(data), little)
    }
    return place(raw)
  }
  const first = directory(root)
  const head = Buffer.from(little ? 'II*\0\0\0\0\0' : 'MM\0*\0\0\0\0', 'latin1')
  if (little) head.writeUInt32LE(first, 4)
  else head.writeUInt32BE(first, 4)
  return Buffer.concat([head, ...pieces])
}

/** A JPEG of segments (marker, body) and a frame header of 8 x 8. */
export function jpegOf(segments: [number, Uint8Array][]): Buffer {
  const all: [number, Uint8Array][] = [...segments, [0xc0, Uint8Array.of(8, 0, 8, 0, 8, 1, 1, 0x11, 0)]]
  const parts = all.flatMap(([marker, body]) => [
    Uint8Array.of(0xff, marker, (body.length + 2) >> 8, (body.length + 2) & 0xff),
    body,
  ])
  return Buffer.concat([Uint8Array.of(0xff, 0xd8), ...parts, Uint8Array.of(0xff, 0xda, 0, 2, 0xff, 0xd9)])
}

/** The same with the block as its EXIF segment. */
export function jpegWithExif(block: Uint8Array): Buffer {
  return jpegOf([[0xe1, Buffer.concat([Buffer.from('Exif\0\0'), block])]])
}
