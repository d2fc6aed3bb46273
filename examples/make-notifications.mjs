/**
 * Makes `examples/notifications.jsonl` and `examples/objects`: run `node examples/make-notifications.mjs [FOLDER]`.
 *
 * What happened, in three buckets, and how it was told: in the envelopes of four senders, two documents twice, some in the
 * wrong order, and one in a format that does not exist (yet). Names of accounts, hosts and requests are made up.
 *
 *     holidays  S3 → SNS → SQS     four photos; a draft put and deleted, told the other way round; a photo written anew
 *     archive   S3 → EventBridge   with versions: two of one photo, the older of them tagged; a photo under a delete marker
 *     studio    MinIO webhook      a picture with user metadata, tagged; one put and deleted
 */
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = fileURLToPath(new URL('.', import.meta.url))
const target = process.argv[2] ?? here

rmSync(join(target, 'objects'), { recursive: true, force: true })

/** Puts a sample photo where the object's bytes are looked for; gives what events say of it. */
function object(bucket, key, photo, versionId) {
  const bytes = readFileSync(join(here, 'photos', photo))
  const path = join(target, 'objects', bucket, versionId === undefined ? key : `${key}@${versionId}`)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, bytes)
  return { key, size: bytes.length, eTag: md5(bytes), ...(versionId === undefined ? {} : { versionId }) }
}

/** An object that is no longer there: only its event tells of it. */
function gone(key, text) {
  return { key, size: text.length, eTag: md5(text) }
}

function md5(bytes) {
  return createHash('md5').update(bytes).digest('hex')
}

/** Sixteen digits that differ for each text. */
function id(text) {
  return createHash('sha256').update(text).digest('hex').slice(0, 16).toUpperCase()
}

/** S3 stamps with seconds and what looks like a counter, MinIO with nanoseconds. */
function s3Sequencer(time) {
  const ms = Date.parse(time)
  const parts = [
    Math.floor(ms / 1000)
      .toString(16)
      .padStart(10, '0'),
    (ms % 1000).toString(16).padStart(3, '0'),
  ]
  return `${parts.join('')}${id(time).slice(0, 5)}`.toUpperCase()
}

function minioSequencer(time) {
  return (BigInt(Date.parse(time)) * 1_000_000n + 1n).toString(16).toUpperCase()
}

function s3Record(eventName, eventTime, bucket, { key, ...object }) {
  return {
    eventVersion: '2.1',
    eventSource: 'aws:s3',
    awsRegion: 'eu-north-1',
    eventTime,
    eventName,
    userIdentity: { principalId: 'AWS:AIDAEXAMPLE:asa' },
    requestParameters: { sourceIPAddress: '192.0.2.17' },
    responseElements: { 'x-amz-request-id': id(`${eventName} ${eventTime}`) },
    s3: {
      s3SchemaVersion: '1.0',
      configurationId: 'all-changes',
      bucket: { name: bucket, ownerIdentity: { principalId: 'A3EXAMPLE' }, arn: `arn:aws:s3:::${bucket}` },
      object: { key: encodeURIComponent(key).replaceAll('%2F', '/').replaceAll('%20', '+'), ...object },
    },
  }
}

/** Records as SNS wraps them and SQS hands them to a Lambda function. */
function bySqs(document) {
  const Message = JSON.stringify(document)
  const body = JSON.stringify({
    Type: 'Notification',
    MessageId: id(Message),
    TopicArn: 'arn:aws:sns:eu-north-1:123456789012:holidays',
    Message,
  })
  return { Records: [{ messageId: id(body), body, eventSource: 'aws:sqs', awsRegion: 'eu-north-1' }] }
}

function put(time, bucket, object) {
  return s3Record('ObjectCreated:Put', time, bucket, { ...object, sequencer: s3Sequencer(time) })
}

function removed(time, bucket, key) {
  return s3Record('ObjectRemoved:Delete', time, bucket, { key, sequencer: s3Sequencer(time) })
}

function byEventBridge(type, time, { key, size, eTag, versionId }, detail = {}) {
  const ordered = type === 'Object Created' || type === 'Object Deleted'
  return {
    version: '0',
    id: id(`${type} ${time}`),
    'detail-type': type,
    source: 'aws.s3',
    account: '123456789012',
    time,
    region: 'eu-north-1',
    resources: ['arn:aws:s3:::archive'],
    detail: {
      version: '0',
      bucket: { name: 'archive' },
      object: { key, size, etag: eTag, 'version-id': versionId, ...(ordered ? { sequencer: s3Sequencer(time) } : {}) },
      'request-id': id(time),
      requester: '123456789012',
      ...detail,
    },
  }
}

function byMinio(name, time, { key, ...object }, written = time) {
  const record = s3Record(`s3:${name}`, time, 'studio', { key, ...object, sequencer: minioSequencer(written) })
  const s3 = { ...record.s3, object: { ...record.s3.object, key: encodeURIComponent(key) } }
  return {
    EventName: `s3:${name}`,
    Key: `studio/${key}`,
    Records: [{ ...record, eventVersion: '2.0', eventSource: 'minio:s3', awsRegion: '', s3 }],
  }
}

const holidays = {
  acacia: object('holidays', 'kenya/acacia.jpg', '2024/kenya/acacia.jpg'),
  balloons: object('holidays', 'kenya/balloons.jpg', '2024/kenya/balloons.jpg'),
  lisboa: object('holidays', 'lisboa/100% sun + sea.jpg', '2024/lisboa/100% sun + sea.jpg'),
  fuji: object('holidays', '日本/富士山.jpg', '2025/日本/富士山.jpg'),
  draft: gone('kenya/draft.jpg', 'the first try'),
  olderBalloons: gone('kenya/balloons.jpg', 'a photo of the same name'),
}
const archive = {
  torres1: object('archive', 'torres.jpg', '2023/patagonia/glacier lake.jpg', 'R4kq0ZbJd7yVq1'),
  torres2: object('archive', 'torres.jpg', '2023/patagonia/torres.jpg', 'W9mCx2ULp3HsTe'),
  aurora: object('archive', 'aurora + stars.jpg', '2023/norway/aurora.jpg', 'B2nFy8DdQk5GaJ'),
}
const userMetadata = { 'X-Amz-Meta-Photographer': 'Åsa', 'content-type': 'image/webp' }
const studio = {
  harbour: {
    ...object('studio', 'web/harbour.webp', '2025/web/harbour.webp'),
    contentType: 'image/webp',
    userMetadata,
  },
  proof: { ...gone('web/proof.webp', 'to be thrown away'), contentType: 'image/webp' },
}

const deletedDraft = bySqs({ Records: [removed('2025-05-03T08:00:09.120Z', 'holidays', 'kenya/draft.jpg')] })
const marker = { key: 'aurora + stars.jpg', versionId: 'M7tQw4RrXz1LcV' }
const hidden = byEventBridge('Object Deleted', '2025-05-03T09:02:40Z', marker, {
  reason: 'DeleteObject',
  'deletion-type': 'Delete Marker Created',
})
const created = { reason: 'PutObject' }
const harbourAt = '2025-05-03T10:00:00.250Z'

const documents = [
  bySqs({ Service: 'Amazon S3', Event: 's3:TestEvent', Time: '2025-05-03T07:58:00.000Z', Bucket: 'holidays' }),
  deletedDraft,
  bySqs({ Records: [put('2025-05-03T08:00:01.503Z', 'holidays', holidays.acacia)] }),
  bySqs({ Records: [put('2025-05-03T08:00:20.044Z', 'holidays', holidays.balloons)] }),
  bySqs({ Records: [put('2025-05-03T08:00:05.871Z', 'holidays', holidays.draft)] }),
  bySqs({ Records: [put('2025-05-03T08:00:04.318Z', 'holidays', holidays.olderBalloons)] }),
  bySqs({
    Records: [
      put('2025-05-03T08:01:00.002Z', 'holidays', holidays.lisboa),
      put('2025-05-03T08:01:00.007Z', 'holidays', holidays.fuji),
    ],
  }),
  deletedDraft,
  hidden,
  byEventBridge('Object Created', '2025-05-03T09:00:10Z', archive.torres2, created),
  byEventBridge('Object Created', '2025-05-03T09:00:00Z', archive.torres1, created),
  byEventBridge('Object Created', '2025-05-03T09:00:12Z', archive.aurora, created),
  byEventBridge('Object Tags Added', '2025-05-03T09:05:00Z', archive.torres1),
  hidden,
  byMinio('ObjectCreated:Put', harbourAt, studio.harbour),
  byMinio('ObjectCreated:PutTagging', '2025-05-03T10:00:07.100Z', studio.harbour, harbourAt),
  byMinio('ObjectCreated:Put', '2025-05-03T10:01:00.000Z', studio.proof),
  byMinio('ObjectRemoved:Delete', '2025-05-03T10:01:30.500Z', { key: 'web/proof.webp' }),
  { Records: [{ ...put('2025-05-03T11:00:00.000Z', 'holidays', holidays.acacia), eventVersion: '3.0' }] },
]

writeFileSync(
  join(target, 'notifications.jsonl'),
  `${documents.map((document) => JSON.stringify(document)).join('\n')}\n`,
)
console.log(`${documents.length} documents in ${join(target, 'notifications.jsonl')}`)
