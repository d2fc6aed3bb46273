/**
 * `media`: length, codecs, size and tags of recordings, from their heads and indexes. Nothing is decoded. Video (MP4, QuickTime,
 * Matroska, WebM) is read by `media-video.ts`, audio by `media-audio.ts`: each library where it is the better one.
 */
import type { Json } from '../base/json.ts'
import { limits } from '../base/limits.ts'
import type { Extractor } from './extract.ts'
import { fact, facts, list, record, texts, word } from './fact-schema.ts'
import { audioFacts, isAudio } from './media-audio.ts'
import { isVideo, videoFacts } from './media-video.ts'
import { pagesOf } from './pages.ts'

/** What is told of a recording. */
export interface Recording {
  kind: 'audio' | 'video'
  container: string | null
  durationS: number | null
  bitrate: number | null
  videoCodec: string | null
  audioCodec: string | null
  width: number | null
  height: number | null
  /** Clockwise, so that it is upright. */
  rotation: number | null
  displayWidth: number | null
  displayHeight: number | null
  sampleRate: number | null
  channels: number | null
  created: string | null
  tracks: readonly { kind: string; codec: string | null; language: string | null }[]
  tags: { [name: string]: string }
}

const track = record({
  kind: word(['video', 'audio', 'subtitle'], 'what is in it'),
  codec: fact('string | null', 'its codec'),
  language: fact('string | null', 'its language, as ISO 639-2 writes it'),
})

const schema = facts('media', {
  media: record({
    kind: word(['audio', 'video'], '`video` when there is a track with pictures'),
    container: fact('string | null', 'kind of file, such as `MP4`, `WebM`, `FLAC`'),
    duration_s: fact(
      'number | null',
      'length in seconds, 3 decimals, as the file says it or as its size lets one expect',
    ),
    bitrate: fact('integer | null', 'bits a second: of the sound as it says itself, otherwise of the whole file'),
    video_codec: fact('string | null', 'codec of the first track with pictures, such as `avc`, `hevc`, `vp9`, `av1`'),
    audio_codec: fact('string | null', 'codec of the first track with sound'),
    width: fact('integer | null', 'width of the pictures as they are stored'),
    height: fact('integer | null', 'height of the pictures as they are stored'),
    rotation: fact('integer | null', 'degrees clockwise by which they are turned when shown: 0, 90, 180 or 270'),
    display_width: fact('integer | null', 'width as shown: turned, with square pixels'),
    display_height: fact('integer | null', 'height as shown'),
    sample_rate: fact('integer | null', 'samples of sound a second'),
    channels: fact('integer | null', 'channels of sound'),
    created: fact('string | null', 'when it was recorded, as the container says it, UTC'),
    tracks: list(track, `the first ${limits.mediaTracksMax} tracks`),
    tags: texts(
      'what was written into it: `title` `artist` `album` `album_artist` `composer` `genre` `date` `track` `tracks` `disc` `discs` `comment` `copyright` `encoder`, where given',
    ),
  }),
})

export const mediaExtractor: Extractor = {
  name: 'media',
  version: 1,
  schema,
  appliesTo: ({ sniffed }) => isAudio(sniffed) || isVideo(sniffed),
  async extract({ sniffed }, bytes) {
    const pages = pagesOf(bytes)
    const recording = isVideo(sniffed) ? await videoFacts(pages) : await audioFacts(pages, sniffed ?? '')
    return { media: mediaFacts(recording, bytes.sizeBytes) }
  },
}

function mediaFacts(recording: Recording, sizeBytes: number): { [key: string]: Json } {
  const { durationS } = recording
  const isTimed = durationS !== null && Number.isFinite(durationS) && durationS > 0
  return {
    kind: recording.kind,
    container: recording.container,
    duration_s: isTimed ? Math.round(durationS * 1000) / 1000 : null,
    bitrate: whole(recording.bitrate) ?? (isTimed ? whole((sizeBytes * 8) / durationS) : null),
    video_codec: recording.videoCodec,
    audio_codec: recording.audioCodec,
    width: whole(recording.width),
    height: whole(recording.height),
    rotation: recording.rotation,
    display_width: whole(recording.displayWidth),
    display_height: whole(recording.displayHeight),
    sample_rate: whole(recording.sampleRate),
    channels: whole(recording.channels),
    created: recording.created,
    tracks: recording.tracks
      .slice(0, limits.mediaTracksMax)
      .map(({ kind, codec, language }) => ({ kind, codec, language })),
    tags: recording.tags,
  }
}

function whole(number: number | null): number | null {
  if (number === null || !Number.isFinite(number) || number <= 0) return null
  const rounded = Math.round(number)
  return Number.isSafeInteger(rounded) ? rounded : null
}
