/** The AWS SDK's client of one connection, loaded when the first request is made: who has no bucket never pays for it. */
import type { S3Client } from '@aws-sdk/client-s3'
import { limits } from '../base/limits.ts'
import type { S3Connection } from './s3-connection.ts'

export type Sdk = typeof import('@aws-sdk/client-s3')

export interface LoadedClient {
  readonly sdk: Sdk
  readonly client: S3Client
}

/** One client, and so one pool of sockets, for all buckets of a connection. */
const clients = new WeakMap<S3Connection, Promise<LoadedClient>>()

export function clientOf(connection: S3Connection): Promise<LoadedClient> {
  const known = clients.get(connection) ?? load(connection)
  clients.set(connection, known)
  return known
}

async function load(connection: S3Connection): Promise<LoadedClient> {
  const sdk = await import('@aws-sdk/client-s3')
  const { endpoint, credentials, profile } = connection
  const region = connection.region ?? (endpoint === undefined ? undefined : (process.env['AWS_REGION'] ?? 'us-east-1'))
  const client = new sdk.S3Client({
    ...(endpoint === undefined ? { followRegionRedirects: true } : { endpoint }),
    ...(region !== undefined && { region }),
    ...(credentials !== undefined && { credentials }),
    ...(profile !== undefined && { profile }),
    ...(connection.anonymous && {
      credentials: { accessKeyId: 'anonymous', secretAccessKey: 'anonymous' },
      signer: { sign: async (request) => request },
    }),
    forcePathStyle: connection.pathStyle,
    // Tries, pauses and time are counted in `s3-requests.ts`, which knows the bucket.
    maxAttempts: 1,
    // Other stores do not all know AWS's newer checksums; Content-MD5, which the uploads carry, they do.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: limits.s3ConnectMs,
      httpAgent: { maxSockets: limits.s3SocketsMax, keepAlive: true },
      httpsAgent: { maxSockets: limits.s3SocketsMax, keepAlive: true },
    },
  })
  return { sdk, client }
}
