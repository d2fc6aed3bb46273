/** Recordings in containers written by mediabunny, around packets that hold neither picture nor sound. */
import {
  BufferTarget,
  EncodedAudioPacketSource,
  EncodedPacket,
  EncodedVideoPacketSource,
  MkvOutputFormat,
  MovOutputFormat,
  Mp4OutputFormat,
  OggOutputFormat,
  Output,
  WebMOutputFormat,
} from 'mediabunny'

type Kind = 'mp4' | 'mov' | 'webm' | 'mkv' | 'ogg' | 'm4a'

const FORMATS = {
  mp4: () => new Mp4OutputFormat({ fastStart: false }),
  mov: () => new MovOutputFormat({ fastStart: 'in-memory' }),
  webm: () => new WebMOutputFormat(),
  mkv: () => new MkvOutputFormat(),
  ogg: () => new OggOutputFormat(),
  m4a: () => new Mp4OutputFormat({ fastStart: 'in-memory' }),
}

/** Two seconds: 20 pictures of 320 x 180 (in the MP4 turned by 90 degrees), 100 packets of sound. */
export async function recording(kind: Kind): Promise<Uint8Array> {
  const target = new BufferTarget()
  const output = new Output({ format: FORMATS[kind](), target })
  const isMp4 = kind === 'mp4' || kind === 'mov'
  const video = kind === 'ogg' || kind === 'm4a' ? null : new EncodedVideoPacketSource(isMp4 ? 'avc' : 'vp9')
  const audio = kind === 'mov' ? null : new EncodedAudioPacketSource(isMp4 || kind === 'm4a' ? 'aac' : 'opus')
  if (video !== null) output.addVideoTrack(video, { ...(kind === 'mp4' ? { rotation: 90 } : {}), languageCode: 'eng' })
  if (audio !== null) output.addAudioTrack(audio, kind === 'ogg' ? {} : { languageCode: 'deu' })
  output.setMetadataTags({ title: 'Shore', artist: 'The Tides', ...(kind === 'm4a' ? { trackNumber: 2 } : {}) })
  await output.start()
  for (let i = 0; video !== null && i < 20; i++) {
    const packet = new EncodedPacket(new Uint8Array(400).fill(i), i === 0 ? 'key' : 'delta', i / 10, 1 / 10)
    await video.add(
      packet,
      i === 0
        ? { decoderConfig: isMp4 ? AVC : { codec: 'vp09.00.10.08', codedWidth: 320, codedHeight: 180 } }
        : undefined,
    )
  }
  for (let i = 0; audio !== null && i < 100; i++) {
    const packet = new EncodedPacket(new Uint8Array(40).fill(OPUS_20_MS), 'key', i / 50, 1 / 50)
    await audio.add(packet, i === 0 ? { decoderConfig: isMp4 || kind === 'm4a' ? AAC : OPUS } : undefined)
  }
  await output.finalize()
  const bytes = withTime(Buffer.from(target.buffer!))
  if (kind === 'm4a') bytes.write('M4A ', 8)
  return bytes
}

/** First byte of a packet of Opus of 20 ms. */
const OPUS_20_MS = 0xf8
const OPUS = {
  codec: 'opus',
  sampleRate: 48_000,
  numberOfChannels: 2,
  description: Buffer.from('4f707573486561640102000080bb0000000000', 'hex'),
}
/** AAC-LC of 48 kHz in two channels. */
const AAC = { codec: 'mp4a.40.2', sampleRate: 48_000, numberOfChannels: 2, description: Buffer.from('1190', 'hex') }
const AVC = { codec: 'avc1.42c00d', codedWidth: 320, codedHeight: 180, description: avcConfig() }

/** The configuration of H.264: a sequence parameter set for 320 x 180, written bit by bit, and a picture parameter set. */
function avcConfig(): Uint8Array {
  let bits = ''
  const fixed = (value: number, length: number) => {
    bits += value.toString(2).padStart(length, '0')
  }
  const golomb = (value: number) => {
    const text = (value + 1).toString(2)
    bits += '0'.repeat(text.length - 1) + text
  }
  fixed(0x67, 8)
  fixed(66, 8) // baseline
  fixed(0xc0, 8)
  fixed(13, 8) // level 1.3
  for (const value of [0, 0, 2, 1]) golomb(value)
  fixed(0, 1)
  golomb(320 / 16 - 1)
  golomb(192 / 16 - 1)
  fixed(1, 1) // frames only
  fixed(1, 1)
  fixed(1, 1) // cropped
  for (const value of [0, 0, 0, 6]) golomb(value)
  fixed(0, 1)
  fixed(1, 1)
  bits = bits.padEnd(Math.ceil(bits.length / 8) * 8, '0')
  const sps = Buffer.from(bits.match(/.{8}/g)!.map((byte) => Number.parseInt(byte, 2)))
  const pps = Buffer.from('68ce3880', 'hex')
  return Buffer.concat([
    Buffer.from([1, sps[1]!, sps[2]!, sps[3]!, 0xff, 0xe1, 0, sps.length]),
    sps,
    Buffer.from([1, 0, pps.length]),
    pps,
  ])
}

/** Seconds from 1904 to 2024-05-06T07:08:09Z. */
const CREATED_1904_S = Date.UTC(2024, 4, 6, 7, 8, 9) / 1000 + 2_082_844_800

/** The writer puts the time of writing into MP4; ours is always the same. */
function withTime(bytes: Buffer): Buffer {
  for (const name of ['mvhd', 'tkhd', 'mdhd']) {
    for (let at = bytes.indexOf(name); at >= 0; at = bytes.indexOf(name, at + 4)) {
      if (bytes[at + 4] === 1) for (const place of [8, 16]) bytes.writeBigUInt64BE(BigInt(CREATED_1904_S), at + place)
      else for (const place of [8, 12]) bytes.writeUInt32BE(CREATED_1904_S, at + place)
    }
  }
  return bytes
}
