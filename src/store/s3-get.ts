/**
 * GETs of objects past most of the SDK, whose work for each request anew (composing its middleware, the rules of endpoints, schemas)
 * costs some four times what the request does.
 *
 * For each bucket the SDK is asked once how it would ask: address, headers, signing. That holds for every key; what is sent is signed
 * by the SDK's signer and goes by its handler, over its connections. Where the answer is one that the SDK has a remedy for (a redirect,
 * a wrong clock), it asks again; and it asks always where a bucket wants another way than signatures of version 4 for `s3`.
 */
import type { GetObjectCommandInput, GetObjectCommandOutput } from '@aws-sdk/client-s3'
import { limits } from '../base/limits.ts'
import { Recent } from '../base/recent.ts'
import type { LoadedClient } from './s3-client.ts'
import type { ObjectHead } from './s3-info.ts'

/** The part of a request that is used here. */
export type GetInput = Pick<
  GetObjectCommandInput,
  'Bucket' | 'Key' | 'Range' | 'VersionId' | 'IfMatch' | 'ChecksumMode'
> & { Bucket: string; Key: string }

/** An answer whose body is to be read to its end, or destroyed. */
export interface GotObject {
  head: ObjectHead & Pick<GetObjectCommandOutput, 'ContentRange'>
  body: ObjectBody | undefined
}

export type ObjectBody = AsyncIterable<Uint8Array> & { destroy(): void }

type Client = LoadedClient['client']
type Handled = Parameters<Client['config']['requestHandler']['handle']>[0]
type Signer = { sign(request: Handled, options: object): Promise<Handled> }

/** How a bucket's objects are asked for. */
interface Way {
  request: Handled
  /** In front of the key. */
  path: string
  signer: Signer
  region: string | undefined
}

const SIGNED_AS = 's3'
const PROBE = 'k'
const EMPTY_SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
/** What the SDK has a remedy for: another region, a clock that is wrong. So it has for redirects. */
const REMEDIED: readonly string[] = [
  'AuthorizationHeaderMalformed',
  'IllegalLocationConstraintException',
  'PermanentRedirect',
  'RequestExpired',
  'RequestTimeTooSkewed',
]

const ways = new WeakMap<Client, Recent<string, Way | null>>()

/** @throws what `failureOf` knows the meaning of */
export async function getObject(loaded: LoadedClient, input: GetInput, abortSignal: AbortSignal): Promise<GotObject> {
  const way = await wayTo(loaded, input.Bucket)
  const got = way === null ? null : await getBy(loaded.client, way, input, abortSignal)
  if (got !== null) return got
  const { sdk, client } = loaded
  const output = await client.send(new sdk.GetObjectCommand(input), { abortSignal })
  return { head: output, body: output.Body as ObjectBody | undefined }
}

async function wayTo(loaded: LoadedClient, bucket: string): Promise<Way | null> {
  const known = ways.get(loaded.client) ?? new Recent<string, Way | null>(limits.s3BucketsKept)
  ways.set(loaded.client, known)
  const found = known.get(bucket)
  if (found !== undefined) return found
  const way = await findWay(loaded, bucket)
  known.set(bucket, way)
  return way
}

/** Lets the SDK make a request and keeps it from sending it. */
async function findWay({ sdk, client }: LoadedClient, bucket: string): Promise<Way | null> {
  const probe = new sdk.GetObjectCommand({ Bucket: bucket, Key: PROBE })
  let way: Way | null = null
  probe.middlewareStack.add(
    (_next, context) => async (args) => {
      const request = args.request as Handled
      const scheme = context.authSchemes?.[0]
      const signer: unknown = scheme && (await (client.config.signer as (its: typeof scheme) => unknown)(scheme))
      const isKnown = scheme?.name === 'sigv4' && scheme.signingName === SIGNED_AS && request.path.endsWith(`/${PROBE}`)
      if (isKnown && isSigner(signer)) {
        way = { request, path: request.path.slice(0, -PROBE.length), signer, region: scheme.signingRegion }
      }
      return { response: undefined, output: { $metadata: {} } }
    },
    { step: 'build', priority: 'low' },
  )
  // With options, even none, the client keeps nothing of how it was asked.
  await client.send(probe, {})
  return way
}

function isSigner(value: unknown): value is Signer {
  return typeof value === 'object' && value !== null && 'sign' in value
}

/** Null: the SDK is to ask. */
async function getBy(
  client: Client,
  { request, path, signer, region }: Way,
  { Key, Range, VersionId, IfMatch, ChecksumMode }: GetInput,
  abortSignal: AbortSignal,
): Promise<GotObject | null> {
  const unsigned = {
    ...request,
    path: path + Key.split('/').map(encoded).join('/'),
    query: { ...request.query, ...(VersionId !== undefined && { versionId: VersionId }) },
    headers: {
      ...request.headers,
      'x-amz-content-sha256': EMPTY_SHA256,
      ...(Range !== undefined && { range: Range }),
      ...(IfMatch !== undefined && { 'if-match': IfMatch }),
      ...(ChecksumMode !== undefined && { 'x-amz-checksum-mode': ChecksumMode }),
    },
  } as Handled
  const signingDate = new Date(Date.now() + client.config.systemClockOffset)
  const signed = await signer.sign(unsigned, { signingDate, signingRegion: region, signingService: SIGNED_AS })
  const { response } = await client.config.requestHandler.handle(signed, { abortSignal })
  const { statusCode: status, headers } = response
  const body = response.body as ObjectBody
  if (status === 200 || status === 206) return { head: headOf(headers), body }
  const text = await textOf(body)
  const name = /<Code>([^<]+)</.exec(text)?.[1] ?? 'Error'
  if ((status >= 300 && status < 400) || REMEDIED.includes(name)) return null
  throw Object.assign(new Error(/<Message>([^<]*)</.exec(text)?.[1] ?? `status ${status}`), {
    name,
    $metadata: { httpStatusCode: status },
    $response: { statusCode: status, headers },
  })
}

/** As RFC 3986 has it, which signatures are made of. */
function encoded(part: string): string {
  return encodeURIComponent(part).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)
}

/** What an error says, as far as anybody reads it. */
async function textOf(body: ObjectBody): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of body) {
    chunks.push(chunk)
    bytes += chunk.length
    // Leaving the loop closes the body.
    if (bytes > limits.s3ErrorBytesMax) break
  }
  return Buffer.concat(chunks).toString()
}

function headOf(headers: Readonly<Record<string, string>>): GotObject['head'] {
  const numberOf = (name: string) => (headers[name] === undefined ? undefined : Number(headers[name]))
  const modified = headers['last-modified']
  const bucketKey = headers['x-amz-server-side-encryption-bucket-key-enabled']
  const metadata = Object.entries(headers)
    .filter(([name]) => name.startsWith(METADATA))
    .map(([name, value]) => [name.slice(METADATA.length), value])
  return {
    ETag: headers['etag'],
    ContentLength: numberOf('content-length'),
    ContentRange: headers['content-range'],
    LastModified: modified === undefined ? undefined : new Date(modified),
    StorageClass: headers['x-amz-storage-class'] as ObjectHead['StorageClass'],
    VersionId: headers['x-amz-version-id'],
    ContentType: headers['content-type'],
    Metadata: Object.fromEntries(metadata),
    TagCount: numberOf('x-amz-tagging-count'),
    ServerSideEncryption: headers['x-amz-server-side-encryption'] as ObjectHead['ServerSideEncryption'],
    SSECustomerAlgorithm: headers['x-amz-server-side-encryption-customer-algorithm'],
    SSEKMSKeyId: headers['x-amz-server-side-encryption-aws-kms-key-id'],
    BucketKeyEnabled: bucketKey === undefined ? undefined : bucketKey === 'true',
    ChecksumCRC64NVME: headers['x-amz-checksum-crc64nvme'],
    ChecksumCRC32C: headers['x-amz-checksum-crc32c'],
    ChecksumCRC32: headers['x-amz-checksum-crc32'],
    ChecksumSHA256: headers['x-amz-checksum-sha256'],
    ChecksumSHA1: headers['x-amz-checksum-sha1'],
  }
}

const METADATA = 'x-amz-meta-'
