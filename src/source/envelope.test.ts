import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { limits } from '../base/limits.ts'
import { NULL_VERSION, type ObjectEvent } from '../change/object-event.ts'
import { readNotification } from './source.ts'

/** A record as S3 sends it, with what the case changes. */
function s3Record(eventName: string, object: object = {}, more: object = {}) {
  return {
    eventVersion: '2.1',
    eventSource: 'aws:s3',
    awsRegion: 'eu-central-1',
    eventTime: '2024-05-01T10:00:00.123Z',
    eventName,
    userIdentity: { principalId: 'AWS:AIDAEXAMPLE' },
    requestParameters: { sourceIPAddress: '192.0.2.7' },
    responseElements: { 'x-amz-request-id': 'C3D13FE58DE4C810', 'x-amz-id-2': 'FMyUVURIY8' },
    s3: {
      s3SchemaVersion: '1.0',
      configurationId: 'all',
      bucket: { name: 'photos', ownerIdentity: { principalId: 'A3NL1' }, arn: 'arn:aws:s3:::photos' },
      object: { key: 'sea+side/Caf%C3%A9.jpg', sequencer: '00636B4222CBA01ADB', ...object },
    },
    ...more,
  }
}

function eventBridge(type: string, object: object = {}, detail: object = {}) {
  return {
    version: '0',
    id: '17793124-05d4-b198-2fde-7ededc63b103',
    'detail-type': type,
    source: 'aws.s3',
    account: '111122223333',
    time: '2024-05-01T10:00:00Z',
    region: 'eu-central-1',
    resources: ['arn:aws:s3:::photos'],
    detail: {
      version: '0',
      bucket: { name: 'photos' },
      object: { key: 'sea side/Café+1%.jpg', 'version-id': 'v1', sequencer: '00636B4222CBA01ADB', ...object },
      'request-id': 'C3D13FE58DE4C810',
      requester: '111122223333',
      'source-ip-address': '192.0.2.7',
      ...detail,
    },
  }
}

const put = { size: 1024, eTag: 'd41d8cd98f00b204e9800998ecf8427e', versionId: 'v1' }

function read(document: unknown) {
  return readNotification(JSON.stringify(document))
}

function oneEvent(document: unknown): ObjectEvent {
  const { events, problems, ignored } = read(document)
  assert.deepEqual({ problems, ignored, count: events.length }, { problems: [], ignored: [], count: 1 })
  return events[0]!
}

describe('records as S3 sends them', () => {
  test('a put gives every field it carries', () => {
    assert.deepEqual(oneEvent({ Records: [s3Record('ObjectCreated:Put', put)] }), {
      v: 1,
      kind: 'create',
      source: 'aws:s3',
      name: 'ObjectCreated:Put',
      bucket: 'photos',
      key: 'sea side/Café.jpg',
      versionId: 'v1',
      time: '2024-05-01T10:00:00.123Z',
      sequencer: '00636B4222CBA01ADB',
      etag: 'd41d8cd98f00b204e9800998ecf8427e',
      sizeBytes: 1024,
      isMultipart: false,
      requester: 'AWS:AIDAEXAMPLE',
      sourceIpAddress: '192.0.2.7',
      requestId: 'C3D13FE58DE4C810',
    })
  })

  const kinds: [string, ObjectEvent['kind'] | 'ignored'][] = [
    ['ObjectCreated:Put', 'create'],
    ['ObjectCreated:Post', 'create'],
    ['ObjectCreated:Copy', 'create'],
    ['ObjectCreated:CompleteMultipartUpload', 'create'],
    ['ObjectCreated:SomethingNew', 'create'],
    ['s3:ObjectCreated:PutTagging', 'update'],
    ['s3:ObjectCreated:DeleteTagging', 'update'],
    ['s3:ObjectCreated:PutRetention', 'update'],
    ['s3:ObjectCreated:PutLegalHold', 'update'],
    ['ObjectRemoved:Delete', 'delete'],
    ['s3:ObjectRemoved:DeleteObjects', 'delete'],
    ['ObjectRemoved:DeleteMarkerCreated', 'marker'],
    ['s3:ObjectRemoved:NoOP', 'ignored'],
    ['ObjectRemoved:SomethingNew', 'ignored'],
    ['ObjectRemoved:constructor', 'ignored'],
    ['LifecycleExpiration:Delete', 'delete'],
    ['LifecycleExpiration:DeleteMarkerCreated', 'marker'],
    ['s3:LifecycleDelMarkerExpiration:Delete', 'delete'],
    ['LifecycleTransition', 'update'],
    ['IntelligentTiering', 'update'],
    ['ObjectTagging:Put', 'update'],
    ['ObjectTagging:Delete', 'update'],
    ['ObjectAcl:Put', 'update'],
    ['ObjectRestore:Post', 'update'],
    ['ObjectRestore:Completed', 'update'],
    ['ObjectRestore:Delete', 'update'],
    ['s3:ObjectTransition:Complete', 'update'],
    ['s3:ObjectTransition:Failed', 'ignored'],
    ['Replication:OperationFailedReplication', 'ignored'],
    ['ReducedRedundancyLostObject', 'ignored'],
    ['s3:ObjectAccessed:Get', 'ignored'],
  ]
  for (const [name, kind] of kinds) {
    test(`${name} is ${kind}`, () => {
      const { events, ignored, problems } = read({ Records: [s3Record(name)] })
      const bare = name.replace('s3:', '')
      assert.deepEqual(problems, [])
      if (kind === 'ignored') assert.deepEqual([events, ignored], [[], [{ reason: 'event-name', name: bare }]])
      else assert.deepEqual([events[0]?.kind, events[0]?.name, ignored], [kind, bare, []])
    })
  }

  test('multipart uploads are told by the name or by the part count in the etag', () => {
    const multipart = (name: string, eTag: string) => oneEvent(s3Record(name, { eTag })).isMultipart
    assert.equal(multipart('ObjectCreated:CompleteMultipartUpload', 'd41d8cd98f00b204e9800998ecf8427e'), true)
    assert.equal(multipart('ObjectCreated:Copy', '30dcfd3901d1c613b7fb532281748544-2'), true)
    assert.equal(multipart('ObjectCreated:Copy', '30dcfd3901d1c613b7fb532281748544'), false)
    assert.equal(multipart('ObjectTagging:Put', '30dcfd3901d1c613b7fb532281748544-2'), undefined)
  })

  test('storage classes come from transitions, tiering and restores', () => {
    const classOf = (name: string, more: object) => oneEvent(s3Record(name, {}, more)).storageClass
    const transition = { lifecycleEventData: { transitionEventData: { destinationStorageClass: 'GLACIER' } } }
    const tiering = { intelligentTieringEventData: { destinationAccessTier: 'ARCHIVE_ACCESS' } }
    const restore = {
      glacierEventData: {
        restoreEventData: {
          lifecycleRestorationExpiryTime: '2024-05-09T00:00:00.000Z',
          lifecycleRestoreStorageClass: 'DEEP_ARCHIVE',
        },
      },
    }
    assert.equal(classOf('LifecycleTransition', transition), 'GLACIER')
    assert.equal(classOf('IntelligentTiering', tiering), 'INTELLIGENT_TIERING')
    assert.equal(classOf('ObjectRestore:Completed', restore), 'DEEP_ARCHIVE')
    assert.equal(classOf('ObjectCreated:Put', restore), undefined)
  })

  test('a removal has no size, whatever was sent', () => {
    assert.equal(oneEvent(s3Record('ObjectRemoved:Delete', { size: 9 })).sizeBytes, undefined)
    assert.equal(oneEvent(s3Record('ObjectRemoved:DeleteMarkerCreated', { size: 0 })).sizeBytes, undefined)
  })

  test('tags may be given by senders of one\u2019s own', () => {
    const tags = { Project: 'Africa', 'a b': 'ü' }
    assert.deepEqual(oneEvent(s3Record('ObjectTagging:Put', { tags })).tags, tags)
    assert.deepEqual(oneEvent(eventBridge('Object Tags Added', { tags })).tags, tags)
    assert.equal(read(s3Record('ObjectTagging:Put', { tags: { Project: 1 } })).problems[0]?.reason, 'invalid-field')
  })

  test('minor versions of the format and unknown members are accepted, other major versions are problems', () => {
    for (const eventVersion of ['2.0', '2.1', '2.3', '2.6', '2.17', '2']) {
      oneEvent({ Records: [s3Record('ObjectCreated:Put', { news: [] }, { eventVersion, extra: { a: 1 } })], more: 1 })
    }
    for (const eventVersion of ['3.0', '1.0', '20.1', '2.', 'two', 2.1, null]) {
      const { events, problems } = read({ Records: [s3Record('ObjectCreated:Put', {}, { eventVersion })] })
      assert.deepEqual([events, problems.map((problem) => problem.reason)], [[], ['event-version']])
    }
  })
})

describe('EventBridge', () => {
  test('a creation gives every field it carries, its key as it is', () => {
    const document = eventBridge(
      'Object Created',
      { size: 7, etag: 'b1946ac92492d2347c6235b4d2611184' },
      { reason: 'PutObject' },
    )
    assert.deepEqual(oneEvent(document), {
      v: 1,
      kind: 'create',
      source: 'aws.s3',
      name: 'Object Created:PutObject',
      bucket: 'photos',
      key: 'sea side/Café+1%.jpg',
      versionId: 'v1',
      time: '2024-05-01T10:00:00Z',
      sequencer: '00636B4222CBA01ADB',
      etag: 'b1946ac92492d2347c6235b4d2611184',
      sizeBytes: 7,
      isMultipart: false,
      requester: '111122223333',
      sourceIpAddress: '192.0.2.7',
      requestId: 'C3D13FE58DE4C810',
    })
  })

  test('the deletion type tells a delete from a marker', () => {
    const kindOf = (detail: object) => oneEvent(eventBridge('Object Deleted', {}, detail)).kind
    assert.equal(kindOf({ reason: 'DeleteObject', 'deletion-type': 'Permanently Deleted' }), 'delete')
    assert.equal(kindOf({ reason: 'DeleteObject', 'deletion-type': 'Delete Marker Created' }), 'marker')
    assert.equal(kindOf({ reason: 'Lifecycle Expiration', 'deletion-type': 'Permanently Deleted' }), 'delete')
    assert.equal(kindOf({ reason: 'Lifecycle Expiration', 'deletion-type': 'Delete Marker Created' }), 'marker')
    assert.equal(kindOf({}), 'delete')
    const { problems } = read(eventBridge('Object Deleted', {}, { 'deletion-type': 'Hidden' }))
    assert.equal(problems[0]?.reason, 'invalid-field')
  })

  const updates: [string, object, string | undefined][] = [
    ['Object Restore Initiated', { 'source-storage-class': 'GLACIER' }, 'GLACIER'],
    ['Object Restore Completed', { 'source-storage-class': 'GLACIER', 'restore-expiry-time': 'x' }, 'GLACIER'],
    ['Object Restore Expired', {}, undefined],
    ['Object Storage Class Changed', { 'destination-storage-class': 'STANDARD_IA' }, 'STANDARD_IA'],
    ['Object Access Tier Changed', { 'destination-access-tier': 'ARCHIVE_ACCESS' }, 'INTELLIGENT_TIERING'],
    ['Object ACL Updated', {}, undefined],
    ['Object Tags Added', {}, undefined],
    ['Object Tags Deleted', {}, undefined],
  ]
  for (const [type, detail, storageClass] of updates) {
    test(`${type} is an update${storageClass === undefined ? '' : ` to ${storageClass}`}`, () => {
      const event = oneEvent(eventBridge(type, {}, detail))
      assert.deepEqual([event.kind, event.name, event.storageClass], ['update', type, storageClass])
    })
  }

  test('a multipart upload is told by its reason', () => {
    const event = oneEvent(eventBridge('Object Created', {}, { reason: 'CompleteMultipartUpload' }))
    assert.equal(event.isMultipart, true)
  })

  test('events of other services and unknown types are counted', () => {
    const other = { ...eventBridge('EC2 Instance State-change Notification'), source: 'aws.ec2' }
    assert.deepEqual(read(other).ignored, [{ reason: 'event-source', name: 'aws.ec2' }])
    const call = eventBridge('AWS API Call via CloudTrail')
    assert.deepEqual(read(call).ignored, [{ reason: 'event-name', name: 'AWS API Call via CloudTrail' }])
  })

  test('keys from LocalStack, which encodes them here too, are decoded', () => {
    const object = { key: 'a%20b%2Bc.txt', sequencer: '0062E99A88DC407460' }
    assert.equal(oneEvent(eventBridge('Object Created', object, { requester: '074255357339' })).key, 'a b+c.txt')
    assert.equal(oneEvent(eventBridge('Object Created', object)).key, 'a%20b%2Bc.txt')
  })
})

describe('envelopes', () => {
  const s3 = { Records: [s3Record('ObjectCreated:Put', put)] }
  const bridge = eventBridge('Object Created', {}, { reason: 'PutObject' })
  const sns = (inside: unknown) => ({
    Type: 'Notification',
    MessageId: 'm',
    TopicArn: 'arn:aws:sns:eu-central-1:111122223333:t',
    Subject: 'Amazon S3 Notification',
    Message: JSON.stringify(inside),
    Timestamp: '2024-05-01T10:00:00.500Z',
  })
  const lambdaSqs = (...inside: unknown[]) => ({
    Records: inside.map((one) => ({ messageId: 'm', eventSource: 'aws:sqs', body: JSON.stringify(one) })),
  })
  const received = (...inside: unknown[]) => ({
    Messages: inside.map((one) => ({ MessageId: 'm', ReceiptHandle: 'h', Body: JSON.stringify(one) })),
  })
  const lambdaSns = (inside: unknown) => ({
    Records: [{ EventSource: 'aws:sns', EventVersion: '1.0', Sns: sns(inside) }],
  })

  const wraps: [string, (inside: unknown) => unknown][] = [
    ['nothing', (inside) => inside],
    ['an array', (inside) => [inside]],
    ['an SQS event of Lambda', (inside) => lambdaSqs(inside)],
    ['an answer of SQS', (inside) => received(inside)],
    ['one SQS message', (inside) => received(inside).Messages[0]],
    ['SNS', sns],
    ['an SNS event of Lambda', lambdaSns],
    ['SNS in an SQS event', (inside) => lambdaSqs(sns(inside))],
    ['SNS in an answer of SQS', (inside) => received(sns(inside))],
  ]
  for (const [name, wrap] of wraps) {
    test(`an event in ${name} is the event itself`, () => {
      assert.deepEqual(oneEvent(wrap(s3)), oneEvent(s3))
      assert.deepEqual(oneEvent(wrap(bridge)), oneEvent(bridge))
      assert.deepEqual(oneEvent(wrap(s3.Records[0])), oneEvent(s3))
    })
    test(`a test event in ${name} is counted`, () => {
      const event = { Service: 'Amazon S3', Event: 's3:TestEvent', Time: '2014-10-13T15:57:02.089Z', Bucket: 'photos' }
      const ignored = [{ reason: 'test-event', name: 's3:TestEvent' }]
      assert.deepEqual(read(wrap(event)), { events: [], problems: [], ignored })
    })
  }

  test('several kinds of record side by side are all read, in order', () => {
    const mixed = { Records: [s3.Records[0], ...lambdaSqs(bridge, s3).Records, ...lambdaSns(s3).Records] }
    assert.deepEqual(
      read(mixed).events.map((event) => event.source),
      ['aws:s3', 'aws.s3', 'aws:s3', 'aws:s3'],
    )
  })

  test('a document without records is counted, not refused', () => {
    for (const document of [{ Records: [] }, { Records: null }, { Messages: [] }, []]) {
      const { events, problems, ignored } = read(document)
      assert.deepEqual([events, problems, ignored.length, ignored[0]?.reason], [[], [], 1, 'no-records'])
    }
  })

  test('requests of SNS to confirm a subscription are counted', () => {
    const request = { ...sns({}), Type: 'SubscriptionConfirmation', SubscribeURL: 'https://sns.example/' }
    assert.deepEqual(read(request).ignored, [{ reason: 'subscription', name: 'SubscriptionConfirmation' }])
  })

  test('a byte order mark before the document is dropped', () => {
    assert.equal(readNotification(`\ufeff${JSON.stringify(s3)}`).events.length, 1)
  })
})

describe('what cannot be read', () => {
  const good = JSON.stringify(s3Record('ObjectCreated:Put', put))

  test('one bad record leaves the others alone and comes back in the sender\u2019s own bytes', () => {
    const bad =
      '{ "eventName" : "ObjectCreated:Put", "eventVersion":"2.1", "big": 12345678901234567890, "a":"\\u00e9" }'
    const { events, problems } = readNotification(`{"Records": [${good} , ${bad}, 7, ${good}]}`)
    assert.equal(events.length, 2)
    assert.deepEqual(
      problems.map(({ reason, payload, encoding }) => ({ reason, payload, encoding })),
      [
        { reason: 'missing-field', payload: bad, encoding: 'text' },
        { reason: 'unknown-envelope', payload: '7', encoding: 'text' },
      ],
    )
    assert.match(problems[0]!.message, /^Records\[1\]: expected text in eventSource, got nothing$/)
    assert.equal(problems[0]!.sizeBytes, Buffer.byteLength(bad))
    assert.equal(problems[0]!.sha256, createHash('sha256').update(bad).digest('hex'))
  })

  test('what a problem carries is a document again, once its cause is gone', () => {
    const { problems } = read({
      Records: [{ body: JSON.stringify({ Records: [s3Record('ObjectCreated:Put', { key: '' })] }) }],
    })
    assert.match(problems[0]!.message, /^Records\[0\]\.body: Records\[0\]: expected a key/)
    const mended = problems[0]!.payload.replace('"key":""', '"key":"found.jpg"')
    assert.equal(readNotification(mended).events[0]?.key, 'found.jpg')
  })

  test('a bad message in a batch leaves the others alone', () => {
    const batch = { Records: [{ body: 'hello' }, { body: good }, { body: '' }, { body: '{"x":1}' }] }
    const { events, problems } = read(batch)
    assert.equal(events.length, 1)
    assert.deepEqual(
      problems.map(({ reason, payload }) => [reason, payload]),
      [
        ['not-json', 'hello'],
        ['missing-field', '{"body":""}'],
        ['unknown-envelope', '{"x":1}'],
      ],
    )
  })

  const refused: [string, object, string][] = [
    ['an empty key', { key: '' }, 'key'],
    ['no key', { key: undefined }, 'missing-field'],
    ['a key that is a number', { key: 5 }, 'missing-field'],
    ['a percent sign without digits', { key: '100%' }, 'key'],
    ['bytes that are not UTF-8', { key: '%FF' }, 'key'],
    ['half a surrogate pair', { key: '\ud83d' }, 'key'],
    ['a key that is too long', { key: 'k'.repeat(limits.objectKeyBytesMax + 1) }, 'key'],
    ['a negative size', { size: -1 }, 'invalid-field'],
    ['a broken size', { size: 1.5 }, 'invalid-field'],
    ['a version id that is a number', { versionId: 7 }, 'invalid-field'],
  ]
  for (const [name, object, reason] of refused) {
    test(`${name} is a problem (${reason})`, () => {
      const { events, problems } = read({ Records: [s3Record('ObjectCreated:Put', object)] })
      assert.deepEqual([events, problems.map((problem) => problem.reason)], [[], [reason]])
    })
  }

  test('what MinIO made is as old as its sequencer says, in microseconds: it tells of it later, and of two in any order', () => {
    const timeOf = (name: string, sequencer: string, eventSource = 'minio:s3') =>
      oneEvent(s3Record(name, { sequencer }, { eventSource, eventTime: '2026-11-20T15:00:52.197Z' })).time
    assert.equal(timeOf('s3:ObjectCreated:Put', '18E9C8EE468FAA42'), '2026-11-20T15:00:52.195445Z')
    assert.equal(timeOf('s3:ObjectRemoved:DeleteMarkerCreated', '18E9C8EE468FAA42'), '2026-11-20T15:00:52.195445Z')
    // Removals and changes of tags may come with the sequencer of what they are about.
    assert.equal(timeOf('s3:ObjectRemoved:Delete', '18E9C8EE468FAA42'), '2026-11-20T15:00:52.197Z')
    assert.equal(timeOf('s3:ObjectCreated:PutTagging', '18E9C8EE468FAA42'), '2026-11-20T15:00:52.197Z')
    for (const sequencer of ['0055AED6DCD90281E5', '18E9C8EE468FAA4', 'F8E9C8EE468FAA42', 'none'])
      assert.equal(timeOf('s3:ObjectCreated:Put', sequencer), '2026-11-20T15:00:52.197Z')
    assert.equal(timeOf('ObjectCreated:Put', '18E9C8EE468FAA42', 'aws:s3'), '2026-11-20T15:00:52.197Z')
  })

  test('times must be real and have a zone; they come out in UTC with microseconds at most', () => {
    const timeOf = (eventTime: unknown) => {
      const { events, problems } = read(s3Record('ObjectCreated:Put', {}, { eventTime }))
      return events[0]?.time ?? problems[0]?.reason
    }
    assert.equal(timeOf('2024-02-29T23:59:59Z'), '2024-02-29T23:59:59Z')
    assert.equal(timeOf('2019-11-22T13:47:35.124724Z'), '2019-11-22T13:47:35.124724Z')
    assert.equal(timeOf('2019-11-22T13:47:35.124724999Z'), '2019-11-22T13:47:35.124724Z')
    assert.equal(timeOf('2024-01-01T01:30:00.5+02:00'), '2023-12-31T23:30:00.5Z')
    assert.equal(timeOf('2024-01-01T01:30:00-0130'), '2024-01-01T03:00:00Z')
    const wrong = [
      '2023-02-29T00:00:00Z',
      '2024-01-01T24:00:01Z',
      '2024-01-01T00:00:00',
      '2024-01-01',
      'now',
      1714557600,
    ]
    for (const time of wrong) assert.equal(timeOf(time), 'invalid-field', String(time))
    assert.equal(timeOf(undefined), 'missing-field')
  })

  test('every way to write the null version is one', () => {
    for (const versionId of [undefined, null, '', 'null']) {
      assert.equal(oneEvent(s3Record('ObjectCreated:Put', { versionId })).versionId, NULL_VERSION)
      assert.equal(oneEvent(eventBridge('Object Created', { 'version-id': versionId })).versionId, NULL_VERSION)
    }
  })

  test('etags lose their quotes, also weak ones, in both spellings', () => {
    assert.equal(oneEvent(s3Record('ObjectCreated:Put', { eTag: '"abc"' })).etag, 'abc')
    assert.equal(oneEvent(s3Record('ObjectCreated:Put', { etag: 'W/"abc"' })).etag, 'abc')
    assert.equal(oneEvent(eventBridge('Object Created', { eTag: '"abc"' })).etag, 'abc')
    assert.equal(oneEvent(eventBridge('Object Created', { etag: 'abc' })).etag, 'abc')
  })

  test('sizes may be digits in text', () => {
    assert.equal(oneEvent(s3Record('ObjectCreated:Put', { size: '5242884' })).sizeBytes, 5242884)
  })

  test('JSON of other shapes is a problem, never an exception', () => {
    for (const text of [
      '',
      '{',
      'null',
      '7',
      '"x"',
      '{}',
      '{"Records":{}}',
      '{"Records":[null]}',
      '{"Records":[[{}]]}',
    ]) {
      const { events, problems } = readNotification(text)
      assert.deepEqual([events.length, problems.length], [0, 1], text)
    }
  })
})

describe('bounds', () => {
  test('a document that is too large is a problem that carries its beginning', () => {
    const text = `{"Records":[],"x":"${'é'.repeat(limits.notificationBytesMax / 2)}"}`
    const { problems } = readNotification(text)
    assert.equal(problems[0]?.reason, 'too-large')
    assert.equal(problems[0]?.sizeBytes, Buffer.byteLength(text))
    const kept = Buffer.byteLength(problems[0]!.payload)
    assert.ok(kept <= limits.deadLetterPayloadBytesMax && kept > limits.deadLetterPayloadBytesMax - 4)
    assert.ok(text.startsWith(problems[0]!.payload))
  })

  test('too many records are one problem', () => {
    const records = `[${'{},'.repeat(limits.notificationRecordsMax)}{}]`
    assert.deepEqual(
      readNotification(`{"Records":${records}}`).problems.map((problem) => problem.reason),
      ['too-many'],
    )
  })

  test('records in several messages count together', () => {
    const body = JSON.stringify({ Records: Array(limits.notificationRecordsMax / 2).fill(0) })
    const { problems } = read({ Messages: [{ Body: body }, { Body: body }, { Body: body }] })
    assert.equal(problems.filter((problem) => problem.reason === 'too-many').length, 1)
    assert.equal(problems.length, limits.notificationRecordsMax + 1)
  })

  test('envelopes in envelopes without end are a problem', () => {
    let document: unknown = s3Record('ObjectCreated:Put')
    for (let depth = 0; depth < limits.notificationEnvelopesMax; depth++) document = { body: JSON.stringify(document) }
    assert.equal(read(document).events.length, 1)
    assert.equal(read({ body: JSON.stringify(document) }).problems[0]?.reason, 'too-deep')
  })

  test('values nested without end are a problem, not an exhausted stack', () => {
    const deep = '['.repeat(500_000) + ']'.repeat(500_000)
    assert.equal(readNotification(deep).problems[0]?.reason, 'too-deep')
    const inRecord = readNotification(`{"Records":[{"eventName":${deep}}]}`)
    assert.deepEqual([inRecord.problems[0]?.reason, inRecord.problems[0]?.sizeBytes], ['missing-field', 1_000_014])
  })
})

test('a document of nothing but bad records costs no more than its length', () => {
  const record = JSON.stringify(s3Record('ObjectCreated:Put', { key: '' }))
  const text = `{"Records":[${Array(limits.notificationRecordsMax).fill(record).join(',')}]}`
  const startMs = performance.now()
  const { problems } = readNotification(text)
  const tookMs = performance.now() - startMs
  assert.equal(problems.length, limits.notificationRecordsMax)
  assert.equal(problems.at(-1)?.payload, record)
  // Linear work takes a second at most on a slow machine; looking for each from the start would take minutes.
  assert.ok(tookMs < 20_000, `took ${tookMs} ms`)
})

describe('properties', () => {
  const key = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 200 }).filter((text) => text.isWellFormed())
  /** As Go's url.QueryEscape and Python's quote_plus write it. */
  const queryEncoded = (text: string) =>
    encodeURIComponent(text)
      .replace(/[!'()*~]/g, (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`)
      .replaceAll('%20', '+')

  test('any key comes through each envelope as it was', () => {
    fc.assert(
      fc.property(key, (text) => {
        const encoded = { key: queryEncoded(text) }
        assert.equal(oneEvent({ Records: [s3Record('ObjectCreated:Put', encoded)] }).key, text)
        const minio = s3Record('s3:ObjectCreated:Put', encoded, { eventSource: 'minio:s3', eventVersion: '2.0' })
        assert.equal(oneEvent({ EventName: 's3:ObjectCreated:Put', Key: `b/${text}`, Records: [minio] }).key, text)
        assert.equal(oneEvent({ Records: [s3Record('s3:ObjectCreated:Put', { key: text })] }).key, text)
        assert.equal(oneEvent(eventBridge('Object Created', { key: text })).key, text)
        const localStack = { key: encodeURIComponent(text), sequencer: '0062E99A88DC407460' }
        assert.equal(oneEvent(eventBridge('Object Created', localStack, { requester: '074255357339' })).key, text)
      }),
      { numRuns: 500 },
    )
  })

  test('any JSON gives a result, in which nothing is counted twice or lost', () => {
    const shapes = fc.letrec((tie) => ({
      value: fc.oneof(
        { depthSize: 'small' },
        fc.constantFrom<unknown>(null, 1, '', 'x', true),
        fc.constant<unknown>(s3Record('ObjectCreated:Put')),
        fc.constant<unknown>(eventBridge('Object Created')),
        fc.record(
          {
            Records: tie('list'),
            Messages: tie('list'),
            body: fc.oneof(fc.string(), tie('text')),
            Body: tie('text'),
            Type: fc.constantFrom('Notification', 'SubscriptionConfirmation', 'x'),
            Message: tie('text'),
            s3: fc.oneof(tie('value'), fc.json()),
            eventName: fc.oneof(fc.constant('ObjectCreated:Put'), fc.string()),
            eventVersion: fc.constantFrom('2.1', '3.0'),
            'detail-type': fc.constantFrom('Object Created', 'Object Deleted', 'x'),
            detail: tie('value'),
          },
          { requiredKeys: [] },
        ),
      ),
      list: fc.array(tie('value'), { maxLength: 4 }),
      text: tie('value').map((value) => JSON.stringify(value)),
    }))
    fc.assert(
      fc.property(shapes.value, (value) => {
        const { events, problems, ignored } = read(value)
        assert.ok(events.length + problems.length + ignored.length > 0)
        for (const problem of problems) assert.ok(problem.message.length > 0 && problem.encoding === 'text')
      }),
      { numRuns: 1000 },
    )
  })
})
