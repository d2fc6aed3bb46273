/**
 * Metadata files: their names, reading them, and remembering those that were read. A metadata file never changes once
 * it is written, so what is remembered never goes stale.
 */
import { gunzipSync } from 'node:zlib'
import { Fault, isFault, messageOf } from '../../base/fault.ts'
import { limits } from '../../base/limits.ts'
import { Recent } from '../../base/recent.ts'
import type { FileIO } from '../file/file.ts'
import { parseMetadata, withoutTrailingSlash } from '../spec/metadata-json.ts'
import type { TableMetadata } from '../spec/table-metadata.ts'

/**
 * The version in a metadata file's name: 3 for `…/00003-<uuid>.metadata.json` and for `…/v3.metadata.json`, -1 for
 * any other name.
 */
export function metadataVersion(location: string): number {
  const name = location.slice(location.lastIndexOf('/') + 1)
  const digits = /^(\d{1,9})-/.exec(name) ?? /^v(\d{1,9})\./.exec(name)
  return digits ? Number(digits[1]) : -1
}

/** Where a table's metadata files go: property `write.metadata.path`, or `metadata` under its location. */
export function metadataFolder(metadata: TableMetadata): string {
  const path = metadata.properties['write.metadata.path']
  return path === undefined ? `${withoutTrailingSlash(metadata.location)}/metadata` : withoutTrailingSlash(path)
}

/** `<folder>/<version, 5 digits>-<uuid>.metadata.json` */
export function metadataLocation(metadata: TableMetadata, version: number, uuid: string): string {
  return `${metadataFolder(metadata)}/${String(version).padStart(5, '0')}-${uuid}.metadata.json`
}

function textOf(bytes: Uint8Array, location: string): string {
  try {
    const gzip = bytes[0] === 0x1f && bytes[1] === 0x8b
    const plain = gzip ? gunzipSync(bytes, { maxOutputLength: limits.metadataBytesMax }) : bytes
    return new TextDecoder('utf-8', { fatal: true }).decode(plain)
  } catch (error) {
    throw new Fault(
      'corrupt',
      `expected UTF-8 JSON in ${location}, plain or gzip: ${messageOf(error)}`,
      { location },
      error,
    )
  }
}

/** Reads metadata files, the latest of them from memory. Values are frozen: they are shared by all who load a table. */
export class MetadataFiles {
  readonly #io: FileIO
  readonly #cache: Recent<string, TableMetadata>

  constructor(io: FileIO, cacheBytesMax: number = limits.metadataCacheBytes) {
    this.#io = io
    this.#cache = new Recent(cacheBytesMax)
  }

  /** Null when there is no such file. @throws Fault `corrupt`, `unsupported`, `unavailable` */
  async read(location: string): Promise<TableMetadata | null> {
    const known = this.#cache.get(location)
    if (known !== undefined) return known
    let bytes: Uint8Array
    try {
      bytes = await this.#io.read(location)
    } catch (error) {
      if (isFault(error, 'not-found')) return null
      throw error
    }
    const metadata = freeze(parseMetadata(textOf(bytes, location), location))
    this.remember(location, metadata, bytes.length)
    return metadata
  }

  /** Keeps frozen `metadata`, whose file is `sizeBytes` long, and lets go of the least used beyond the bound. */
  remember(location: string, metadata: TableMetadata, sizeBytes: number): void {
    this.#cache.set(location, metadata, sizeBytes)
  }

  forget(location: string): void {
    this.#cache.delete(location)
  }
}

/** `value` and all within it, made unchangeable. Parts frozen already are taken as frozen throughout. */
export function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  Object.freeze(value)
  for (const member of Object.values(value)) freeze(member)
  return value
}
