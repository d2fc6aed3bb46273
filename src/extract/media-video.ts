/** Recordings of pictures (MP4, QuickTime, Matroska, WebM), read by mediabunny over ranges; the time of recording by a walk of ours. */
import { limits } from '../base/limits.ts'
import { writtenText } from './fact-text.ts'
import { invalid } from './image-head.ts'
import { tagsOf, timeOf } from './media-audio.ts'
import type { Recording } from './media-extractor.ts'
import { type Pages, parsed } from './pages.ts'
import { hasAscii, tag4 } from './text.ts'

const TYPES: ReadonlySet<string> = new Set([
  'video/mp4',
  'video/x-m4v',
  'video/quicktime',
  'video/3gpp',
  'video/3gpp2',
  'video/matroska',
  'video/webm',
])

export function isVideo(sniffed: string | null): boolean {
  return sniffed !== null && TYPES.has(sniffed)
}

type Library = typeof import('mediabunny')
type Input = InstanceType<Library['Input']>

/** What the library keeps of the file; pages of ours keep it too. */
const CACHE_BYTES = 1024 * 1024

/** @throws Fault `corrupt` for what cannot be read, and faults of reading */
export async function videoFacts(pages: Pages): Promise<Recording> {
  return await parsed(pages, 'the recording', async () => {
    const { Input, CustomSource, Logging, LogLevel, MP4, QTFF, MATROSKA, WEBM } = await import('mediabunny')
    Logging.level = LogLevel.Silent
    const input = new Input({
      formats: [MP4, QTFF, MATROSKA, WEBM],
      source: new CustomSource({
        getSize: () => pages.sizeBytes,
        read: (start, end) => pages.read(start, end),
        maxCacheSize: CACHE_BYTES,
        handleUnhandledError: () => undefined,
      }),
    })
    try {
      return await recordingOf(input, pages)
    } finally {
      input.dispose()
    }
  })
}

async function recordingOf(input: Input, pages: Pages): Promise<Recording> {
  const tracks = (await input.getTracks()).slice(0, limits.mediaTracksMax)
  if (tracks.length === 0) throw invalid('no track was found in the recording')
  const video = tracks.find((track) => track.isVideoTrack())
  const audio = tracks.find((track) => track.isAudioTrack())
  const format = await input.getFormat()
  const tags = await input.getMetadataTags()
  return {
    kind: video === undefined ? 'audio' : 'video',
    container: writtenText(format.name, 64),
    durationS: await input.getDurationFromMetadata(tracks),
    bitrate: null,
    videoCodec: video === undefined ? null : await codecOf(video),
    audioCodec: audio === undefined ? null : await codecOf(audio),
    width: (await video?.getCodedWidth()) ?? null,
    height: (await video?.getCodedHeight()) ?? null,
    rotation: (await video?.getRotation()) ?? null,
    displayWidth: (await video?.getDisplayWidth()) ?? null,
    displayHeight: (await video?.getDisplayHeight()) ?? null,
    sampleRate: (await audio?.getSampleRate()) ?? null,
    channels: (await audio?.getNumberOfChannels()) ?? null,
    created: await createdOf(pages),
    tracks: await Promise.all(
      tracks.map(async (track) => ({
        kind: track.type,
        codec: await codecOf(track),
        language: languageOf(await track.getLanguageCode()),
      })),
    ),
    tags: tagsOf({
      title: tags.title,
      artist: tags.artist,
      album: tags.album,
      album_artist: tags.albumArtist,
      genre: tags.genre,
      date: tags.date === undefined ? undefined : tags.date.toISOString().slice(0, 10),
      track: tags.trackNumber,
      tracks: tags.tracksTotal,
      disc: tags.discNumber,
      discs: tags.discsTotal,
      comment: tags.comment ?? tags.description,
    }),
  }
}

type Track = Awaited<ReturnType<Input['getTracks']>>[number]

/** The library's name of a codec that it knows, otherwise the file's. */
async function codecOf(track: Track): Promise<string | null> {
  const known = await track.getCodec()
  if (known !== null) return known
  const own = await track.getInternalCodecId()
  return typeof own === 'string' || typeof own === 'number' ? writtenText(String(own), 64) : null
}

function languageOf(code: string): string | null {
  return code === 'und' ? null : writtenText(code, 16)
}

/** Boxes looked at on one level, before the one that is sought. */
const BOXES_MAX = 256
/** Seconds from the beginning of 1904, from which MP4 counts, to that of 1970. */
const EPOCH_1904_S = 2_082_844_800

/** The moment in an MP4's `moov.mvhd`. Null where there is none; Matroska tells it among its tags. */
async function createdOf(pages: Pages): Promise<string | null> {
  const head = await pages.read(0, 12)
  if (!['ftyp', 'moov', 'wide', 'mdat', 'free', 'skip'].some((name) => hasAscii(head, 4, name))) return null
  const movie = await boxIn(pages, 0, pages.sizeBytes, 'moov')
  const header = movie === null ? null : await boxIn(pages, movie.start, movie.end, 'mvhd')
  if (header === null) return null
  const bytes = await pages.read(header.start, Math.min(header.end, header.start + 12))
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length < 12) return null
  const seconds = bytes[0] === 1 ? Number(view.getBigUint64(4)) : view.getUint32(4)
  return seconds === 0 ? null : timeOf(new Date((seconds - EPOCH_1904_S) * 1000))
}

/** The content of the first box of a name between two places. */
async function boxIn(
  pages: Pages,
  start: number,
  end: number,
  name: string,
): Promise<{ start: number; end: number } | null> {
  let at = start
  for (let count = 0; count < BOXES_MAX && at + 8 <= end; count++) {
    const head = await pages.read(at, at + 16)
    if (head.length < 8) return null
    const view = new DataView(head.buffer, head.byteOffset, head.byteLength)
    const size = view.getUint32(0)
    const isLong = size === 1 && head.length === 16
    const length = size === 0 ? end - at : isLong ? Number(view.getBigUint64(8)) : size
    const content = at + (isLong ? 16 : 8)
    if (length < content - at) return null
    if (tag4(head, 4) === name) return { start: content, end: Math.min(end, at + length) }
    at += length
  }
  return null
}
