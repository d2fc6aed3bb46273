/** What `tidewater doctor` says of real servers: a bucket and a queue that are there, that are not, that refuse; a topic that is there or not. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { PutObjectCommand } from '@aws-sdk/client-s3'
import { CreateQueueCommand, SQSClient } from '@aws-sdk/client-sqs'
import { Admin } from '@platformatic/kafka'
import { cli, inTempDir } from '../support/cli.ts'
import { KafkaBroker } from './kafka-broker.ts'
import { Minio, noMinio } from './minio.ts'
import { freePort, reasonToSkip, Service } from './service.ts'

const skip = noMinio || (await reasonToSkip('elasticmq')) || (await reasonToSkip('kafka')) || false
const keys = { 'client.access-key-id': 'test', 'client.secret-access-key': 'test' }

test('real servers are told of as they are, each with what to do', { skip }, async () => {
  const minio = await Minio.start()
  const queues = await Service.start('elasticmq')
  const broker = await KafkaBroker.start()
  try {
    await minio.makeBucket('photos', 'enabled')
    await minio.makeBucket('lake')
    await minio.client.send(new PutObjectCommand({ Bucket: 'photos', Key: 'a', Body: 'a' }))
    const credentials = { accessKeyId: 'test', secretAccessKey: 'test' }
    const sqs = new SQSClient({ endpoint: queues.url, region: 'us-east-1', credentials })
    const { QueueUrl = '' } = await sqs.send(new CreateQueueCommand({ QueueName: 'uploads' }))
    sqs.destroy()
    const admin = new Admin({ clientId: 'test', bootstrapBrokers: [broker.address] })
    await admin.createTopics({ topics: ['objects'], partitions: 1, replicas: 1 })
    await admin.close()
    const nobody = `127.0.0.1:${await freePort()}`
    await inTempDir(async (dir) => {
      const config = path.join(dir, 'config.json')
      const topic = (brokers: string, name: string) => ({ type: 'kafka', brokers: [brokers], topics: [name] })
      await writeFile(
        config,
        JSON.stringify({
          s3: {
            default: minio.properties,
            forged: { ...minio.properties, 's3.secret-access-key': 'none of ours' },
            stranger: { ...minio.properties, 's3.access-key-id': 'nobody' },
            down: { ...minio.properties, 's3.endpoint': `http://${nobody}` },
          },
          warehouse: { location: 's3://lake/tables' },
          objects: {
            buckets: {
              photos: { reconcile: { every: '1h' } },
              none: {},
              forged: { s3: 'forged' },
              stranger: { s3: 'stranger' },
              down: { s3: 'down' },
            },
            sources: {
              uploads: { type: 'sqs', queueUrl: QueueUrl, ...keys },
              absent: { type: 'sqs', queueUrl: QueueUrl.replace('uploads', 'absent'), ...keys },
              down: { type: 'sqs', queueUrl: `http://${nobody}/000000000000/q`, ...keys },
              topic: topic(broker.address, 'objects'),
              missing: { ...topic(broker.address, 'nowhere'), group: 'another' },
              gone: { ...topic(nobody, 'objects'), group: 'third' },
            },
          },
        }),
      )
      const args = ['doctor', '--json', '--home', path.join(dir, 'home'), '--config', config]
      const { code, stdout, stderr } = await cli(args)
      assert.equal(code, 5, stderr)
      const found = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { subject: string; level: string; cause?: string; message: string })
        .filter(({ subject }) => /^(bucket|queue|topics|warehouse)/.test(subject))
      const expected: [subject: string, kind: string, message: RegExp][] = [
        ['warehouse', 'ok', /s3:\/\/lake answers and may be listed; it has no object yet/],
        ['bucket down', 'outage', /ECONNREFUSED.*is its address right/],
        ['bucket forged', 'settings', /SignatureDoesNotMatch.*check s3\.access-key-id and s3\.secret-access-key/],
        ['bucket none', 'settings', /no such bucket; is its name right/],
        ['bucket photos', 'ok', /its objects may be read; it keeps versions/],
        ['bucket stranger', 'settings', /InvalidAccessKeyId/],
        ['queue absent', 'settings', /is not there; check queueUrl and region/],
        ['queue down', 'outage', /ECONNREFUSED/],
        ['queue uploads', 'ok', /0 messages wait/],
        ['topics gone', 'outage', /ECONNREFUSED/],
        ['topics missing', 'settings', /has no topic nowhere/],
        ['topics topic', 'ok', /objects at 127\.0\.0\.1/],
      ]
      assert.deepEqual(
        found.map(({ subject, level, cause }) => [subject, cause ?? level]),
        expected.map(([subject, kind]) => [subject, kind]),
        stdout,
      )
      for (const [at, [subject, , message]] of expected.entries())
        assert.match(found[at]?.message ?? '', message, subject)
      assert.ok(!stdout.includes('none of ours'), 'no secret is told')
    })
  } finally {
    await minio.remove()
    await queues.remove()
    await broker.remove()
  }
})
