import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { FakeS3 } from '../../test/support/fake-s3.ts'
import { clientOf } from './s3-client.ts'
import type { S3Connection } from './s3-connection.ts'
import { getObject } from './s3-get.ts'

/** The SDK's middleware leaves this on every request. */
const OF_SDK = 'amz-sdk-invocation-id'

interface Asked {
  protocol: string
  hostname: string
  path: string
  query: Record<string, string>
  headers: Record<string, string>
}

const { signal } = new AbortController()

/** AWS as nobody reaches it: what it is asked, answered by an empty object. */
async function askedOfAws(connection: Partial<S3Connection>, input: Parameters<typeof getObject>[1]): Promise<Asked[]> {
  const loaded = await clientOf({
    region: 'eu-central-1',
    credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret', sessionToken: 'a session' },
    pathStyle: false,
    anonymous: false,
    literalSecret: true,
    ...connection,
  })
  const asked: Asked[] = []
  const answer = { statusCode: 200, headers: { 'content-length': '0', etag: '"e"' }, body: Readable.from([]) }
  const handle = async (request: Asked) => {
    asked.push(request)
    return { response: answer }
  }
  Object.assign(loaded.client.config, { requestHandler: { handle } })
  const { head } = await getObject(loaded, input, signal)
  assert.equal(head.ContentLength, 0)
  return asked
}

test('a bucket of AWS is asked at its own host, signed for its region, with the session', async () => {
  const input = { Bucket: 'photos', Key: "a b/ü+(1)!*'.gif", VersionId: 'v/1', Range: 'bytes=0-9', IfMatch: '"e"' }
  const [asked, ...more] = await askedOfAws({}, input)
  assert.ok(asked !== undefined && more.length === 0)
  assert.equal(`${asked.protocol}//${asked.hostname}`, 'https://photos.s3.eu-central-1.amazonaws.com')
  assert.equal(asked.path, '/a%20b/%C3%BC%2B%281%29%21%2A%27.gif')
  assert.equal(asked.query['versionId'], 'v/1')
  assert.deepEqual([asked.headers['range'], asked.headers['if-match']], ['bytes=0-9', '"e"'])
  assert.match(
    asked.headers['authorization'] ?? '',
    /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d{8}\/eu-central-1\/s3\/aws4_request, /,
  )
  assert.equal(asked.headers['x-amz-security-token'], 'a session')
  assert.equal(asked.headers[OF_SDK], undefined)
})

test('an anonymous connection signs nothing', async () => {
  const [asked] = await askedOfAws({ anonymous: true }, { Bucket: 'open', Key: 'k' })
  assert.equal(asked?.hostname, 'open.s3.eu-central-1.amazonaws.com')
  assert.equal(asked?.headers['authorization'], undefined)
})

test('a bucket that is asked in another way is left to the SDK', async () => {
  const arn = 'arn:aws:s3-outposts:eu-central-1:123456789012:outpost/op-01234567890123456/accesspoint/reports'
  const [asked] = await askedOfAws({}, { Bucket: arn, Key: 'k' })
  assert.match(asked?.headers['authorization'] ?? '', /\/eu-central-1\/s3-outposts\/aws4_request/)
  assert.notEqual(asked?.headers[OF_SDK], undefined)
})

test('what the SDK has a remedy for it asks again, and what is asked next goes past it again', async () => {
  const fake = await FakeS3.start()
  try {
    fake.objects.set('/b/k', { bytes: Buffer.from('bytes'), metadata: { 'x-amz-meta-by': 'Grace' } })
    const loaded = await clientOf(fake.connection)
    const get = async () => {
      const { head, body } = await getObject(loaded, { Bucket: 'b', Key: 'k' }, signal)
      const chunks = await Array.fromAsync(body ?? [])
      return [Buffer.concat(chunks).toString(), head.Metadata]
    }
    const right = ['bytes', { by: 'Grace' }]
    assert.deepEqual(await get(), right)
    let isOver = false
    fake.trouble = () => {
      if (isOver) return null
      isOver = true
      return { kind: 'error', status: 400, code: 'AuthorizationHeaderMalformed' }
    }
    assert.deepEqual(await get(), right)
    assert.deepEqual(await get(), right)
    assert.deepEqual(
      fake.seen.map(({ headers }) => headers[OF_SDK] !== undefined),
      [false, false, true, false],
    )
  } finally {
    await fake.close()
  }
})
