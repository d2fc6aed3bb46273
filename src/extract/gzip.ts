/** Gzip: what its header and its end say, and its content as a forward reader that inflates no further than a bound. */
import { createGunzip } from 'node:zlib'
import { limits } from '../base/limits.ts'
import { isoDate } from './fact-text.ts'
import { invalid, truncated } from './image-head.ts'
import type { Pages } from './pages.ts'
import type { ForwardBytes } from './tar.ts'
import { latin1, untilNul } from './text.ts'

export interface GzipHead {
  /** The name that the header gives to the content. */
  name: string | null
  /** UTC. */
  modified: string | null
  /** Length of the content as the end of the file says it: modulo 2^32, and of the last part only where there are several. */
  unpackedBytes: number
}

const NAME_BYTES_MAX = 1_024

export async function gzipHead(pages: Pages): Promise<GzipHead> {
  const head = await pages.read(0, 12 + NAME_BYTES_MAX)
  if (head.length < 18) throw truncated('a gzip file has at least 18 bytes')
  if (head[2] !== 8) throw invalid(`gzip with the unknown method ${head[2]}`)
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength)
  const flags = head[3]!
  const seconds = view.getUint32(4, true)
  let at = 10
  if ((flags & 4) !== 0) at += 2 + view.getUint16(10, true)
  const name = (flags & 8) !== 0 && at < head.length ? untilNul(latin1(head.subarray(at))) : ''
  const end = await pages.read(pages.sizeBytes - 4, pages.sizeBytes)
  return {
    name: name === '' ? null : name,
    modified: seconds === 0 ? null : isoDate(new Date(seconds * 1000).toISOString().replace('.000', '')),
    unpackedBytes: new DataView(end.buffer, end.byteOffset, end.byteLength).getUint32(0, true),
  }
}

/** The content from its beginning. `close` it. */
export class Inflated implements ForwardBytes {
  readonly sizeBytes = null
  /** Bytes that came out so far. */
  outBytes = 0
  readonly #chunks: AsyncIterator<Uint8Array>
  readonly #gunzip = createGunzip()
  #buffer: Uint8Array = new Uint8Array(0)
  #base = 0
  #isEnded = false

  constructor(pages: Pages) {
    this.#chunks = (this.#gunzip as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]()
    this.#gunzip.on('error', () => undefined)
    void this.#feed(pages)
  }

  async #feed(pages: Pages): Promise<void> {
    try {
      for (let at = 0; at < pages.sizeBytes && !this.#gunzip.destroyed; at += limits.extractPageBytes) {
        const bytes = await pages.read(at, at + limits.extractPageBytes)
        if (!this.#gunzip.write(bytes))
          await new Promise((resolve) => this.#gunzip.once('drain', resolve).once('close', resolve))
      }
      this.#gunzip.end()
    } catch (error) {
      this.#gunzip.destroy(error as Error)
    }
  }

  isSpent(): boolean {
    return this.outBytes >= limits.archiveInflatedBytesMax
  }

  async read(start: number, length: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = []
    for (let at = start; at < start + length; ) {
      if (at >= this.#base + this.#buffer.length) {
        if (this.#isEnded || this.isSpent() || !(await this.#next())) break
        continue
      }
      const part = this.#buffer.subarray(at - this.#base, start + length - this.#base)
      parts.push(part)
      at += part.length
    }
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts)
  }

  async #next(): Promise<boolean> {
    const { done, value } = await this.#chunks.next()
    if (done === true) this.#isEnded = true
    else {
      this.#base += this.#buffer.length
      this.#buffer = value
      this.outBytes += value.length
    }
    return !this.#isEnded
  }

  close(): void {
    this.#gunzip.destroy()
  }
}
