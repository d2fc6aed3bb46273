/**
 * Where the tables' files are: the home's folder `warehouse`, or a place in a bucket of S3.
 *
 * On S3, DuckDB still works on local files: what it writes is put into the bucket, and what it reads comes from local copies under
 * the home's `cache`, which is bounded and may be deleted at any time.
 */
import { Fault } from '../base/fault.ts'
import type { FileIO } from '../iceberg/file/file.ts'
import { storeIo } from '../iceberg/file/store-io.ts'
import { openFileStore } from '../store/file.ts'
import { LocalCache } from '../store/local-cache.ts'
import { openS3Store } from '../store/s3.ts'
import type { S3Connection } from '../store/s3-connection.ts'
import type { SentRequest } from '../store/s3-requests.ts'
import type { Home } from './home.ts'
import { s3Connection } from './s3-connections.ts'
import type { S3Settings, WarehouseSettings } from './settings/s3.ts'

export type { SentRequest } from '../store/s3-requests.ts'

const MiB = 1024 * 1024

export interface S3Place {
  bucket: string
  /** Without a slash at either end; empty: the whole bucket. */
  prefix: string
  /** `s3://bucket/prefix`, without a slash at the end. */
  uri: string
}

/** Names of buckets as S3 has them today; a dot or an underscore was possible once. */
const S3_LOCATION = /^s3[an]?:\/\/([a-z0-9][a-z0-9._-]{1,62})(\/.*)?$/i

/** Null when the text is no location on S3. */
export function s3Place(location: string): S3Place | null {
  const match = S3_LOCATION.exec(location)
  if (match === null) return null
  const [, bucket = '', path = ''] = match
  const parts = path.split('/').slice(1)
  if (parts.at(-1) === '') parts.pop()
  if (parts.some((part) => ['', '.', '..'].includes(part))) return null
  const prefix = parts.join('/')
  return { bucket, prefix, uri: prefix === '' ? `s3://${bucket}` : `s3://${bucket}/${prefix}` }
}

/** What a configuration says of it. */
interface WarehouseConfig {
  readonly warehouse: WarehouseSettings
  readonly s3: S3Settings
}

/** What is wrong with the warehouse's settings, in sentences that begin with their path. */
export function warehouseProblems({ warehouse, s3 }: WarehouseConfig): string[] {
  const problems: string[] = []
  const { location, s3: connection } = warehouse
  if (location !== undefined && s3Place(location) === null) {
    problems.push(`warehouse.location: expected s3://bucket or s3://bucket/prefix, got "${location}"`)
  }
  if (connection !== undefined && connection !== 'default' && s3[connection] === undefined) {
    const names = Object.keys(s3).join(', ') || 'none'
    problems.push(`warehouse.s3: expected the name of a connection of s3, got "${connection}"; there are: ${names}`)
  }
  if (location === undefined && connection !== undefined) {
    problems.push('warehouse.s3: is for a warehouse on S3; set warehouse.location too')
  }
  return problems
}

/** The location under which the tables are: of S3 if the configuration says so, else of the home's folder. */
export function warehouseUri(home: Pick<Home, 'warehouseUri'>, config: Pick<WarehouseConfig, 'warehouse'>): string {
  return config.warehouse.location === undefined ? home.warehouseUri : placeOf(config.warehouse.location).uri
}

export interface WarehouseOptions {
  home: Pick<Home, 'warehouseUri' | 'warehouseDir' | 'scratchDir' | 'cacheDir'>
  config: WarehouseConfig
  /** Make the folder of a local warehouse. */
  create: boolean
  onRequest: (request: SentRequest) => void
}

export async function openWarehouse({ home, config, create, onRequest }: WarehouseOptions): Promise<FileIO> {
  const { location, s3, cacheMiB } = config.warehouse
  const { scratchDir } = home
  if (location === undefined) {
    return storeIo(await openFileStore({ root: home.warehouseDir, create }), { root: home.warehouseUri, scratchDir })
  }
  return s3Warehouse({
    place: placeOf(location),
    connection: s3Connection(config, s3),
    cacheDir: home.cacheDir,
    scratchDir,
    ...(cacheMiB !== undefined && { cacheBytes: cacheMiB * MiB }),
    onRequest,
  })
}

export interface S3WarehouseOptions {
  place: S3Place
  connection: S3Connection
  /** For local copies; best on the file system of `scratchDir`, so that what was written is moved there and not read again. */
  cacheDir: string
  scratchDir: string
  cacheBytes?: number
  onRequest?: (request: SentRequest) => void
}

export function s3Warehouse(options: S3WarehouseOptions): FileIO {
  const { place, connection, cacheBytes, onRequest } = options
  const store = openS3Store({
    connection,
    bucket: place.bucket,
    prefix: place.prefix === '' ? '' : `${place.prefix}/`,
    cache: new LocalCache({
      folder: options.cacheDir,
      ...(cacheBytes !== undefined && { bytesMax: cacheBytes }),
    }),
    immutable: true,
    ...(onRequest !== undefined && { onRequest }),
  })
  return storeIo(store, { root: place.uri, scratchDir: options.scratchDir })
}

function placeOf(location: string): S3Place {
  const place = s3Place(location)
  if (place !== null) return place
  throw new Fault('invalid', `expected a location such as s3://bucket/prefix, got "${location}"`)
}
