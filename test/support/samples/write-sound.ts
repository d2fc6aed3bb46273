/** Sound files, written byte by byte: a tone, silence, and tags. */

export function wav({ seconds, rate }: { seconds: number; rate: number }): Buffer {
  const samples = Buffer.alloc(seconds * rate)
  for (let i = 0; i < samples.length; i++) samples[i] = 128 + Math.round(100 * Math.sin((2 * Math.PI * 440 * i) / rate))
  const head = Buffer.alloc(44)
  head.write('RIFF', 0)
  head.writeUInt32LE(36 + samples.length, 4)
  head.write('WAVEfmt ', 8)
  head.writeUInt32LE(16, 16)
  head.writeUInt16LE(1, 20) // PCM
  head.writeUInt16LE(1, 22) // channels
  head.writeUInt32LE(rate, 24)
  head.writeUInt32LE(rate, 28)
  head.writeUInt16LE(1, 32)
  head.writeUInt16LE(8, 34) // bits of a sample
  head.write('data', 36)
  head.writeUInt32LE(samples.length, 40)
  return Buffer.concat([head, samples])
}

/** Frames of MPEG 1 layer III, 128 kbit/s, 44.1 kHz, of 417 bytes: silence. Tags by ID3 2.3. */
export function mp3({
  frames,
  ...tags
}: {
  frames: number
  title: string
  artist: string
  album: string
  track: string
  year: string
}): Buffer {
  const tag = Buffer.concat([
    frame('TIT2', tags.title),
    frame('TPE1', tags.artist),
    frame('TALB', tags.album),
    frame('TRCK', tags.track),
    frame('TYER', tags.year),
  ])
  const head = Buffer.from('ID3\x03\x00\x00\x00\x00\x00\x00', 'latin1')
  for (let i = 0; i < 4; i++) head[9 - i] = (tag.length >> (7 * i)) & 0x7f
  const sound = Buffer.alloc(417)
  sound.set([0xff, 0xfb, 0x90, 0x64])
  return Buffer.concat([head, tag, ...Array.from({ length: frames }, () => sound)])
}

function frame(name: string, text: string): Buffer {
  const body = Buffer.concat([Buffer.from([0]), Buffer.from(text, 'latin1')])
  const head = Buffer.alloc(10)
  head.write(name)
  head.writeUInt32BE(body.length, 4)
  return Buffer.concat([head, body])
}

/** Stream information and comments; the frames behind them are no sound. */
export function flac({ seconds, title, artist }: { seconds: number; title: string; artist: string }): Buffer {
  const rate = 44_100n
  const info = Buffer.alloc(34)
  info.writeUInt16BE(4096, 0)
  info.writeUInt16BE(4096, 2)
  // Rate, channels - 1, bits of a sample - 1, samples.
  info.writeBigUInt64BE((rate << 44n) | (1n << 41n) | (15n << 36n) | (rate * BigInt(seconds)), 10)
  const comments = [`TITLE=${title}`, `ARTIST=${artist}`, 'DATE=2020-02-29']
  const text = (value: string) => {
    const length = Buffer.alloc(4)
    length.writeUInt32LE(Buffer.byteLength(value))
    return Buffer.concat([length, Buffer.from(value)])
  }
  const count = Buffer.alloc(4)
  count.writeUInt32LE(comments.length)
  const vorbis = Buffer.concat([text('write-sound.ts'), count, ...comments.map(text)])
  return Buffer.concat([Buffer.from('fLaC'), block(0, info), block(0x84, vorbis), Buffer.alloc(5_000, 0x55)])
}

function block(kind: number, body: Buffer): Buffer {
  const head = Buffer.alloc(4)
  head.writeUInt32BE(body.length)
  head[0] = kind
  return Buffer.concat([head, body])
}
