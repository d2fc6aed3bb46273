/** Zip and tar archives, written byte by byte. */
import { crc32, deflateRawSync } from 'node:zlib'

export interface ArchiveFile {
  name: string
  text: string | Uint8Array
  /** Zip: kept as it is. */
  stored?: boolean
}

/** 2024-05-06 07:08:10 as DOS counts. */
const DOS_DATE = ((2024 - 1980) << 9) | (5 << 5) | 6
const DOS_TIME = (7 << 11) | (8 << 5) | 5

export function zip(files: readonly ArchiveFile[], { comment = '' } = {}): Buffer {
  const parts: Buffer[] = []
  const directory: Buffer[] = []
  let at = 0
  for (const { name, text, stored = false } of files) {
    const content = Buffer.from(text as string)
    const packed = stored || content.length === 0 ? content : deflateRawSync(content)
    const nameBytes = Buffer.from(name)
    const fields = Buffer.alloc(26)
    fields.writeUInt16LE(20, 0)
    fields.writeUInt16LE(0x0800, 2) // names are UTF-8
    fields.writeUInt16LE(packed === content ? 0 : 8, 4)
    fields.writeUInt16LE(DOS_TIME, 6)
    fields.writeUInt16LE(DOS_DATE, 8)
    fields.writeUInt32LE(crc32(content), 10)
    fields.writeUInt32LE(packed.length, 14)
    fields.writeUInt32LE(content.length, 18)
    fields.writeUInt16LE(nameBytes.length, 22)
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), fields, nameBytes, packed])
    const rest = Buffer.alloc(14)
    rest.writeUInt32LE(at, 10)
    directory.push(Buffer.from('PK\x01\x02\x14\x00', 'latin1'), fields, rest, nameBytes)
    parts.push(local)
    at += local.length
  }
  const index = Buffer.concat(directory)
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06', 'latin1')
  end.writeUInt16LE(files.length, 8)
  end.writeUInt16LE(files.length, 10)
  end.writeUInt32LE(index.length, 12)
  end.writeUInt32LE(at, 16)
  end.writeUInt16LE(Buffer.byteLength(comment), 20)
  return Buffer.concat([...parts, index, end, Buffer.from(comment)])
}

const MODIFIED_S = Date.UTC(2024, 4, 6, 7, 8, 9) / 1000

/** Names longer than the header's field go into a pax header. */
export function tar(files: readonly ArchiveFile[]): Buffer {
  const parts: Buffer[] = []
  for (const { name, text } of files) {
    const content = Buffer.from(text as string)
    if (Buffer.byteLength(name) > 100) {
      const record = paxRecord('path', name)
      parts.push(header('PaxHeaders/long', record.length, 'x'), padded(record))
    }
    parts.push(header(name, content.length, name.endsWith('/') ? '5' : '0'), padded(content))
  }
  return Buffer.concat([...parts, Buffer.alloc(1024)])
}

function header(name: string, size: number, kind: string): Buffer {
  const block = Buffer.alloc(512)
  block.write(Buffer.from(name).subarray(0, 100).toString('latin1'), 0, 'latin1')
  block.write('0000644\0', 100)
  block.write('0000000\0', 108)
  block.write('0000000\0', 116)
  block.write(`${size.toString(8).padStart(11, '0')}\0`, 124)
  block.write(`${MODIFIED_S.toString(8).padStart(11, '0')}\0`, 136)
  block.write('        ', 148)
  block.write(kind, 156)
  block.write('ustar\x0000', 257, 'latin1')
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return block
}

function padded(content: Buffer): Buffer {
  return Buffer.concat([content, Buffer.alloc((512 - (content.length % 512)) % 512)])
}

function paxRecord(key: string, value: string): Buffer {
  const body = ` ${key}=${value}\n`
  let length = Buffer.byteLength(body)
  while (Buffer.byteLength(`${length}${body}`) !== length) length = Buffer.byteLength(`${length}${body}`)
  return Buffer.from(`${length}${body}`)
}
