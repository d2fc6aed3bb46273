/**
 * AWS's own clients against a running server, by endpoint override and with signatures: boto3, the AWS CLI and the SDK for
 * JavaScript. Each makes a stream, sends, is refused, changes and removes; the rows are there, once, also across a restart.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import {
  CreateDeliveryStreamCommand,
  DeleteDeliveryStreamCommand,
  DescribeDeliveryStreamCommand,
  FirehoseClient,
  InvalidArgumentException,
  ListDeliveryStreamsCommand,
  PutRecordBatchCommand,
  PutRecordCommand,
  ResourceNotFoundException,
  ServiceUnavailableException,
} from '@aws-sdk/client-firehose'
import { inTempDir, sqlRows } from '../support/cli.ts'

const run = promisify(execFile)
const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const engines = path.join(import.meta.dirname, 'engines')
const KEY = { id: 'interop', secret: 'secret-of-the-interop-suite' }
const installMs = 10 * 60_000
const clientMs = 120_000

interface Running {
  child: ChildProcess
  url: string
}

function start(home: string, keys = `${KEY.id} ${KEY.secret} admin`): Promise<Running> {
  const child = spawn(process.execPath, [MAIN, 'start', '--home', home, '--port', '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, TIDEWATER_API_KEYS: keys },
  })
  return new Promise((done, fail) => {
    child.once('exit', (code) => fail(new Error(`the server ended with ${code} before it took requests`)))
    createInterface({ input: child.stdout! }).once('line', (line) => {
      child.removeAllListeners('exit')
      done({ child, url: line.replace(/^.* on /, '') })
    })
  })
}

async function stop({ child }: Running): Promise<void> {
  const gone = new Promise<number | null>((done) => child.once('exit', (code) => done(code)))
  child.kill('SIGTERM')
  assert.equal(await gone, 0)
}

/** The folder that holds the clients, installed once. */
async function installed(): Promise<string> {
  const { stdout } = await run(path.join(engines, 'install.sh'), ['aws'], { timeout: installMs })
  return stdout.trim().split('\n').at(-1) ?? ''
}

const environment = (more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv => ({
  ...process.env,
  AWS_ACCESS_KEY_ID: KEY.id,
  AWS_SECRET_ACCESS_KEY: KEY.secret,
  AWS_DEFAULT_REGION: 'us-east-1',
  AWS_EC2_METADATA_DISABLED: 'true',
  AWS_CONFIG_FILE: '/dev/null',
  AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
  ...more,
})

const client = (url: string, secret = KEY.secret, maxAttempts = 3) =>
  new FirehoseClient({
    endpoint: url,
    maxAttempts,
    region: 'us-west-2',
    credentials: { accessKeyId: KEY.id, secretAccessKey: secret },
  })

const bytes = (value: unknown) => Buffer.from(JSON.stringify(value))

/** The table is not there: the first records make it. */
async function withHome(work: (home: string, dir: string) => Promise<void>): Promise<void> {
  await inTempDir((dir) => work(path.join(dir, 'home'), dir))
}

const rowsOf = (home: string) =>
  sqlRows(home, 'SELECT client, count(*) AS n, count(DISTINCT id) AS ids FROM demo.clients GROUP BY client')

test('boto3 makes a stream, sends, is refused, changes it and tags it, and a restart changes nothing', async () => {
  const folder = await installed()
  await withHome(async (home) => {
    let server = await start(home)
    try {
      const { stdout } = await run(
        path.join(folder, 'boto3/bin/python'),
        [path.join(engines, 'firehose_client.py'), server.url, 'py', 'clients'],
        { env: environment(), timeout: clientMs },
      )
      assert.deepEqual(JSON.parse(stdout), {
        created: 'arn:aws:firehose:eu-central-1:000000000000:deliverystream/py',
        again: 'ResourceInUseException',
        one: '00000000000000000000',
        failed: 0,
        last: 'dead-letter-',
        large: 'ValidationException',
        many: 'ValidationException',
        none: 'ResourceNotFoundException',
        status: 'ACTIVE',
        stale: 'ConcurrentModificationException',
        hints: { SizeInMBs: 2, IntervalInSeconds: 1 },
        bucket: 'arn:aws:s3:::errors',
        tags: [{ Key: 'cost', Value: '1' }],
        encryption: 'ENABLED',
        listed: true,
        stranger: 'UnrecognizedClientException',
      })
      await stop(server)
      server = await start(home)
      const { DeliveryStreamDescription } = await client(server.url).send(
        new DescribeDeliveryStreamCommand({ DeliveryStreamName: 'py' }),
      )
      assert.equal(DeliveryStreamDescription?.VersionId, '4', 'made, changed, encrypted and not')
      await client(server.url).send(
        new PutRecordCommand({ DeliveryStreamName: 'py', Record: { Data: bytes({ id: 501, client: 'boto3' }) } }),
      )
      await stop(server)
    } finally {
      server.child.kill('SIGKILL')
    }
    assert.deepEqual(await rowsOf(home), [{ client: 'boto3', n: 501, ids: 501 }])
  })
})

test('the AWS CLI makes a stream from a file, sends, lists and removes', async () => {
  const folder = await installed()
  await withHome(async (home, dir) => {
    const server = await start(home)
    try {
      const aws = async (...args: string[]) => {
        const { stdout } = await run(
          path.join(folder, 'aws-cli/bin/aws'),
          ['--endpoint-url', server.url, '--output', 'json', 'firehose', ...args],
          { env: environment({ AWS_MAX_ATTEMPTS: '1' }), timeout: clientMs },
        )
        return stdout.trim() === '' ? {} : (JSON.parse(stdout) as Record<string, unknown>)
      }
      const role = 'arn:aws:iam::123456789012:role/firehose'
      const settings = path.join(dir, 'stream.json')
      await writeFile(
        settings,
        JSON.stringify({
          DeliveryStreamName: 'cli',
          IcebergDestinationConfiguration: {
            RoleARN: role,
            CatalogConfiguration: {},
            DestinationTableConfigurationList: [{ DestinationDatabaseName: 'demo', DestinationTableName: 'clients' }],
            S3Configuration: { RoleARN: role, BucketARN: 'arn:aws:s3:::errors' },
          },
        }),
      )
      await aws('create-delivery-stream', '--cli-input-json', `file://${settings}`)
      // Version 1 takes the bytes as they are, and puts them into base64 by itself.
      const record = JSON.stringify({ Data: bytes({ id: 1, client: 'cli' }).toString() })
      const put = await aws('put-record', '--delivery-stream-name', 'cli', '--record', record)
      assert.deepEqual(put, { RecordId: '00000000000000000000', Encrypted: false })
      const batch = await aws('put-record-batch', '--delivery-stream-name', 'cli', '--records', `[${record}]`)
      assert.equal(batch['FailedPutCount'], 0)
      assert.deepEqual((await aws('list-delivery-streams'))['DeliveryStreamNames'], ['cli'])
      await assert.rejects(
        aws('describe-delivery-stream', '--delivery-stream-name', 'none'),
        /\(ResourceNotFoundException\).*DescribeDeliveryStream operation: Firehose none under account 000000000000 not found/,
      )
      await aws('delete-delivery-stream', '--delivery-stream-name', 'cli')
      await stop(server)
    } finally {
      server.child.kill('SIGKILL')
    }
    assert.deepEqual(await rowsOf(home), [{ client: 'cli', n: 2, ids: 1 }])
  })
})

test('the SDK for JavaScript reads answers and failures as its own classes, and repeats nothing twice', async () => {
  await withHome(async (home) => {
    const server = await start(home, `${KEY.id} ${KEY.secret} admin records=100/s`)
    try {
      const sdk = client(server.url)
      const role = 'arn:aws:iam::123456789012:role/firehose'
      await sdk.send(
        new CreateDeliveryStreamCommand({
          DeliveryStreamName: 'js',
          IcebergDestinationConfiguration: {
            RoleARN: role,
            CatalogConfiguration: {},
            DestinationTableConfigurationList: [{ DestinationDatabaseName: 'demo', DestinationTableName: 'clients' }],
            S3Configuration: { RoleARN: role, BucketARN: 'arn:aws:s3:::errors' },
          },
        }),
      )
      const put = async (from: number, count: number, by = sdk) =>
        by.send(
          new PutRecordBatchCommand({
            DeliveryStreamName: 'js',
            Records: Array.from({ length: count }, (_, at) => ({ Data: bytes({ id: from + at, client: 'js' }) })),
          }),
        )
      const first = await put(0, 250)
      assert.equal(first.FailedPutCount, 0)
      assert.match(first.$metadata.requestId ?? '', /^[0-9a-f-]{36}$/)
      assert.match(first.$metadata.extendedRequestId ?? '', /^[A-Za-z0-9+/]{64}$/)
      // Above the key's rate: one client is told so, another waits and comes again by itself.
      const impatient = client(server.url, KEY.secret, 1)
      await assert.rejects(
        put(0, 1, impatient),
        (error) => error instanceof ServiceUnavailableException && /^Slow down\./.test(error.message),
      )
      const patient = client(server.url, KEY.secret, 12)
      const again = await put(250, 10, patient)
      assert.ok((again.$metadata.attempts ?? 0) > 1)
      await assert.rejects(
        sdk.send(new DescribeDeliveryStreamCommand({ DeliveryStreamName: 'none' })),
        ResourceNotFoundException,
      )
      await assert.rejects(
        sdk.send(new CreateDeliveryStreamCommand({ DeliveryStreamName: 'other' })),
        InvalidArgumentException,
      )
      await assert.rejects(client(server.url, 'another-secret-than-ours').send(new ListDeliveryStreamsCommand({})), {
        name: 'InvalidSignatureException',
      })
      assert.deepEqual((await sdk.send(new ListDeliveryStreamsCommand({}))).DeliveryStreamNames, ['js'])
      await sdk.send(new DeleteDeliveryStreamCommand({ DeliveryStreamName: 'js' }))
      await stop(server)
    } finally {
      server.child.kill('SIGKILL')
    }
    assert.deepEqual(await rowsOf(home), [{ client: 'js', n: 260, ids: 260 }])
  })
})
