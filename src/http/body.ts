/**
 * Bodies, read as they come: never faster than they are worked on, never more of them than fits, and not for ever.
 *
 * A body is waited for as long as its sender keeps sending (`limits.httpBody…`): one that falls silent or drips is given up, with 408.
 * The time that the server itself takes does not count. What is packed is unpacked on the way, and may not become larger than
 * the bound, however small it came.
 */
import type { IncomingMessage } from 'node:http'
import type { Transform } from 'node:stream'
import { constants, createGunzip, createZstdDecompress } from 'node:zlib'
import { Fault, messageOf } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import type { Hold } from './in-flight.ts'
import { HttpProblem } from './status.ts'

/** The times of a body; tests shorten them. */
export interface BodyTimes {
  silenceMs: number
  waitMs: number
  bytesPerSecondMin: number
}

export const bodyTimes: BodyTimes = {
  silenceMs: limits.httpBodySilenceMs,
  waitMs: limits.httpBodyWaitMs,
  bytesPerSecondMin: limits.httpBodyBytesPerSecondMin,
}

/** @throws HttpProblem 413 when the sender already says that it sends more than `bytesMax` */
export function checkLength(request: IncomingMessage, bytesMax: number): void {
  if (Number(request.headers['content-length'] ?? 0) > bytesMax) throw tooLarge(bytesMax)
}

function tooLarge(bytesMax: number): Fault {
  return new Fault('limit', `a body has at most ${bytesMax} bytes, packed or not; send it in parts`)
}

/** The whole body as it came, which counts as held. @throws Fault `limit`, `cancelled`, `unavailable`; HttpProblem 408 */
export async function readPacked(
  request: IncomingMessage,
  hold: Hold,
  bytesMax: number = limits.streamRequestBytesMax,
  times: BodyTimes = bodyTimes,
): Promise<Buffer> {
  checkLength(request, bytesMax)
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of arriving(request, times)) {
    size += chunk.length
    if (size > bytesMax) throw tooLarge(bytesMax)
    hold.grow(chunk.length)
    chunks.push(chunk)
  }
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, size)
}

/** The whole body, unpacked. @throws as `readPacked`, and Fault `invalid` (it cannot be unpacked), `unsupported` (its encoding) */
export async function readBody(request: IncomingMessage, hold: Hold, times: BodyTimes = bodyTimes): Promise<Buffer> {
  const encoding = encodingOf(request.headers['content-encoding'])
  const packed = await readPacked(request, hold, limits.streamRequestBytesMax, times)
  return encoding === null ? packed : unpack(packed, encoding, hold)
}

/** @throws Fault `limit`, `invalid`, `unsupported` */
export async function unpackBody(packed: Buffer, encodingText: string | undefined, hold: Hold): Promise<Buffer> {
  const encoding = encodingOf(encodingText)
  return encoding === null ? packed : unpack(packed, encoding, hold)
}

async function unpack(packed: Buffer, encoding: Encoding, hold: Hold): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  const unpacked = unpacking(once(packed), encoding, () => limits.streamRequestBytesMax)
  for await (const chunk of unpacked) {
    size += chunk.length
    hold.grow(chunk.length)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, size)
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes
}

/**
 * A body of any size in pieces, unpacked. The next piece is asked of the sender when the last one has been worked on.
 * @throws as `readBody` for one body, in the middle of it
 */
export function streamBody(request: IncomingMessage, times: BodyTimes = bodyTimes): AsyncIterable<Buffer> {
  const encoding = encodingOf(request.headers['content-encoding'])
  let packedBytes = 0
  const packed = counted(arriving(request, times), (bytes) => {
    packedBytes += bytes
  })
  if (encoding === null) return packed
  return unpacking(packed, encoding, () => limits.streamRequestBytesMax + packedBytes * limits.httpUnpackRatioMax)
}

async function* counted(source: AsyncIterable<Buffer>, count: (bytes: number) => void): AsyncGenerator<Buffer> {
  for await (const chunk of source) {
    count(chunk.length)
    yield chunk
  }
}

type Encoding = 'gzip' | 'zstd'

/** @throws Fault `unsupported` */
function encodingOf(text: string | undefined): Encoding | null {
  switch (text?.trim().toLowerCase()) {
    case undefined:
    case '':
    case 'identity':
      return null
    case 'gzip':
    case 'x-gzip':
      return 'gzip'
    case 'zstd':
      return 'zstd'
    default:
      throw new Fault(
        'unsupported',
        `Content-Encoding: expected gzip, zstd or none, got "${String(text).slice(0, 40)}"`,
      )
  }
}

function unpackerOf(encoding: Encoding): Transform {
  switch (encoding) {
    case 'gzip':
      return createGunzip()
    case 'zstd':
      return createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: limits.httpZstdWindowLog } })
  }
}

/** Feeds the unpacker a piece at a time, and gives what comes of it before the next. */
async function* unpacking(
  packed: AsyncIterable<Buffer>,
  encoding: Encoding,
  bytesMax: () => number,
): AsyncGenerator<Buffer> {
  const unpacker = unpackerOf(encoding)
  const feeding = feed(packed, unpacker)
  // What the sender did wrong is told by `feeding`; the unpacker then only says that it was ended.
  feeding.catch((error: unknown) => unpacker.destroy(error instanceof Error ? error : new Error(messageOf(error))))
  let size = 0
  try {
    for await (const chunk of unpacker as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > bytesMax())
        throw new Fault('limit', `the body unpacks to more than ${bytesMax()} bytes; send it in parts, or less packed`)
      yield chunk
    }
    await feeding
  } catch (error) {
    if (error instanceof Fault || error instanceof HttpProblem) throw error
    throw new Fault('invalid', `Content-Encoding is ${encoding}, but the body cannot be unpacked: ${messageOf(error)}`)
  } finally {
    unpacker.destroy()
  }
}

async function feed(packed: AsyncIterable<Buffer>, unpacker: Transform): Promise<void> {
  for await (const chunk of packed) {
    if (unpacker.destroyed) return
    if (!unpacker.write(chunk))
      await new Promise<void>((done) => {
        unpacker.once('drain', done).once('close', done)
      })
  }
  if (!unpacker.destroyed) unpacker.end()
}

/** The pieces of a body as they arrive. Leaving early does not end the connection, so that there can be an answer. */
async function* arriving(request: IncomingMessage, times: BodyTimes): AsyncGenerator<Buffer> {
  const pieces = request.iterator({ destroyOnReturn: false }) as AsyncIterableIterator<Buffer>
  let waitedMs = 0
  let bytes = 0
  try {
    for (;;) {
      const leftMs = times.waitMs + (bytes / times.bytesPerSecondMin) * 1000 - waitedMs
      const startMs = performance.now()
      const piece = await within(pieces.next(), Math.min(times.silenceMs, leftMs))
      waitedMs += performance.now() - startMs
      if (piece.done === true) return
      bytes += piece.value.length
      yield piece.value
    }
  } catch (error) {
    if (error instanceof HttpProblem) throw error
    throw new Fault('cancelled', `the body came to an end before it was complete: ${messageOf(error)}`, {}, error)
  }
}

async function within<T>(work: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_done, fail) => {
    timer = setTimeout(
      () => fail(new HttpProblem(408, 'timeout', 'the body came too slowly; send it again, faster or in parts')),
      Math.max(0, ms),
    )
  })
  work.catch(() => undefined)
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
