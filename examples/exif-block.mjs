/**
 * Writes an EXIF block (a small TIFF file, big-endian) and puts it into a JPEG. sharp writes EXIF too, but drops
 * accents, orientations and altitudes below the sea.
 */

/** Tag numbers and types: 1 byte, 2 ASCII, 3 short, 4 long, 5 rational, 7 undefined, 10 signed rational. */
const TAGS = {
  image: {
    ImageDescription: [0x010e, 2],
    Make: [0x010f, 2],
    Model: [0x0110, 2],
    Orientation: [0x0112, 3],
    XResolution: [0x011a, 5],
    YResolution: [0x011b, 5],
    ResolutionUnit: [0x0128, 3],
    Software: [0x0131, 2],
    DateTime: [0x0132, 2],
    Artist: [0x013b, 2],
    Copyright: [0x8298, 2],
  },
  exif: {
    ExposureTime: [0x829a, 5],
    FNumber: [0x829d, 5],
    ExposureProgram: [0x8822, 3],
    ISOSpeedRatings: [0x8827, 3],
    ExifVersion: [0x9000, 7],
    DateTimeOriginal: [0x9003, 2],
    DateTimeDigitized: [0x9004, 2],
    OffsetTimeOriginal: [0x9011, 2],
    ExposureBiasValue: [0x9204, 10],
    MeteringMode: [0x9207, 3],
    Flash: [0x9209, 3],
    FocalLength: [0x920a, 5],
    SubSecTimeOriginal: [0x9291, 2],
    ColorSpace: [0xa001, 3],
    PixelXDimension: [0xa002, 4],
    PixelYDimension: [0xa003, 4],
    WhiteBalance: [0xa403, 3],
    FocalLengthIn35mmFilm: [0xa405, 3],
    LensMake: [0xa433, 2],
    LensModel: [0xa434, 2],
  },
  gps: {
    GPSVersionID: [0x0000, 1],
    GPSLatitudeRef: [0x0001, 2],
    GPSLatitude: [0x0002, 5],
    GPSLongitudeRef: [0x0003, 2],
    GPSLongitude: [0x0004, 5],
    GPSAltitudeRef: [0x0005, 1],
    GPSAltitude: [0x0006, 5],
    GPSTimeStamp: [0x0007, 5],
    GPSImgDirectionRef: [0x0010, 2],
    GPSImgDirection: [0x0011, 5],
    GPSDateStamp: [0x001d, 2],
  },
}

const EXIF_POINTER = 0x8769
const GPS_POINTER = 0x8825

/** A value as bytes, and how many values of its type it is. Rationals are `[numerator, denominator]` or a list of them. */
function encode(type, value) {
  if (type === 2) {
    const bytes = Buffer.from(`${value}\0`)
    return { bytes, count: bytes.length }
  }
  if (type === 7 && typeof value === 'string') return { bytes: Buffer.from(value), count: value.length }
  const list = type === 5 || type === 10 ? (Array.isArray(value[0]) ? value : [value]) : [value].flat()
  const bytes = Buffer.alloc(list.length * { 1: 1, 3: 2, 4: 4, 5: 8, 7: 1, 10: 8 }[type])
  for (const [i, one] of list.entries()) {
    if (type === 1 || type === 7) bytes.writeUInt8(one, i)
    if (type === 3) bytes.writeUInt16BE(one, i * 2)
    if (type === 4) bytes.writeUInt32BE(one, i * 4)
    if (type === 5) for (const part of [0, 1]) bytes.writeUInt32BE(one[part], i * 8 + part * 4)
    if (type === 10) for (const part of [0, 1]) bytes.writeInt32BE(one[part], i * 8 + part * 4)
  }
  return { bytes, count: list.length }
}

/** One directory that begins at `offset` of the block: entries in order of tags, longer values behind them. */
function directory(entries, offset) {
  const sorted = [...entries].sort((a, b) => a.tag - b.tag)
  const head = Buffer.alloc(2 + sorted.length * 12 + 4)
  head.writeUInt16BE(sorted.length, 0)
  const behind = []
  let behindAt = offset + head.length
  for (const [i, { tag, type, value }] of sorted.entries()) {
    const { bytes, count } = encode(type, value)
    const at = 2 + i * 12
    head.writeUInt16BE(tag, at)
    head.writeUInt16BE(type, at + 2)
    head.writeUInt32BE(count, at + 4)
    if (bytes.length <= 4) bytes.copy(head, at + 8)
    else {
      head.writeUInt32BE(behindAt, at + 8)
      const padded = bytes.length % 2 === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(1)])
      behind.push(padded)
      behindAt += padded.length
    }
  }
  return Buffer.concat([head, ...behind])
}

function entriesOf(group, values) {
  return Object.entries(values).map(([name, value]) => {
    const [tag, type] = TAGS[group][name]
    return { tag, type, value }
  })
}

/** @param fields `image`, `exif` and `gps`: values by tag name */
export function exifBlock({ image = {}, exif = {}, gps = {} }) {
  const header = Buffer.from('MM\0*\0\0\0\x08', 'latin1')
  const pointers = (exifAt, gpsAt) => [
    ...entriesOf('image', image),
    { tag: EXIF_POINTER, type: 4, value: exifAt },
    ...(Object.keys(gps).length > 0 ? [{ tag: GPS_POINTER, type: 4, value: gpsAt }] : []),
  ]
  const exifAt = header.length + directory(pointers(0, 0), header.length).length
  const exifPart = directory(entriesOf('exif', { ExifVersion: '0232', ...exif }), exifAt)
  const gpsAt = exifAt + exifPart.length
  const gpsPart =
    Object.keys(gps).length > 0 ? directory(entriesOf('gps', { GPSVersionID: [2, 3, 0, 0], ...gps }), gpsAt) : []
  return Buffer.concat([header, directory(pointers(exifAt, gpsAt), header.length), exifPart, ...[gpsPart].flat()])
}

/** A JPEG with the block in an APP1 segment directly behind its start, as cameras write it. */
export function withExif(jpeg, block) {
  const payload = Buffer.concat([Buffer.from('Exif\0\0', 'latin1'), block])
  const segment = Buffer.alloc(4)
  segment.writeUInt16BE(0xffe1, 0)
  segment.writeUInt16BE(payload.length + 2, 2)
  return Buffer.concat([jpeg.subarray(0, 2), segment, payload, jpeg.subarray(2)])
}
