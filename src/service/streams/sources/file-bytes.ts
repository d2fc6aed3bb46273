/** A file's bytes, unpacked, in pieces: what is in memory is a piece or two, whatever the file's size. */
import type { FileHandle } from 'node:fs/promises'
import { pipeline, Readable } from 'node:stream'
import { constants, createGunzip, createZstdDecompress } from 'node:zlib'
import { systemCode } from '../../../base/fault.ts'
import { limits } from '../../../base/limits.ts'

export type Packing = 'none' | 'gz' | 'zst'

/** The file is not what its name says. */
export class BadFile extends Error {}

export async function* bytesOf(handle: FileHandle): AsyncGenerator<Buffer> {
  for (let position = 0; ; ) {
    const buffer = Buffer.allocUnsafe(limits.fileReadBytes)
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, position)
    if (bytesRead === 0) return
    position += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}

/** @throws BadFile when it cannot be unpacked */
export async function* unpackedBytes(handle: FileHandle, packing: Packing): AsyncGenerator<Buffer> {
  if (packing === 'none') return yield* bytesOf(handle)
  const unpack =
    packing === 'gz'
      ? createGunzip()
      : createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: limits.httpZstdWindowLog } })
  // Whoever reads hears of a failure; this only ends the other side.
  pipeline(Readable.from(bytesOf(handle)), unpack, () => undefined)
  try {
    for await (const piece of unpack) yield piece as Buffer
  } catch (error) {
    if (/^(Z_|ZSTD_|ERR_)/.test(systemCode(error) ?? ''))
      throw new BadFile(`cannot be unpacked: ${(error as Error).message}`)
    throw error
  } finally {
    unpack.destroy()
  }
}

const BOM = Buffer.from([0xef, 0xbb, 0xbf])

/** Bytes that grow at one end and are used up at the other. */
export class Window {
  #buffer: Buffer = Buffer.alloc(0)
  #begun = false

  get buffer(): Buffer {
    return this.#buffer
  }

  add(piece: Buffer): void {
    this.#buffer = this.#buffer.length === 0 ? piece : Buffer.concat([this.#buffer, piece])
    if (this.#begun || this.#buffer.length < BOM.length) return
    this.#begun = true
    if (this.#buffer.subarray(0, BOM.length).equals(BOM)) this.drop(BOM.length)
  }

  drop(count: number): void {
    this.#buffer = this.#buffer.subarray(count)
  }
}
