/** Listings of a bucket, page by page. Keys travel URL-encoded, since XML cannot hold all of them. */
import type { DeleteMarkerEntry, ListObjectVersionsCommandOutput, ObjectVersion } from '@aws-sdk/client-s3'
import { limits } from '../base/limits.ts'
import type { LoadedClient } from './s3-client.ts'
import { infoOfListed } from './s3-info.ts'
import type { Done, Refusal, S3Requests } from './s3-requests.ts'
import type { ListVersionsOptions, ObjectInfo, VersionInfo } from './store.ts'

/** Objects whose whole key begins with `prefix`, after the whole key `after`. */
export async function* listObjects(
  requests: S3Requests,
  bucket: string,
  prefix: string,
  after: string | undefined,
): AsyncGenerator<ObjectInfo> {
  let token: string | undefined
  do {
    const input = {
      Bucket: bucket,
      Prefix: prefix,
      MaxKeys: limits.s3PageObjects,
      EncodingType: 'url' as const,
      ...(token === undefined ? after !== undefined && { StartAfter: after } : { ContinuationToken: token }),
    }
    const done = await requests.tryRun(
      { operation: 'ListObjectsV2', what: `list s3://${bucket}/${prefix}` },
      ({ sdk, client }, abortSignal) => client.send(new sdk.ListObjectsV2Command(input), { abortSignal }),
    )
    if (noSuchName(done)) return
    if ('fault' in done) throw done.fault
    const page = done.value
    for (const entry of page.Contents ?? []) yield infoOfListed(decodedKey(entry.Key, page.EncodingType), entry)
    token = page.IsTruncated === true ? page.NextContinuationToken : undefined
  } while (token !== undefined)
}

/** Versions and markers of whole keys that begin with `prefix`, in the server's order. */
export async function* listVersions(
  requests: S3Requests,
  bucket: string,
  prefix: string,
  after: ListVersionsOptions['after'],
): AsyncGenerator<VersionInfo> {
  let marker: { key: string; versionId?: string | undefined } | undefined = after
  do {
    const input = {
      Bucket: bucket,
      Prefix: prefix,
      MaxKeys: limits.s3PageObjects,
      EncodingType: 'url' as const,
      ...(marker !== undefined && { KeyMarker: marker.key }),
      ...(marker?.versionId !== undefined && { VersionIdMarker: marker.versionId }),
    }
    const done = await requests.tryRun(
      { operation: 'ListObjectVersions', what: `list the versions of s3://${bucket}/${prefix}` },
      async ({ sdk, client }: LoadedClient, abortSignal) => {
        const order: string[] = []
        const command = new sdk.ListObjectVersionsCommand(input)
        command.middlewareStack.add(
          (next) => async (args) => {
            const result = await next(args)
            order.push(...(await orderOf(result.response)))
            return result
          },
          { step: 'deserialize', priority: 'low' },
        )
        return { page: await client.send(command, { abortSignal }), order }
      },
    )
    if (noSuchName(done)) return
    if ('fault' in done) throw done.fault
    const { value } = done
    for (const entry of inOrder(value.page, value.order)) {
      yield versionOf(decodedKey(entry.Key, value.page.EncodingType), entry)
    }
    const { IsTruncated, NextKeyMarker, NextVersionIdMarker, EncodingType } = value.page
    marker =
      IsTruncated === true && NextKeyMarker !== undefined
        ? { key: decodedKey(NextKeyMarker, EncodingType), versionId: NextVersionIdMarker || undefined }
        : undefined
  } while (marker !== undefined)
}

/** A store that cannot have such keys (MinIO keeps them as files) says so of a prefix too: then no key begins with it. */
function noSuchName(done: Done<unknown> | Refusal): boolean {
  return (
    'fault' in done && done.failure.kind === 'refused' && /^XMinioInvalid(Object|Resource)Name$/.test(done.failure.code)
  )
}

interface Entry extends ObjectVersion {
  isMarker: boolean
}

/**
 * The SDK gives versions and markers in two lists, each in the order of the answer; how they lay between each other, which only
 * the answer's text says (times are too coarse to tell), is in `order`: the names of its elements.
 */
function inOrder(page: ListObjectVersionsCommandOutput, order: readonly string[]): Entry[] {
  const versions = (page.Versions ?? []).map((entry): Entry => ({ ...entry, isMarker: false }))
  const markers = (page.DeleteMarkers ?? []).map((entry: DeleteMarkerEntry): Entry => ({ ...entry, isMarker: true }))
  const entries: Entry[] = []
  let version = 0
  let marker = 0
  for (const name of order) {
    const next = name === 'DeleteMarker' ? markers[marker++] : versions[version++]
    if (next !== undefined) entries.push(next)
  }
  return [...entries, ...versions.slice(version), ...markers.slice(marker)]
}

/** Reads an answer's body, leaves it in place for the SDK, and gives the names of its entries in their order. */
async function orderOf(response: unknown): Promise<string[]> {
  const answer = response as { body?: AsyncIterable<Uint8Array> }
  if (answer.body === undefined) return []
  const chunks: Uint8Array[] = []
  for await (const chunk of answer.body) chunks.push(chunk)
  const bytes = Buffer.concat(chunks)
  Object.assign(answer, { body: new Uint8Array(bytes) })
  return [...bytes.toString().matchAll(/<(Version|DeleteMarker)>/g)].map(([, name = '']) => name)
}

function versionOf(key: string, entry: Entry): VersionInfo {
  const base = { versionId: entry.VersionId ?? 'null', isLatest: entry.IsLatest === true }
  if (!entry.isMarker) return { ...infoOfListed(key, entry), ...base, isDeleteMarker: false }
  const lastModifiedMs = entry.LastModified?.getTime() ?? 0
  return { key, sizeBytes: 0, etag: '', lastModifiedMs, ...base, isDeleteMarker: true }
}

/** Form encoding, in which a space is `+`. A server that does not know the encoding says so by leaving it out of its answer. */
function decodedKey(key: string | undefined, encoding: string | undefined): string {
  const text = key ?? ''
  return encoding === 'url' ? decodeURIComponent(text.replaceAll('+', ' ')) : text
}
