/** GIF 87a and 89a: the canvas, then block by block as far as the bound for counting frames. */
import { limits } from '../base/limits.ts'
import { type Draft, setSize, truncated, type Window } from './image-head.ts'
import { cut, latin1, trimBlanks, untilNul } from './text.ts'

/** Frames have no index: to count them the file is read through, up to this many bytes. Beyond, `frames` is null. */
const COUNT_BYTES_MAX = 4 * 1024 * 1024
const BLOCKS_MAX = 100_000

export async function walkGif(window: Window, draft: Draft): Promise<void> {
  const head = await window.bytes(0, 13)
  if (head.length < 13) throw truncated('the GIF header is cut off')
  setSize(draft, head[6]! | (head[7]! << 8), head[8]! | (head[9]! << 8))
  const packed = head[10]!
  draft.mode = 'P'
  draft.bitDepth = (packed & 0x07) + 1
  let at = 13
  if (packed & 0x80) {
    const palette = await window.bytes(at, 3 << ((packed & 0x07) + 1))
    if (isGrey(palette)) draft.mode = 'L'
    at += 3 << ((packed & 0x07) + 1)
  }
  const frames = await new GifBlocks(window, draft, at).count()
  draft.frames = frames === null ? null : Math.max(1, frames)
}

/** Pillow calls a palette that is the ramp of greys 0, 1, 2, … a grey picture. */
function isGrey(palette: Uint8Array): boolean {
  for (let i = 0; i < palette.length; i++) if (palette[i] !== Math.floor(i / 3)) return false
  return palette.length > 0
}

class GifBlocks {
  readonly #window: Window
  readonly #draft: Draft
  #at: number

  constructor(window: Window, draft: Draft, at: number) {
    this.#window = window
    this.#draft = draft
    this.#at = at
  }

  /** Number of image descriptors; null when the bound came first. A file that breaks off counts what is there. */
  async count(): Promise<number | null> {
    let frames = 0
    for (let count = 0; count < BLOCKS_MAX; count++) {
      if (this.#at > COUNT_BYTES_MAX) return null
      const head = await this.#bytes(this.#at, 10)
      if (head[0] === 0x2c && head.length === 10) {
        frames++
        const packed = head[9]!
        // After the descriptor: the local palette, one byte of code size, then data.
        this.#at += 10 + (packed & 0x80 ? 3 << ((packed & 0x07) + 1) : 0) + 1
        if (!(await this.#skipSubBlocks())) return null
      } else if (head[0] === 0x21 && head.length >= 3) {
        if (!(await this.#extension(head[1]!, frames))) return null
      } else return frames
    }
    return null
  }

  async #extension(label: number, frames: number): Promise<boolean> {
    const body = await this.#bytes(this.#at + 2, 256)
    if (label === 0xf9 && frames === 0 && (body[1]! & 1) === 1) this.#draft.hasAlpha = true
    if (label === 0xfe && !this.#draft.text.has('Comment')) {
      const text = trimBlanks(untilNul(latin1(body.subarray(1, 1 + (body[0] ?? 0)))))
      if (text !== '') this.#draft.text.set('Comment', cut(text, limits.metadataTextMax))
    }
    this.#at += 2
    return this.#skipSubBlocks()
  }

  /** Past the sub-blocks that begin here. False when the bound came first. */
  async #skipSubBlocks(): Promise<boolean> {
    while (this.#at <= COUNT_BYTES_MAX) {
      const size = (await this.#bytes(this.#at, 1))[0]
      if (size === undefined) return true
      this.#at += 1 + size
      if (size === 0) return true
    }
    return false
  }

  async #bytes(at: number, length: number): Promise<Uint8Array> {
    const there = this.#window.peek(at, length)
    if (there !== undefined) return there
    await this.#window.load(at, limits.extractHeadBytes)
    return this.#window.bytes(at, length)
  }
}
