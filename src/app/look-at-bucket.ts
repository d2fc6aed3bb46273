/**
 * One look at a bucket, before anything depends on it: is it there, are the credentials taken, may it be listed, does it keep versions, and may
 * an object of it be read. At most four requests, two at a time; all of them read.
 */
import { isFault, messageOf } from '../base/fault.ts'
import type { BucketStore, ObjectInfo, Versioning } from '../store/store.ts'
import { type Look, troubleOf } from './look.ts'

export interface BucketUse {
  /** What it is for. `tables`: a warehouse. */
  use: 'objects' | 'tables'
  /** Only keys that begin so are of interest. */
  prefix: string
  /** Tags of objects are read. */
  withTags: boolean
  /** It is compared with its listing by itself. */
  isCompared: boolean
}

/** Never rejects for what the store says. */
export async function lookAtBucket(store: BucketStore, bucket: BucketUse): Promise<Look[]> {
  const [listed, versioning] = await Promise.allSettled([firstOf(store, bucket.prefix), store.versioning()])
  if (listed.status === 'rejected') {
    return isDenied(listed.reason)
      ? [denied(listed.reason, 's3:ListBucket', WITHOUT_LISTING)]
      : [troubleOf(listed.reason)]
  }
  const looks = versioning.status === 'rejected' ? unversioned(versioning.reason, bucket) : []
  const object = listed.value
  if (object !== null) looks.push(...(await lookAtObject(store, object, bucket.withTags)))
  const kept = versioning.status === 'fulfilled' ? versioning.value : null
  if (bucket.use === 'tables' && kept === 'enabled') looks.push({ level: 'note', message: TABLES_WITH_VERSIONS })
  if (looks.some(({ level }) => level === 'problem')) return looks
  return [{ level: 'ok', message: wellLine(store.name, object, kept) }, ...looks]
}

const WITHOUT_LISTING =
  'without it an object that is gone looks like one that may not be read, and the bucket can be neither ingested nor compared; nothing else was looked at'
const TABLES_WITH_VERSIONS =
  'the bucket keeps versions: files that upkeep deletes stay as old ones until a lifecycle rule of the bucket removes them'

async function firstOf(store: BucketStore, prefix: string): Promise<ObjectInfo | null> {
  for await (const info of store.list(prefix)) return info
  return null
}

/** Only listings ask whether a bucket keeps versions. */
function unversioned(error: unknown, { use, isCompared }: BucketUse): Look[] {
  if (use === 'tables') return []
  if (isFault(error, 'unsupported')) return [{ level: 'note', message: `${messageOf(error)}; ${FOR_LISTINGS}` }]
  if (!isDenied(error)) return [troubleOf(error)]
  const look = denied(error, 's3:GetBucketVersioning', FOR_LISTINGS)
  return [isCompared ? look : { level: 'note', message: look.message }]
}

const FOR_LISTINGS = 'ingest and reconcile ask whether the bucket keeps versions'

async function lookAtObject(store: BucketStore, { key, sizeBytes }: ObjectInfo, withTags: boolean): Promise<Look[]> {
  const [read, tags] = await Promise.allSettled([
    sizeBytes === 0 ? store.head(key) : store.get(key, { range: { start: 0, end: 1 } }),
    withTags ? store.tags(key) : null,
  ])
  const looks: Look[] = []
  if (read.status === 'rejected' && !isGone(read.reason) && codeOf(read.reason) !== ARCHIVED) {
    const { reason } = read
    looks.push(isDenied(reason) ? denied(reason, 's3:GetObject and s3:GetObjectVersion', NO_FACTS) : troubleOf(reason))
  }
  if (tags.status === 'rejected') {
    const { reason } = tags
    if (isFault(reason, 'unsupported')) looks.push({ level: 'note', message: messageOf(reason) })
    else if (isDenied(reason))
      looks.push(denied(reason, 's3:GetObjectTagging and s3:GetObjectVersionTagging', 'or set describe to head'))
    else if (!isGone(reason)) looks.push(troubleOf(reason))
  }
  return looks
}

const NO_FACTS = 'without them there are no facts from the bytes of objects'
/** The object must be restored before it can be read: that is no matter of rights. */
const ARCHIVED = 'InvalidObjectState'

function isGone(error: unknown): boolean {
  return isFault(error, 'not-found') || isFault(error, 'superseded')
}

function codeOf(error: unknown): unknown {
  return isFault(error) ? error.facts['code'] : undefined
}

function isDenied(error: unknown): boolean {
  return /^(AccessDenied|Forbidden|403|AllAccessDisabled)/.test(String(codeOf(error)))
}

function denied(error: unknown, actions: string, why: string): Look {
  return { level: 'problem', cause: 'settings', message: `${messageOf(error)}: ${actions}; ${why}` }
}

function wellLine(name: string, object: ObjectInfo | null, kept: Versioning | null): string {
  const read = object === null ? 'it has no object yet that reading could be tried with' : 'its objects may be read'
  const versions = { enabled: '; it keeps versions', suspended: '; it keeps old versions and makes no more', never: '' }
  return `${name} answers and may be listed; ${read}${kept === null ? '' : versions[kept]}`
}
