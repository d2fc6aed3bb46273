/**
 * The guide's commands for AWS, as they are printed, by the AWS CLI with moto in AWS's place: after each way that they set up, what happens
 * in the bucket comes by the queue and is in the tables.
 */
import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { CreateBucketCommand, DeleteObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { ended, startServer } from '../simulate/streams-server.ts'
import { inTempDir, sqlRows } from '../support/cli.ts'
import { accepted, blocksBelow, run, shell } from './guide.ts'
import { reasonToSkip, Service } from './service.ts'

const engines = path.join(import.meta.dirname, 'engines')
const INSTALL_MS = 20 * 60_000
const noMoto = (await reasonToSkip('moto')) ?? false

async function keysOf(home: string, bucket: string): Promise<string[]> {
  const rows = await sqlRows(home, `SELECT key FROM aws_s3_metadata.inventory WHERE bucket = '${bucket}' ORDER BY key`)
  return rows.map(({ key }) => String(key))
}

test('the commands for AWS send what happens in a bucket to the queue: straight, by SNS and by EventBridge', {
  skip: noMoto,
}, async () => {
  const { stdout } = await run(path.join(engines, 'install.sh'), ['aws'], {
    timeout: INSTALL_MS,
    maxBuffer: 64 * 1024 ** 2,
  })
  const aws = path.join(stdout.trim().split('\n').at(-1) ?? '', 'aws-cli/bin/aws')
  const service = await Service.start('moto', { env: { MOTO_ACCOUNT_ID: '111122223333' } })
  const keys = {
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_CONFIG_FILE: '/dev/null',
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
  }
  try {
    await inTempDir(async (dir) => {
      // Version 1 gives queues an address of its own and does not heed the environment there; an option it does.
      const bin = path.join(dir, 'bin')
      await mkdir(bin)
      await writeFile(path.join(bin, 'aws'), `#!/bin/sh\nexec "${aws}" --endpoint-url ${service.url} "$@"\n`, {
        mode: 0o755,
      })
      const env = { ...keys, PATH: `${bin}:${process.env['PATH']}`, AWS_ENDPOINT_URL: service.url }
      const client = new S3Client({
        endpoint: service.url,
        region: 'eu-central-1',
        forcePathStyle: true,
        credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
      })
      const config = path.join(dir, 'config.yaml')
      await writeFile(
        config,
        `objects:
  sources:
    uploads: { type: sqs, queueUrl: 'https://sqs.eu-central-1.amazonaws.com/111122223333/tidewater-photos', sqs.endpoint: '${service.url}' }
`,
      )
      const home = path.join(dir, 'home')
      try {
        await client.send(
          new CreateBucketCommand({
            Bucket: 'photos',
            CreateBucketConfiguration: { LocationConstraint: 'eu-central-1' },
          }),
        )
        const straight = (await blocksBelow('## AWS: a queue')).join('')
        await shell(straight, dir, env)
        const server = await startServer(home, config, keys)
        let count = 0
        try {
          const happens = async (way: string) => {
            await client.send(new PutObjectCommand({ Bucket: 'photos', Key: `${way} a+b.txt`, Body: way }))
            await client.send(new PutObjectCommand({ Bucket: 'photos', Key: `${way}-gone`, Body: way }))
            // moto's sequencers do not order; times do.
            await delay(1_100)
            await client.send(new DeleteObjectCommand({ Bucket: 'photos', Key: `${way}-gone` }))
            count += 3
            await accepted(server, count)
          }
          await happens('straight')
          // What the first block has set is used by the later ones.
          const exported = straight
            .split('\n')
            .filter((line) => line.startsWith('export '))
            .join('\n')
          for (const [heading, way] of [
            ['### By SNS, to several readers', 'sns'],
            ['### By EventBridge', 'events'],
          ] as const) {
            await shell(`${exported}\n${(await blocksBelow(heading)).join('')}`, dir, env)
            await happens(way)
          }
          const queue = 'https://sqs.eu-central-1.amazonaws.com/111122223333/tidewater-photos'
          const policies = [
            'queue-policy.json',
            'queue-policy-sns.json',
            'queue-policy-events.json',
            'topic-policy.json',
          ]
          for (const file of policies) JSON.parse(await readFile(path.join(dir, file), 'utf8'))
          const said = await shell(
            `${exported}\naws sqs get-queue-attributes --queue-url ${queue} --attribute-names Policy`,
            dir,
            env,
          )
          const { Attributes } = JSON.parse(said) as { Attributes: { Policy: string } }
          const { Statement } = JSON.parse(Attributes.Policy) as {
            Statement: [{ Principal: object; Condition: object }]
          }
          assert.deepEqual(Statement[0].Principal, { Service: 'events.amazonaws.com' })
          assert.deepEqual(Statement[0].Condition, {
            ArnEquals: { 'aws:SourceArn': 'arn:aws:events:eu-central-1:111122223333:rule/tidewater-photos' },
          })
        } finally {
          server.child.kill('SIGTERM')
        }
        assert.equal(await ended(server.child), 0, server.told())
        assert.deepEqual(await keysOf(home, 'photos'), ['events a+b.txt', 'sns a+b.txt', 'straight a+b.txt'])
      } finally {
        client.destroy()
      }
    })
  } finally {
    await service.stop()
  }
})
