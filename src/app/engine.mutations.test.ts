/** Twenty-two changes of a bucket of photos: uploads with tags, an overwritten and deleted picture, a change of tags. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, describe, it } from 'node:test'
import { Random } from '../../test/simulate/random.ts'
import { EngineBench, eventOf, type TableLines, withEngine } from '../../test/support/engine-bench.ts'
import type { ObjectEvent } from '../change/object-event.ts'

const golden = (name: string) => readFile(new URL(`../../test/golden/images/files/${name}`, import.meta.url))

const AFRICA = ['baobab', 'dunes', 'elephant', 'giraffe', 'lion', 'market', 'savanna', 'zebra']
const EUROPE = ['alps', 'bridge', 'cathedral', 'fjord', 'harbour', 'tulips', 'windmill']
const UNTAGGED = ['boat', 'clouds', 'pebbles']
const PICTURES = ['gps-ne.jpg', 'gps-se.jpg', 'rationals.jpg', 'gps-nw.jpg', 'orientation-6.jpg']

const SOCCER_TAGS = { ObjectInfo: 'Soccer Ball', Project: 'Africa' }

/** The events in the order in which they happened; the last four are the soccer ball's. Puts the bytes, too. */
async function mutations(bench: EngineBench, bucket = 'photos'): Promise<ObjectEvent[]> {
  let happened = 0
  const event = (kind: ObjectEvent['kind'], key: string, more: Partial<ObjectEvent> = {}): ObjectEvent => {
    const seconds = Date.UTC(2024, 10, 26, 19, 40, 0) / 1000 + 3 * ++happened
    const sequencer = `00${seconds.toString(16)}${(happened * 7919).toString(16).padStart(8, '0')}`.toUpperCase()
    const time = new Date(seconds * 1000).toISOString()
    return eventOf({ kind, bucket, key, time, ...(kind === 'update' ? {} : { sequencer }), ...more })
  }
  const put = async (key: string, tags: Record<string, string>): Promise<ObjectEvent> => {
    const bytes = await golden(PICTURES[key.length % PICTURES.length]!)
    return event('create', key, { ...(await bench.putObject(bucket, key, bytes)), tags, storageClass: 'STANDARD' })
  }
  const events: ObjectEvent[] = []
  for (const name of AFRICA) events.push(await put(`${name}.jpg`, { Project: 'Africa' }))
  for (const name of EUROPE) events.push(await put(`${name}.jpg`, { Project: 'Europe' }))
  for (const name of UNTAGGED) events.push(await put(`${name}.jpg`, {}))
  events.push(await put('soccer.jpg', { Project: 'WrongProject' }))
  events.push(event('delete', 'soccer.jpg'))
  events.push(await put('soccer.jpg', { Project: 'Africa' }))
  events.push(event('update', 'soccer.jpg', { tags: SOCCER_TAGS }))
  return events
}

describe('twenty-two changes of a bucket', () => {
  let bench: EngineBench
  let inOrder: TableLines

  before(async () => {
    bench = await EngineBench.open()
    await bench.tell(...(await mutations(bench)))
    inOrder = await bench.tables()
  })
  after(() => bench.close())

  it('are twenty-two rows of the journal: 20 creations, a deletion and a change of tags', async () => {
    assert.equal(inOrder.journal.length, 22)
    assert.deepEqual(
      await bench.sql(
        'SELECT record_type, count(*) AS records FROM aws_s3_metadata.mdblogs3metadata GROUP BY ALL ORDER BY ALL',
      ),
      [
        { record_type: 'CREATE', records: 20n },
        { record_type: 'DELETE', records: 1n },
        { record_type: 'UPDATE_METADATA', records: 1n },
      ],
    )
  })

  it('number the records of each key in the order in which they happened', async () => {
    const rows = await bench.sql(
      "SELECT record_type FROM aws_s3_metadata.mdblogs3metadata WHERE key = 'soccer.jpg' ORDER BY sequence_number",
    )
    assert.deepEqual(
      rows.map((row) => row['record_type']),
      ['CREATE', 'DELETE', 'CREATE', 'UPDATE_METADATA'],
    )
  })

  it('leave nineteen objects in the content table, the inventory and the coalesced view', async () => {
    assert.equal(inOrder.content.length, 19)
    assert.equal(inOrder.inventory.length, 19)
    const [view] = await bench.sql(
      'SELECT count(*) AS objects, count(*) FILTER (is_current AND is_latest_version) AS current FROM s3_metadata_coalesced',
    )
    assert.deepEqual(view, { objects: 19n, current: 19n })
  })

  it('leave the soccer ball with the tags it was given last, and every other object with its own', async () => {
    const rows = await bench.sql('SELECT key, object_tags FROM s3_metadata_coalesced')
    const tags = new Map(rows.map((row) => [String(row['key']), row['object_tags']]))
    assert.deepEqual(tags.get('soccer.jpg'), SOCCER_TAGS)
    for (const name of AFRICA) assert.deepEqual(tags.get(`${name}.jpg`), { Project: 'Africa' }, name)
    for (const name of EUROPE) assert.deepEqual(tags.get(`${name}.jpg`), { Project: 'Europe' }, name)
    for (const name of UNTAGGED) assert.deepEqual(tags.get(`${name}.jpg`), {}, name)
  })

  it('leave every object with the facts of its bytes and no fault', async () => {
    const [facts] = await bench.sql(`SELECT count(image_width) AS measured,
      count(*) FILTER (get_json_object(metadata, '$.image.format') = 'JPEG') AS jpegs,
      count(get_json_object(metadata, '$.faults')) AS faulty FROM default.s3_content_metadata`)
    assert.deepEqual(facts, { measured: 19n, jpegs: 19n, faulty: 0n })
    assert.deepEqual(await bench.sql('SELECT * FROM tidewater.dead_letters'), [])
  })

  it('leave the same tables when they are told again', async () => {
    const before = bench.engine.objects.counts.byEffect.newest
    await bench.tell(...(await mutations(bench)))
    assert.deepEqual(await bench.tables(), inOrder)
    assert.equal(bench.engine.objects.counts.byEffect.newest, before)
  })

  for (const seed of [1, 2]) {
    it(`leave the same tables, told shuffled and repeated with stops in between (seed ${seed})`, async () => {
      await withEngine({}, async (other) => {
        const random = new Random(seed)
        const told = shuffled(await mutations(other), random)
        const copies = [...told, ...shuffled(told, random).slice(0, 11)]
        while (copies.length > 0) {
          await other.engine.objects.accept(copies.splice(0, 3 + random.below(9)))
          const then = random.below(4)
          if (then === 0) await other.engine.objects.drain()
          if (then === 1) await other.engine.drain()
          if (then === 2) await other.restart()
        }
        await other.engine.drain()
        assert.deepEqual(await other.tables(), inOrder)
      })
    })
  }
})

describe('the soccer ball, told in each of the 24 orders of its four events', () => {
  it('is the same in all tables', async () => {
    await withEngine({}, async (bench) => {
      const orders = permutations([0, 1, 2, 3])
      const buckets: ObjectEvent[][] = []
      for (const [at, order] of orders.entries()) {
        const soccer = (await mutations(bench, `order-${String(at).padStart(2, '0')}`)).slice(-4)
        buckets.push(order.map((index) => soccer[index]!))
      }
      for (let told = 0; told < 4; told++) {
        await bench.tell(...buckets.map((events) => events[told]!))
        // What was told before is told once more, after a restart.
        if (told % 2 === 1) await bench.restart()
        if (told % 2 === 1) await bench.tell(...buckets.map((events) => events[told >> 1]!))
      }
      const tables = await bench.tables()
      const first = anonymous(tables, 'order-00')
      assert.deepEqual([first.content.length, first.journal.length, first.inventory.length], [1, 4, 1])
      assert.match(first.inventory[0]!, /"object_tags":{"ObjectInfo":"Soccer Ball","Project":"Africa"}/)
      for (const [at, order] of orders.entries()) {
        const name = `order-${String(at).padStart(2, '0')}`
        assert.deepEqual(anonymous(tables, name), first, `order ${order}`)
      }
    })
  })
})

/** The tables of one bucket without its name, which sequence numbers hold a hash of. */
function anonymous(tables: TableLines, bucket: string): TableLines {
  const name = `"bucket":"${bucket}"`
  const cut = (lines: readonly string[]) =>
    lines
      .filter((line) => line.includes(name))
      .map((line) => line.replace(name, '').replace(/("sequence_number":"[0-9A-F]{49})[0-9A-F]{16}/, '$1'))
  return { content: cut(tables.content), journal: cut(tables.journal), inventory: cut(tables.inventory) }
}

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length <= 1) return [[...items]]
  return items.flatMap((item, at) => permutations(items.toSpliced(at, 1)).map((rest) => [item, ...rest]))
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  const copy = [...items]
  for (let at = copy.length - 1; at > 0; at--) {
    const other = random.below(at + 1)
    ;[copy[at], copy[other]] = [copy[other]!, copy[at]!]
  }
  return copy
}
