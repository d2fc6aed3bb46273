/** The client against a server that speaks the service's protocol: what it sends, what it takes, what it makes of each error. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { contract, FakeRekognition } from '../../../../test/support/fake-rekognition.ts'
import { type LabelClient, type LabelImage, LabelTrouble } from './labels.ts'
import { openRekognition } from './rekognition.ts'

let service: FakeRekognition
let client: LabelClient
const JPEG = Buffer.from('/9j/2w==', 'base64')
const byBytes: LabelImage = { kind: 'bytes', bytes: JPEG }

before(async () => {
  service = await FakeRekognition.start()
  client = await openRekognition({ region: 'eu-west-1', endpoint: service.url, maxLabels: 3, minConfidence: 55 })
})
after(async () => {
  client.close()
  await service.close()
})

test('a picture is sent by name, by name and version, or as bytes, in the shape of the operation', async () => {
  const more = await openRekognition({ region: 'eu-west-1', endpoint: service.url, maxLabels: 10, minConfidence: 72.5 })
  service.objects.set('photos/trips/été 1.jpg', JPEG)
  service.objects.set('photos/a.png@3HL4kqtJvjVBH40Nrjfkd', JPEG)
  const { byName, byVersion, byBytes: bytes } = contract.requests
  await client.detect({ kind: 's3', bucket: 'photos', key: 'trips/été 1.jpg' })
  await more.detect({ kind: 's3', bucket: 'photos', key: 'a.png', versionId: '3HL4kqtJvjVBH40Nrjfkd' })
  await client.detect(byBytes)
  assert.deepEqual(service.requests.slice(-3), [byName, byVersion, bytes])
  more.close()
})

test('label objects are kept whole, as many as were asked for, with the version of the model', async () => {
  assert.deepEqual(await client.detect(byBytes), {
    labels: contract.response.Labels,
    label_model: { by: 'rekognition', version: '3.0' },
  })
  const one = await openRekognition({ region: 'eu-west-1', endpoint: service.url, maxLabels: 1, minConfidence: 55 })
  assert.equal((await one.detect(byBytes)).labels.length, 1)
  one.close()
})

const WAYS: Record<string, [LabelTrouble['kind'], LabelTrouble['fault']]> = {
  InvalidImageFormatException: ['final', 'invalid'],
  ImageTooLargeException: ['final', 'limit'],
  InvalidParameterException: ['final', 'invalid'],
  InvalidS3ObjectException: ['unreadable', 'unavailable'],
  ThrottlingException: ['throttled', 'unavailable'],
  ProvisionedThroughputExceededException: ['throttled', 'unavailable'],
  InternalServerError: ['passing', 'unavailable'],
  AccessDeniedException: ['refused', 'unavailable'],
}

for (const { type } of contract.errors) {
  test(`${type} is told as what it means, after one call`, async () => {
    service.failing.push({ type })
    const before = service.requests.length
    await assert.rejects(client.detect(byBytes), (error) => {
      assert.ok(error instanceof LabelTrouble)
      assert.deepEqual([error.kind, error.fault], WAYS[type])
      assert.match(error.message, new RegExp(type))
      return true
    })
    assert.equal(service.requests.length, before + 1)
  })
}

test('a connection that is lost, and a server that is not there, may pass', async () => {
  service.failing.push('cut')
  const passing = (error: unknown) => error instanceof LabelTrouble && error.kind === 'passing'
  await assert.rejects(client.detect(byBytes), passing)
  const nowhere = await openRekognition({
    region: 'eu-west-1',
    endpoint: 'http://127.0.0.1:9',
    maxLabels: 3,
    minConfidence: 55,
  })
  await assert.rejects(nowhere.detect(byBytes), passing)
  nowhere.close()
})

test('an object that cannot be read says what would have to be so', async () => {
  await assert.rejects(
    client.detect({ kind: 's3', bucket: 'photos', key: 'none.jpg' }),
    (error) =>
      error instanceof LabelTrouble && error.kind === 'unreadable' && /s3:GetObject on photos/.test(error.message),
  )
})
