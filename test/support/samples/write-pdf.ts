/** PDF documents: pages with a line of text, document information, and the oldest encryption (RC4 of 40 bits). */
import { createHash } from 'node:crypto'

export interface PdfDocument {
  pages: readonly string[]
  info?: { readonly [key: string]: string }
  /** Encrypts; the empty one lets everybody read. */
  password?: string
  /** Content of each page, in place of its line. */
  content?: Uint8Array
  /** Name of the filter that the content is packed with. */
  filter?: string
}

export function pdf({ pages, info, password, content, filter }: PdfDocument): Buffer {
  const key = password === undefined ? null : encryption(password)
  const first = 4
  const text = (value: string, number: number) => {
    const bytes = utf16(value)
    return key === null ? bytes : rc4(objectKey(key.key, number), bytes)
  }
  const kids = pages.map((_, at) => `${first + at * 2} 0 R`).join(' ')
  const objects: (string | Buffer)[] = [
    `<< /Type /Catalog /Pages 2 0 R /Lang <${text('en-GB', 1).toString('hex')}> >>`,
    `<< /Type /Pages /Kids [${kids}] /Count ${pages.length} >>`,
    '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>',
  ]
  for (const [at, line] of pages.entries()) {
    const number = first + at * 2 + 1
    const plain = content ?? Buffer.from(`BT /F1 24 Tf 20 100 Td (${line}) Tj ET`, 'latin1')
    const stream = key === null ? Buffer.from(plain) : rc4(objectKey(key.key, number), Buffer.from(plain))
    objects.push(
      `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents ${number} 0 R /Resources << /Font << /F1 3 0 R >> >> >>`,
      Buffer.concat([
        Buffer.from(`<< /Length ${stream.length}${filter === undefined ? '' : ` /Filter /${filter}`} >>\nstream\n`),
        stream,
        Buffer.from('\nendstream'),
      ]),
    )
  }
  const infoNumber = objects.length + 1
  if (info !== undefined) {
    const member = (name: string, value: string) => `/${name} <${text(value, infoNumber).toString('hex')}>`
    objects.push(
      `<< ${Object.entries(info)
        .map(([name, value]) => member(name, value))
        .join(' ')} >>`,
    )
  }
  const trailer = [`/Size ${objects.length + (key === null ? 1 : 2)}`, '/Root 1 0 R']
  if (info !== undefined) trailer.push(`/Info ${infoNumber} 0 R`)
  if (key !== null) {
    objects.push(
      `<< /Filter /Standard /V 1 /R 2 /O <${key.owner.toString('hex')}> /U <${key.user.toString('hex')}> /P -4 >>`,
    )
    trailer.push(`/Encrypt ${objects.length} 0 R`, `/ID [<${ID.toString('hex')}> <${ID.toString('hex')}>]`)
  }
  return written(objects, trailer)
}

function written(objects: readonly (string | Buffer)[], trailer: readonly string[]): Buffer {
  const parts: Buffer[] = [Buffer.from('%PDF-1.7\n%\xe2\xe3\xcf\xd3\n', 'latin1')]
  const places: number[] = []
  let at = parts[0]!.length
  for (const [index, object] of objects.entries()) {
    places.push(at)
    const part = Buffer.concat([
      Buffer.from(`${index + 1} 0 obj\n`),
      Buffer.from(object as string),
      Buffer.from('\nendobj\n'),
    ])
    parts.push(part)
    at += part.length
  }
  const lines = places.map((place) => `${String(place).padStart(10, '0')} 00000 n \n`)
  parts.push(
    Buffer.from(
      `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${lines.join('')}trailer\n<< ${trailer.join(' ')} >>\nstartxref\n${at}\n%%EOF\n`,
    ),
  )
  return Buffer.concat(parts)
}

function utf16(text: string): Buffer {
  return Buffer.concat([Buffer.from([0xfe, 0xff]), Buffer.from(text, 'utf16le').swap16()])
}

const ID = Buffer.from('00112233445566778899aabbccddeeff', 'hex')
const PAD = Buffer.from('28bf4e5e4e758a4164004e56fffa01082e2e00b6d0683e802f0ca9fe6453697a', 'hex')

/** Algorithms 2 to 4 of ISO 32000-1, 7.6.3.3: the owner's password is the user's. */
function encryption(password: string): { key: Buffer; owner: Buffer; user: Buffer } {
  const padded = Buffer.concat([Buffer.from(password, 'latin1'), PAD]).subarray(0, 32)
  const owner = rc4(md5(padded).subarray(0, 5), padded)
  const permissions = Buffer.alloc(4)
  permissions.writeInt32LE(-4)
  const key = md5(Buffer.concat([padded, owner, permissions, ID])).subarray(0, 5)
  return { key, owner, user: rc4(key, PAD) }
}

function objectKey(key: Buffer, number: number): Buffer {
  const place = Buffer.from([number & 0xff, number >> 8, 0, 0, 0])
  return md5(Buffer.concat([key, place])).subarray(0, key.length + 5)
}

function md5(bytes: Buffer): Buffer {
  return createHash('md5').update(bytes).digest()
}

function rc4(key: Buffer, bytes: Buffer): Buffer {
  const state = Uint8Array.from({ length: 256 }, (_, i) => i)
  const swap = (a: number, b: number) => {
    const kept = state[a]!
    state[a] = state[b]!
    state[b] = kept
  }
  for (let i = 0, j = 0; i < 256; i++) {
    j = (j + state[i]! + key[i % key.length]!) & 0xff
    swap(i, j)
  }
  let i = 0
  let j = 0
  return bytes.map((byte) => {
    i = (i + 1) & 0xff
    j = (j + state[i]!) & 0xff
    swap(i, j)
    return byte ^ state[(state[i]! + state[j]!) & 0xff]!
  }) as Buffer
}
