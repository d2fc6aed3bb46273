import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { NULL_VERSION, type ObjectEvent } from '../change/object-event.ts'
import { readNotification } from './source.ts'

interface Recorded {
  case: string
  bucket: string
  key: string
  facts: {
    ETag?: string | null
    size?: number
    VersionId?: string
    Deleted?: { Key: string; VersionId?: string; DeleteMarkerVersionId?: string }[]
  }
  body: string
}

function recorded(name: string): Recorded[] {
  const text = readFileSync(new URL(`../../test/golden/payloads/${name}.jsonl`, import.meta.url), 'utf8')
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Recorded)
}

/** The one event in a recorded message. */
function eventIn(message: Recorded): ObjectEvent {
  const read = readNotification(message.body)
  assert.deepEqual({ problems: read.problems, ignored: read.ignored }, { problems: [], ignored: [] }, message.case)
  assert.equal(read.events.length, 1, message.case)
  return read.events[0]!
}

/** What every recorded event must agree with, whoever sent it. */
function checkTruth(event: ObjectEvent, { case: name, bucket, key, facts }: Recorded): void {
  assert.equal(event.bucket, bucket, name)
  const keys = facts.Deleted?.map((deleted) => deleted.Key) ?? [key]
  assert.ok(keys.includes(event.key), `${name}: ${event.key} is one of ${keys}`)
  assert.match(event.time, /^2026-11-20T15:\d\d:\d\d(\.\d{3}|\.\d{6})?Z$/, name)
  if (event.kind === 'create') {
    if (facts.ETag) assert.equal(event.etag, facts.ETag.replaceAll('"', ''), name)
    assert.equal(event.isMultipart, /multipart/.test(name), name)
    if (event.sizeBytes !== undefined && facts.size !== undefined) assert.equal(event.sizeBytes, facts.size, name)
  }
  if (event.kind === 'delete' || event.kind === 'marker') assert.equal(event.sizeBytes, undefined, name)
}

/** `create 42, ignored event-name 1, …`: how many of each came out of a file. */
function tally(name: string): string {
  const counts = new Map<string, number>()
  for (const { body } of recorded(name)) {
    const read = readNotification(body)
    const words = [
      ...read.events.map((event) => event.kind),
      ...read.ignored.map((ignored) => `ignored ${ignored.reason}`),
      ...read.problems.map((problem) => `problem ${problem.reason}`),
    ]
    for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1)
  }
  return [...counts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([word, count]) => `${word} ${count}`)
    .join(', ')
}

describe('messages recorded from MinIO', () => {
  for (const name of ['minio-webhook', 'minio-kafka']) {
    test(`${name}: every message but the delete of nothing gives its event, with the true key`, () => {
      for (const message of recorded(name)) {
        if (message.case === 'delete-missing') continue
        const event = eventIn(message)
        checkTruth(event, message)
        assert.equal(event.source, 'minio:s3')
        assert.match(event.sequencer!, /^[0-9A-F]{16}$/)
        // Nobody signs a form.
        assert.equal(event.requester, message.case === 'post-form' ? undefined : 'minioadmin')
        assert.equal(event.sourceIpAddress, '127.0.0.1')
        if (event.kind === 'create') assert.ok(event.sizeBytes !== undefined && event.contentType !== undefined)
      }
    })
  }

  test('nothing is lost on the way', () => {
    assert.equal(tally('minio-webhook'), 'create 37, delete 8, ignored event-name 1, marker 5, update 3')
    assert.equal(tally('minio-kafka'), 'create 5, delete 1')
  })

  test('a size that MinIO leaves out is 0', () => {
    const message = recorded('minio-webhook').find((one) => one.case === 'put-empty')!
    assert.equal(eventIn(message).sizeBytes, 0)
  })

  test('user metadata loses its prefix and the content type is not one of it', () => {
    const message = recorded('minio-webhook').find((one) => one.case === 'put-metadata')!
    const event = eventIn(message)
    assert.deepEqual(event.userMetadata, { author: 'Ada Lovelace', note: 'a+b=c %25' })
    assert.equal(event.contentType, 'image/jpeg')
    assert.equal(eventIn(recorded('minio-webhook')[0]!).userMetadata, undefined)
  })

  test('tagging is an update, though MinIO calls it a creation', () => {
    const messages = recorded('minio-webhook').filter((one) => one.case.includes('tagging'))
    assert.deepEqual(
      messages.map((message) => [eventIn(message).kind, eventIn(message).name]),
      [
        ['update', 'ObjectCreated:PutTagging'],
        ['update', 'ObjectCreated:DeleteTagging'],
        ['update', 'ObjectCreated:PutTagging'],
      ],
    )
  })

  test('version ids are those that the calls answered, and the null version has one name', () => {
    for (const message of recorded('minio-webhook')) {
      if (message.case === 'delete-missing' || message.facts.Deleted) continue
      assert.equal(eventIn(message).versionId, message.facts.VersionId ?? NULL_VERSION, message.case)
    }
    const many = recorded('minio-webhook').filter((one) => one.case === 'versions-delete-many-mixed')
    for (const message of many) {
      const event = eventIn(message)
      const { VersionId, DeleteMarkerVersionId } = message.facts.Deleted!.find((one) => one.Key === event.key)!
      assert.equal(event.versionId, VersionId ?? DeleteMarkerVersionId)
      assert.equal(event.kind, VersionId === undefined ? 'marker' : 'delete')
    }
  })
})

describe('messages recorded from versitygw', () => {
  test('every message but the one without a key gives its event, with the true key', () => {
    for (const message of recorded('versitygw-webhook')) {
      if (message.case === 'post-form') continue
      const event = eventIn(message)
      checkTruth(event, message)
      assert.equal(event.source, 'versitygw:s3')
      assert.match(event.sequencer!, /^[0-9A-F]+$/)
      assert.equal(event.requester, 'minioadmin')
      assert.equal(event.requestId, undefined)
      assert.equal(event.storageClass, undefined)
    }
  })

  test('an empty key is a problem that carries the record', () => {
    const message = recorded('versitygw-webhook').find((one) => one.case === 'post-form')!
    const { events, problems } = readNotification(message.body)
    assert.deepEqual(events, [])
    assert.equal(problems.length, 1)
    assert.equal(problems[0]!.reason, 'key')
    assert.equal(`{"Records":[${problems[0]!.payload}]}`, message.body)
  })

  test('nothing is lost on the way', () => {
    assert.equal(tally('versitygw-webhook'), 'create 37, delete 14, problem key 1, update 3')
  })

  test('sizes of copies and multipart uploads, always sent as 0, are unknown; those of puts are right', () => {
    for (const message of recorded('versitygw-webhook')) {
      if (message.case === 'post-form') continue
      const { kind, name, sizeBytes } = eventIn(message)
      if (kind !== 'create') continue
      assert.equal(sizeBytes === undefined, name !== 'ObjectCreated:Put', message.case)
    }
  })
})

describe('messages recorded from moto', () => {
  const files = ['moto-s3-sqs', 'moto-s3-sns-sqs', 'moto-s3-sns-sqs-raw', 'moto-s3-eventbridge-sqs']
  for (const name of files) {
    test(`${name}: every message gives its event, with the true key`, () => {
      for (const message of recorded(name)) {
        if (message.case === 'configuring') continue
        const event = eventIn(message)
        assert.equal(event.bucket, message.bucket)
        assert.equal(event.source, name.includes('eventbridge') ? 'aws.s3' : 'aws:s3')
        checkTruth(event, message)
        if (event.kind === 'create') assert.ok(event.sizeBytes !== undefined && event.etag !== undefined)
      }
    })
  }

  test('nothing is lost on the way, and test events are counted', () => {
    const kinds = 'create 41, delete 5'
    for (const name of files.slice(0, 3)) assert.equal(tally(name), `${kinds}, ignored test-event 2, update 38`)
    assert.equal(tally('moto-s3-eventbridge-sqs'), `${kinds}, update 38`)
  })

  test('the three ways over SQS tell the same', () => {
    const told = files.slice(0, 3).map((name) =>
      recorded(name)
        .flatMap((message) => readNotification(message.body).events)
        .map(({ kind, key, etag, sizeBytes, name: eventName }) => ({ kind, key, etag, sizeBytes, eventName })),
    )
    assert.deepEqual(told[1], told[0])
    assert.deepEqual(told[2], told[0])
  })

  test('EventBridge names carry the reason, version ids are kept', () => {
    const events = recorded('moto-s3-eventbridge-sqs').map((message) => ({ message, event: eventIn(message) }))
    assert.equal(events[0]!.event.name, 'Object Created:ObjectCreated')
    for (const { message, event } of events) {
      const isVersionPut = event.kind === 'create' && message.case.startsWith('versions-')
      if (isVersionPut) assert.equal(event.versionId, message.facts.VersionId ?? NULL_VERSION, message.case)
    }
  })
})
