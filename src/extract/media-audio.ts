/** Recordings of sound, read by music-metadata over ranges: tags of all kinds, and the length from headers and the file's size. */
import type { IReadChunkOptions } from 'strtok3'
import { limits } from '../base/limits.ts'
import { writtenText } from './fact-text.ts'
import { invalid } from './image-head.ts'
import type { Recording } from './media-extractor.ts'
import { type Pages, parsed } from './pages.ts'

const TYPES: ReadonlySet<string> = new Set([
  'audio/mpeg',
  'audio/mp4',
  'audio/x-m4a',
  'audio/flac',
  'audio/ogg',
  'audio/wav',
  'audio/aac',
  'audio/aiff',
  'audio/ape',
  'audio/wavpack',
  'audio/x-musepack',
  'audio/x-dsf',
  'audio/x-dff',
  'audio/x-ms-asf',
])

/** Type without parameters: `audio/ogg; codecs=opus` is Ogg. */
function typeOf(sniffed: string | null): string {
  return sniffed?.split(';')[0]?.trim() ?? ''
}

export function isAudio(sniffed: string | null): boolean {
  return TYPES.has(typeOf(sniffed))
}

type Library = typeof import('music-metadata')
type Metadata = Awaited<ReturnType<Library['parseFromTokenizer']>>

/** @throws Fault `corrupt` for what cannot be read, and faults of reading */
export async function audioFacts(pages: Pages, sniffed: string): Promise<Recording> {
  return await parsed(pages, 'the recording', async () => {
    const [{ parseFromTokenizer }, tokenizer] = await Promise.all([
      import('music-metadata'),
      tokenizerOf(pages, typeOf(sniffed)),
    ])
    const metadata = await parseFromTokenizer(tokenizer, { skipCovers: true, duration: false })
    const { format } = metadata
    if (format.container === undefined && format.codec === undefined)
      throw invalid('no sound was found in the recording')
    return recordingOf(metadata)
  })
}

function recordingOf({ format, common }: Metadata): Recording {
  const codec = writtenText(format.codec, 64)
  return {
    kind: 'audio',
    container: writtenText(format.container, 64),
    durationS: format.duration ?? null,
    // In Ogg the library counts the bytes that it has read, not those of the file.
    bitrate: format.container === 'Ogg' ? null : (format.bitrate ?? null),
    videoCodec: null,
    audioCodec: codec,
    width: null,
    height: null,
    rotation: null,
    displayWidth: null,
    displayHeight: null,
    sampleRate: format.sampleRate ?? null,
    channels: format.numberOfChannels ?? null,
    created: timeOf(format.creationTime),
    tracks: [{ kind: 'audio', codec, language: null }],
    tags: tagsOf({
      title: common.title,
      artist: common.artist,
      album: common.album,
      album_artist: common.albumartist,
      composer: common.composer?.join(', '),
      genre: common.genre?.join(', '),
      date: common.date ?? common.year,
      track: common.track.no,
      tracks: common.track.of,
      disc: common.disk.no,
      discs: common.disk.of,
      comment: common.comment?.map(({ text }) => text ?? '').join('\n'),
      copyright: common.copyright,
      encoder: common.encodedby ?? format.tool,
    }),
  }
}

/** Those that say something, as texts. */
export function tagsOf(tags: { [name: string]: string | number | null | undefined }): { [name: string]: string } {
  const found: { [name: string]: string } = {}
  for (const [name, value] of Object.entries(tags)) {
    const text = writtenText(typeof value === 'number' ? String(value) : value)
    if (text !== null) found[name] = text
  }
  return found
}

/** A moment in UTC to the second. The zeros of containers, which count from 1904 or 1970, say that nobody set it. */
export function timeOf(date: Date | undefined): string | null {
  if (date === undefined || Number.isNaN(date.getTime())) return null
  const year = date.getUTCFullYear()
  return year < 1971 || year > 9999 ? null : date.toISOString().replace(/\.\d+Z$/, 'Z')
}

/** What the library reads from. */
async function tokenizerOf(pages: Pages, mimeType: string) {
  const { AbstractTokenizer, EndOfStreamError } = await import('strtok3')
  class Tokenizer extends AbstractTokenizer {
    readonly fileInfo = { size: pages.sizeBytes, mimeType }
    constructor() {
      super({ maxBufferSize: limits.extractBytesMax })
    }
    supportsRandomAccess(): boolean {
      return true
    }
    setPosition(position: number): void {
      this.position = position
    }
    async readBuffer(buffer: Uint8Array, options?: IReadChunkOptions) {
      const { position } = this.normalizeOptions(buffer, options)
      const got = await this.peekBuffer(buffer, options)
      this.position = position + got
      return got
    }
    async peekBuffer(buffer: Uint8Array, options?: IReadChunkOptions) {
      const { position, length, mayBeLess } = this.normalizeOptions(buffer, options)
      const bytes = await pages.read(position, position + length)
      if (mayBeLess !== true && bytes.length < length) throw new EndOfStreamError()
      buffer.set(bytes)
      return bytes.length
    }
  }
  return new Tokenizer()
}
