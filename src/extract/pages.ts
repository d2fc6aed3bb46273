/**
 * Ranged reading for foreign parsers, which ask for a few bytes here and there: what was fetched of an object is kept in pages,
 * so that no byte is fetched twice, however many parsers and extractors look at it, and a page is the least that is fetched.
 *
 * The bounds on bytes and reads are those of the source below. Parsers wrap, swallow and rename what a read throws; so the first
 * fault of reading is kept, and `parsed` tells it instead of whatever the parser made of it.
 */
import { Fault, faultOf, isFault, messageOf } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import type { ByteSource } from './extract.ts'
import { invalid, truncated } from './image-head.ts'

export class Pages {
  readonly sizeBytes: number
  /** The first fault that a read met. */
  failure: Fault | null = null
  /** Fetches made so far. */
  fetches = 0
  readonly #source: ByteSource
  readonly #pages = new Map<number, Uint8Array>()
  readonly #failed = Promise.withResolvers<never>()

  constructor(source: ByteSource) {
    this.#failed.promise.catch(() => undefined)
    this.#source = source
    this.sizeBytes = source.sizeBytes
  }

  /** Bytes [start, end), cut at the object's end. @throws Fault as the source does; the first one again for every later read */
  async read(start: number, end: number): Promise<Uint8Array> {
    const from = Math.max(0, Math.min(start, this.sizeBytes))
    const to = Math.max(from, Math.min(end, this.sizeBytes))
    if (!(from < to)) return new Uint8Array(0)
    const size = limits.extractPageBytes
    const first = Math.floor(from / size)
    const last = Math.floor((to - 1) / size)
    await this.#fill(first, last)
    if (first === last) return this.#pages.get(first)!.subarray(from - first * size, to - first * size)
    const out = new Uint8Array(to - from)
    for (let page = first; page <= last; page++) {
      const bytes = this.#pages.get(page)!
      const skip = Math.max(0, from - page * size)
      out.set(bytes.subarray(skip, Math.min(bytes.length, to - page * size)), page * size + skip - from)
    }
    return out
  }

  /** `work`, or the first fault of reading: some parsers wait for ever for bytes that did not come. */
  orFailure<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#failed.promise])
  }

  /** Fetches the pages that are missing, neighbours together. */
  async #fill(first: number, last: number): Promise<void> {
    const size = limits.extractPageBytes
    for (let page = first; page <= last; page++) {
      if (this.#pages.has(page)) continue
      let end = page + 1
      while (end <= last && !this.#pages.has(end)) end++
      const bytes = await this.#fetch(page * size, Math.min(end * size, this.sizeBytes))
      for (let at = page; at < end; at++)
        this.#pages.set(at, bytes.subarray((at - page) * size, (at - page + 1) * size))
    }
  }

  async #fetch(start: number, end: number): Promise<Uint8Array> {
    if (this.failure !== null) throw this.failure
    this.fetches++
    try {
      return await this.#source.read(start, end)
    } catch (error) {
      const fault = faultOf(error)
      this.failure ??= fault
      this.#failed.reject(this.failure)
      throw fault
    }
  }
}

const shared = new WeakMap<ByteSource, Pages>()

/** The pages of an object, the same for all who ask. */
export function pagesOf(source: ByteSource): Pages {
  const known = shared.get(source)
  if (known !== undefined) return known
  const pages = new Pages(source)
  shared.set(source, pages)
  return pages
}

const CUT_OFF = /end.of.(?:stream|file)|unexpected eof|truncat|out of bounds|outside the bounds|premature/i

/**
 * Runs a foreign parser. What it throws becomes a fault: that of reading, if one was met; `truncated` where its words say so;
 * else `invalid`.
 */
export async function parsed<T>(pages: Pages, what: string, work: () => Promise<T>): Promise<T> {
  try {
    const result = await pages.orFailure(work())
    if (pages.failure !== null) throw pages.failure
    return result
  } catch (error) {
    if (pages.failure !== null) throw pages.failure
    if (isFault(error)) throw error
    const message = messageOf(error)
    throw CUT_OFF.test(message)
      ? truncated(`${what} breaks off: ${message}`)
      : invalid(`${what} cannot be read: ${message}`)
  }
}

/** A bound was met. */
export function tooMuch(what: string): Fault {
  return new Fault('limit', what)
}
