/** Labels of pictures by a service, through the whole engine: a local server speaks Rekognition's protocol. */
import assert from 'node:assert/strict'
import { createCipheriv } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { after, before, beforeEach, describe, it } from 'node:test'
import sharp from 'sharp'
import { EngineBench, eventOf } from '../../test/support/engine-bench.ts'
import { contract, FakeRekognition } from '../../test/support/fake-rekognition.ts'
import { limits } from '../base/limits.ts'
import type { ConfigInput } from './config.ts'
import { reextractAll } from './reextract.ts'

let service: FakeRekognition
let bench: EngineBench
let picture: Buffer

before(async () => {
  service = await FakeRekognition.start()
  picture = await readFile(new URL('../../test/golden/images/files/gps-ne.jpg', import.meta.url))
})
after(() => service.close())
beforeEach(() => {
  service.requests.length = 0
  service.failing.length = 0
  service.objects.clear()
})

type Labelling = NonNullable<NonNullable<ConfigInput['objects']>['labels']>
type Settings = Partial<Extract<Labelling, { type: 'rekognition' }>>
const configured = (settings: Settings = {}): ConfigInput => ({
  objects: {
    labels: { type: 'rekognition', region: 'eu-west-1', endpoint: service.url, callsPerSecond: 1000, ...settings },
  },
})

async function withBench(settings: Settings, work: () => Promise<void>): Promise<void> {
  bench = await EngineBench.open(configured(settings))
  try {
    await work()
  } finally {
    await bench.close()
  }
}

let seconds = 0
async function put(key: string, bytes: Uint8Array | string = picture) {
  const time = new Date(Date.UTC(2024, 4, 1) + 1000 * ++seconds).toISOString()
  return eventOf({ kind: 'create', key, time, ...(await bench.putObject('photos', key, bytes)) })
}

const labels = () => bench.sql('SELECT key, labels FROM default.s3_content_metadata ORDER BY key')
const metadata = async (key: string) => {
  const [row] = await bench.sql(`SELECT metadata FROM default.s3_content_metadata WHERE key = '${key}'`)
  return JSON.parse(String(row?.['metadata'])) as Record<string, unknown> & { faults?: { kind: string }[] }
}
const letters = () => bench.sql('SELECT subject, code, status FROM tidewater.dead_letters ORDER BY subject')

describe('labels', () => {
  it('of pictures come into the metadata as the service tells them, and their names into the column', async () => {
    await withBench({}, async () => {
      const gif = await readFile(new URL('../../test/golden/images/files/gif-static.gif', import.meta.url))
      await bench.tell(await put('a.jpg'), await put('note.txt', 'no picture'), await put('moving.gif', gif))
      const { labels: found, label_model, _extractors, image } = await metadata('a.jpg')
      assert.deepEqual(found, contract.response.Labels)
      assert.deepEqual(label_model, { by: 'rekognition', version: '3.0' })
      assert.deepEqual(_extractors, { image: 1, exif: 1, rekognition: 1 })
      assert.ok(image)
      const [first, , note] = await labels()
      assert.deepEqual(first, { key: 'a.jpg', labels: ['Car', 'Road'] })
      assert.deepEqual(note, { key: 'note.txt', labels: [] })
      assert.equal(service.requests.length, 1)
      assert.equal((await metadata('note.txt'))['labels'], undefined)
    })
  })

  it('are asked for by bytes unless told otherwise; by name with a version, but for the null version, which has no name there', async () => {
    await withBench({}, async () => {
      await bench.tell(await put('a.jpg'))
      assert.deepEqual(service.requests.at(-1)?.Image, { Bytes: picture.toString('base64') })
      await bench.restart(configured({ image: 's3' }))
      service.objects.set('photos/b.jpg', picture)
      await bench.tell(await put('b.jpg'))
      assert.deepEqual(service.requests.at(-1)?.Image, { S3Object: { Bucket: 'photos', Name: 'b.jpg' } })
      service.objects.set('photos/c.jpg@v1', picture)
      const time = new Date(Date.UTC(2024, 4, 1) + 1000 * ++seconds).toISOString()
      const written = await bench.putObject('photos', 'c.jpg', picture, 'v1')
      await bench.tell(eventOf({ kind: 'create', key: 'c.jpg', versionId: 'v1', time, ...written }))
      assert.deepEqual(service.requests.at(-1)?.Image, {
        S3Object: { Bucket: 'photos', Name: 'c.jpg', Version: 'v1' },
      })
      assert.deepEqual(
        (await labels()).map(({ labels: names }) => String(names)),
        ['Car,Road', 'Car,Road', 'Car,Road'],
      )
    })
  })

  it('of an object that was overwritten during the call are not told, nor anything else of it', async () => {
    await withBench({ image: 's3' }, async () => {
      service.objects.set('photos/cat.jpg', picture)
      const cat = await put('cat.jpg')
      const dog = Buffer.concat([picture, Buffer.from('dog')])
      service.failing.push(async () => {
        await bench.putObject('photos', 'cat.jpg', dog)
      })
      await bench.tell(cat)
      const row = await metadata('cat.jpg')
      assert.deepEqual([row['labels'], row['image'], row['_extractors']], [undefined, undefined, undefined])
      assert.equal(row.faults?.[0]?.kind, 'superseded')
      await bench.tell(await put('cat.jpg', dog))
      assert.deepEqual(await labels(), [{ key: 'cat.jpg', labels: ['Car', 'Road'] }])
      assert.deepEqual(service.requests.at(-1)?.Image, { S3Object: { Bucket: 'photos', Name: 'cat.jpg' } })
    })
  })

  it('that can never be had are a fault of their own: the other facts stay, and a dead letter tells', async () => {
    await withBench({ image: 's3' }, async () => {
      service.objects.set('photos/odd.jpg', Buffer.from('no picture after all'))
      await bench.tell(await put('odd.jpg'), await put('hidden.jpg'))
      for (const [key, told] of [
        ['odd.jpg', /InvalidImageFormatException/],
        ['hidden.jpg', /InvalidS3ObjectException.*s3:GetObject on photos/],
      ] as const) {
        const { image, faults, _extractors } = await metadata(key)
        assert.ok(image)
        assert.match(JSON.stringify(faults), told)
        assert.deepEqual(_extractors, { image: 1, exif: 1, rekognition: 1 })
      }
      assert.deepEqual(
        (await letters()).map(({ code, status }) => [code, status]),
        [
          ['invalid', 'open'],
          ['invalid', 'open'],
        ],
      )
    })
  })
})

describe('what cannot be labelled now', () => {
  it('waits beyond the cap on calls, through restarts, and has its labels when calls are left; nothing is lost', async () => {
    await withBench({ callsPerHourMax: 2 }, async () => {
      await bench.tell(...(await Promise.all(['a.jpg', 'b.jpg', 'c.jpg', 'd.jpg'].map((key) => put(key)))))
      assert.equal(service.requests.length, 2)
      const waiting = (await labels()).filter(({ labels: names }) => (names as string[]).length === 0)
      assert.equal(waiting.length, 2)
      const row = await metadata(String(waiting[0]?.['key']))
      assert.equal(row.faults?.[0]?.kind, 'waiting')
      assert.deepEqual(row['_extractors'], { image: 1, exif: 1 })
      assert.ok(row['image'])
      assert.match(bench.notices.join(), /2 calls were made in the last hour/)

      await bench.restart()
      await bench.engine.drain()
      assert.equal(service.requests.length, 2)

      await bench.restart(configured({ callsPerHourMax: 3 }))
      await bench.engine.drain()
      assert.equal(service.requests.length, 3)
      await bench.restart(configured({ callsPerHourMax: 100 }))
      await bench.engine.drain()
      assert.equal(service.requests.length, 4)
      assert.ok((await labels()).every(({ labels: names }) => String(names) === 'Car,Road'))
      assert.equal((await metadata('a.jpg')).faults, undefined)
      assert.deepEqual(await bench.sql('SELECT * FROM tidewater.dead_letters'), [])
    })
  })

  it('waits while the service turns calls away, and comes by itself while the engine runs on', async () => {
    await withBench({}, async () => {
      service.failing.push({ type: 'ProvisionedThroughputExceededException' }, { type: 'ThrottlingException' })
      await bench.tell(await put('soon.jpg'))
      assert.deepEqual(await labels(), [{ key: 'soon.jpg', labels: ['Car', 'Road'] }])
      assert.equal(service.requests.length, 3)

      for (let i = 0; i < limits.labelAttemptsMax; i++) service.failing.push({ type: 'InternalServerError' })
      const { engine } = bench
      engine.start((fault) => assert.fail(fault.message))
      await engine.objects.accept([await put('later.jpg')])
      const until = Date.now() + 60_000
      const has = async () => (await labels()).some(({ key, labels: of }) => key === 'later.jpg' && String(of) !== '')
      while (!(await has())) {
        assert.ok(Date.now() < until, 'the labels did not come')
        await new Promise((done) => setTimeout(done, 200))
      }
      await engine.finish()
      assert.equal((await metadata('later.jpg')).faults, undefined)
    })
  })

  it('waits when the caller is refused, who is told once and does not go on asking', async () => {
    await withBench({}, async () => {
      service.failing.push(...Array.from({ length: 9 }, () => ({ type: 'AccessDeniedException' })))
      await bench.tell(await put('a.jpg'))
      await bench.tell(await put('b.jpg'))
      assert.equal(service.requests.length, 1)
      assert.match(bench.notices.join(), /AccessDeniedException/)
      assert.equal(bench.notices.length, 1)
      service.failing.length = 0
      await bench.restart()
      await bench.engine.drain()
      assert.deepEqual(
        (await labels()).map(({ labels: names }) => String(names)),
        ['Car,Road', 'Car,Road'],
      )
    })
  })

  it('and is gone by then, or was replaced, is forgotten', async () => {
    await withBench({ callsPerHourMax: 1 }, async () => {
      await bench.tell(await put('a.jpg'), await put('b.jpg'), await put('c.jpg'))
      for (const key of ['a.jpg', 'b.jpg', 'c.jpg'])
        await bench.tell(eventOf({ kind: 'delete', key, time: '2025-01-01T00:00:00Z' }))
      await bench.restart(configured({ callsPerHourMax: 100 }))
      await bench.engine.drain()
      assert.equal(service.requests.length, 1)
      assert.deepEqual(await labels(), [])
    })
  })
})

describe('rows made anew', () => {
  it('keep their labels without a call, until the version of the labels is raised', async () => {
    await withBench({}, async () => {
      await bench.tell(await put('a.jpg'), await put('b.jpg'))
      assert.equal(service.requests.length, 2)
      const all = (request: object) => reextractAll(bench.engine, request, () => undefined)
      assert.equal((await all({ where: 'true' })).done, 2)
      assert.equal(service.requests.length, 2)
      assert.deepEqual((await metadata('a.jpg'))['labels'], contract.response.Labels)

      await bench.restart(configured({ version: 2 }))
      assert.equal((await all({ extractor: 'rekognition' })).done, 2)
      assert.equal(service.requests.length, 4)
      assert.equal((await all({})).rows, 0)
    })
  })

  it('have labels where there were none before', async () => {
    await withBench({}, async () => {
      await bench.restart({})
      await bench.tell(await put('a.jpg'))
      assert.equal(service.requests.length, 0)
      await bench.restart(configured())
      assert.equal((await reextractAll(bench.engine, { extractor: 'rekognition' }, () => undefined)).done, 1)
      assert.deepEqual(await labels(), [{ key: 'a.jpg', labels: ['Car', 'Road'] }])
    })
  })
})

describe('a picture of more bytes than may be sent', () => {
  it('is made smaller first; one that is larger still is refused by name', async () => {
    await withBench({}, async () => {
      // Noise does not pack: 6 million bytes of it.
      const noise = createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16)).update(Buffer.alloc(6_000_000))
      const png = await sharp(noise, { raw: { width: 2000, height: 1000, channels: 3 } })
        .png()
        .toBuffer()
      assert.ok(png.length > limits.labelBytesMax)
      await bench.tell(await put('large.png', png))
      const sent = Buffer.from(service.requests[0]?.Image.Bytes ?? '', 'base64')
      assert.ok(sent.length > 0 && sent.length <= limits.labelBytesMax)
      assert.equal((await sharp(sent).metadata()).format, 'jpeg')

      const huge = Buffer.concat([picture, Buffer.alloc(limits.labelShrinkBytesMax)])
      await bench.tell(await put('huge.jpg', huge))
      assert.match(JSON.stringify((await metadata('huge.jpg')).faults), /"limit".*bytes are too many to label/)
      assert.equal(service.requests.length, 1)
    })
  })
})

describe('settings of labels', () => {
  it('that are wrong are told with their path', async () => {
    bench = await EngineBench.prepare()
    try {
      for (const [settings, told] of [
        [{ type: 'rekognition', maxLabels: 0 }, /objects\.labels\.maxLabels/],
        [{ type: 'rekognition', minConfidence: 101 }, /objects\.labels\.minConfidence/],
        [{ type: 'oracle' }, /objects\.labels\.type/],
        [{ type: 'onnx', model: 'm.onnx' }, /objects\.labels\.labels/],
        [{ type: 'onnx', model: 'm.onnx', labels: 'm.txt' }, /npm install onnxruntime-web/],
      ] as const)
        await assert.rejects(bench.restart({ objects: { labels: settings as never } }), told)
    } finally {
      await bench.close()
    }
  })
})
