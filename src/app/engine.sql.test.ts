/** The statements that users of S3 Metadata know, run over tables that the engine made; and the ready view beside them. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, describe, it } from 'node:test'
import { EngineBench, eventOf } from '../../test/support/engine-bench.ts'
import type { ObjectEvent } from '../change/object-event.ts'

const statement = (name: string) => readFile(new URL(`../../test/golden/sql/${name}.sql`, import.meta.url), 'utf8')
const golden = (name: string) => readFile(new URL(`../../test/golden/images/files/${name}`, import.meta.url))

let bench: EngineBench
before(async () => {
  bench = await EngineBench.open()
})
after(() => bench.close())

describe('the statements of the object metadata guide', () => {
  let view: string
  before(async () => {
    view = await statement('view')
    const jpeg = await bench.putObject('guide', 'market.jpg', await golden('rationals.jpg'))
    const notes = await bench.putObject('guide', 'notes.txt', 'nothing to see')
    await bench.tell(
      eventOf({
        kind: 'create',
        bucket: 'guide',
        key: 'market.jpg',
        time: '2024-08-10T19:09:45Z',
        sequencer: '0066B7BA0000000001',
        storageClass: 'STANDARD',
        tags: { foo: 'bar' },
        ...jpeg,
      }),
      eventOf({
        kind: 'create',
        bucket: 'guide',
        key: 'notes.txt',
        time: '2024-08-11T14:31:26Z',
        sequencer: '0066B8CA0000000001',
        storageClass: 'STANDARD',
        ...notes,
      }),
      eventOf({
        kind: 'create',
        bucket: 'guide',
        key: 'gone.jpg',
        time: '2024-08-11T14:31:27Z',
        sequencer: '0066B8CA0000000002',
        ...jpeg,
      }),
      eventOf({
        kind: 'delete',
        bucket: 'guide',
        key: 'gone.jpg',
        time: '2024-08-11T14:31:28Z',
        sequencer: '0066B8CA0000000003',
      }),
    )
  })

  it('make the view and list its objects', async () => {
    const rows = await bench.sql(`${view};${await statement('select_view')}`)
    assert.deepEqual(rows, [
      {
        bucket: 'guide',
        key: 'market.jpg',
        size: BigInt((await golden('rationals.jpg')).length),
        storage_class: 'STANDARD',
        object_tags: { foo: 'bar' },
      },
      { bucket: 'guide', key: 'notes.txt', size: 14n, storage_class: 'STANDARD', object_tags: {} },
    ])
  })

  it('join the view with the content table', async () => {
    const rows = await bench.sql(`${view};${await statement('join')} ORDER BY om.key`)
    assert.deepEqual(
      rows.map((row) => [row['key'], row['labels']]),
      [
        ['market.jpg', []],
        ['notes.txt', []],
      ],
    )
  })

  it('read members of the metadata', async () => {
    const rows = await bench.sql(`${await statement('get_json_object')} ORDER BY key`)
    const [exif] = await bench.sql("SELECT metadata FROM default.s3_content_metadata WHERE key = 'market.jpg'")
    const { Make, Model } = (JSON.parse(String(exif?.['metadata'])) as { exif: Record<string, string> }).exif
    assert.equal(Make, 'Tidewater')
    assert.deepEqual(rows, [
      { key: 'market.jpg', labels: [], Model: Model ?? null, Make: Make ?? null },
      { key: 'notes.txt', labels: [], Model: null, Make: null },
    ])
  })
})

/** Changes of one key as they happened: what, and to which version. */
type Change = [what: 'put' | 'mark' | 'remove' | 'tag', versionId: string]

interface Case {
  name: string
  changes: Change[]
  /** Versions that the view shows, the latest marked by `*`, the current by `**`. */
  expected: string[]
}

const CASES: Case[] = [
  {
    name: 'the newest of two versions is latest and current',
    changes: [
      ['put', 'v1'],
      ['put', 'v2'],
    ],
    expected: ['v1', 'v2**'],
  },
  {
    name: 'no version under a delete marker is latest',
    changes: [
      ['put', 'v1'],
      ['put', 'v2'],
      ['mark', 'm1'],
    ],
    expected: ['v1', 'v2'],
  },
  {
    name: 'a delete marker that is removed shows the version below it again',
    changes: [
      ['put', 'v1'],
      ['put', 'v2'],
      ['mark', 'm1'],
      ['remove', 'm1'],
    ],
    expected: ['v1', 'v2**'],
  },
  {
    name: 'of two markers one still hides when the other is removed',
    changes: [
      ['put', 'v1'],
      ['mark', 'm1'],
      ['mark', 'm2'],
      ['remove', 'm1'],
    ],
    expected: ['v1'],
  },
  {
    name: 'a version put over a delete marker is current',
    changes: [
      ['put', 'v1'],
      ['mark', 'm1'],
      ['put', 'v2'],
    ],
    expected: ['v1', 'v2**'],
  },
  {
    name: 'an old version does not become latest by being tagged',
    changes: [
      ['put', 'v1'],
      ['put', 'v2'],
      ['tag', 'v1'],
    ],
    expected: ['v1', 'v2**'],
  },
  {
    name: 'tagging a version under a delete marker does not bring it back',
    changes: [
      ['put', 'v1'],
      ['mark', 'm1'],
      ['tag', 'v1'],
    ],
    expected: ['v1'],
  },
  {
    name: 'a version that is permanently deleted is gone, the one before it is latest',
    changes: [
      ['put', 'v1'],
      ['put', 'v2'],
      ['remove', 'v2'],
    ],
    expected: ['v1**'],
  },
  {
    name: 'a key whose versions are all deleted is gone',
    changes: [
      ['put', 'v1'],
      ['put', 'v2'],
      ['remove', 'v1'],
      ['remove', 'v2'],
    ],
    expected: [],
  },
  { name: 'a delete marker alone is no object', changes: [['mark', 'm1']], expected: [] },
  {
    name: 'the null version of a suspended bucket is latest when it is written again, though its id is the older one',
    changes: [
      ['put', 'null'],
      ['put', 'v1'],
      ['put', 'null'],
    ],
    expected: ['null**', 'v1'],
  },
  {
    name: 'a delete in a suspended bucket puts a marker in place of the null version and hides the others',
    changes: [
      ['put', 'v1'],
      ['put', 'null'],
      ['mark', 'null'],
    ],
    expected: ['v1'],
  },
  {
    name: 'a null marker that is removed shows the version before it, and not the null version that it replaced',
    changes: [
      ['put', 'v1'],
      ['put', 'null'],
      ['mark', 'null'],
      ['remove', 'null'],
    ],
    expected: ['v1**'],
  },
  {
    name: 'the null version put over its own marker is current again',
    changes: [
      ['put', 'v1'],
      ['put', 'null'],
      ['mark', 'null'],
      ['put', 'null'],
    ],
    expected: ['null**', 'v1'],
  },
  {
    name: 'the null version is not latest after versioning is back on, whatever happens to its tags',
    changes: [
      ['put', 'null'],
      ['put', 'v1'],
      ['tag', 'null'],
    ],
    expected: ['null', 'v1**'],
  },
]

/** Where the view of the guide, made from the journal by its text, calls another version latest. */
const GUIDE_IS_WRONG: Record<string, string[]> = {
  'no version under a delete marker is latest': ['v1', 'v2*'],
  'of two markers one still hides when the other is removed': ['v1*'],
  'an old version does not become latest by being tagged': ['v1*', 'v2'],
  'tagging a version under a delete marker does not bring it back': ['v1*'],
  'a delete in a suspended bucket puts a marker in place of the null version and hides the others': ['v1*'],
  'the null version is not latest after versioning is back on, whatever happens to its tags': ['null*', 'v1'],
}

describe('versions in the ready view', () => {
  const shown = new Map<string, string[]>()
  const shownByGuide = new Map<string, string[]>()

  before(async () => {
    // Newest first: the view must not depend on the order in which the journal came to be.
    await bench.tell(...CASES.flatMap(({ changes }, at) => eventsOf(keyOf(at), changes)).reverse())
    const select = "FROM s3_metadata_coalesced WHERE bucket = 'versions' ORDER BY key, version_id"
    for (const row of await bench.sql(`SELECT key, version_id, is_latest_version, is_current ${select}`)) {
      const mark = row['is_current'] === true ? '**' : row['is_latest_version'] === true ? '*' : ''
      collect(shown, String(row['key']), `${row['version_id']}${mark}`)
    }
    const ofGuide = await bench.sql(`${await statement('view')}; SELECT key, version_id, is_latest_version ${select}`)
    for (const row of ofGuide) {
      collect(shownByGuide, String(row['key']), `${row['version_id']}${row['is_latest_version'] === true ? '*' : ''}`)
    }
  })

  for (const [at, { name, expected }] of CASES.entries()) {
    it(name, () => assert.deepEqual(shown.get(keyOf(at)) ?? [], expected))
  }

  it('are the versions that the view of the guide shows, which is wrong about the latest in six cases', () => {
    for (const [at, { name, expected }] of CASES.entries()) {
      const asGuide = expected.map((version) => version.replace('**', '*'))
      assert.deepEqual(shownByGuide.get(keyOf(at)) ?? [], GUIDE_IS_WRONG[name] ?? asGuide, name)
    }
    assert.ok(Object.keys(GUIDE_IS_WRONG).every((name) => CASES.some((one) => one.name === name)))
  })

  it('are there in the inventory with their markers, and in the content table without', async () => {
    const where = "WHERE bucket = 'versions' ORDER BY ALL"
    const inventory = await bench.sql(
      `SELECT key, version_id, is_delete_marker FROM aws_s3_metadata.inventory ${where}`,
    )
    const content = await bench.sql(`SELECT key, "versionId" AS version_id FROM default.s3_content_metadata ${where}`)
    const objects = inventory.filter((row) => row['is_delete_marker'] === false)
    assert.deepEqual(
      content,
      objects.map(({ key, version_id }) => ({ key, version_id })),
    )
    const markers = inventory.filter((row) => row['is_delete_marker'] === true).map((row) => row['version_id'])
    assert.deepEqual(markers, ['m1', 'm2', 'm1', 'm1', 'm1', 'null'])
  })

  it('have in the journal a permanent deletion with nothing but its identity, and markers that say so', async () => {
    const rows = await bench.sql(`SELECT DISTINCT record_type, is_delete_marker, e_tag IS NULL AND size IS NULL
        AND last_modified_date IS NULL AND object_tags IS NULL AND user_metadata IS NULL AS is_bare
      FROM aws_s3_metadata.mdblogs3metadata WHERE bucket = 'versions' ORDER BY ALL`)
    assert.deepEqual(rows, [
      { record_type: 'CREATE', is_delete_marker: false, is_bare: false },
      { record_type: 'DELETE', is_delete_marker: true, is_bare: false },
      { record_type: 'DELETE', is_delete_marker: null, is_bare: true },
      { record_type: 'UPDATE_METADATA', is_delete_marker: false, is_bare: false },
    ])
  })
})

function keyOf(at: number): string {
  return `case-${String(at).padStart(2, '0')}.jpg`
}

function collect(lists: Map<string, string[]>, key: string, value: string): void {
  lists.set(key, [...(lists.get(key) ?? []), value])
}

function eventsOf(key: string, changes: readonly Change[]): ObjectEvent[] {
  const kinds = { put: 'create', mark: 'marker', remove: 'delete', tag: 'update' } as const
  return changes.map(([what, versionId], at) => {
    const seconds = Date.UTC(2024, 4, 1) / 1000 + at
    const sequencer = `00${seconds.toString(16).toUpperCase()}0000000${at}`
    return eventOf({
      kind: kinds[what],
      bucket: 'versions',
      key,
      versionId,
      time: new Date(seconds * 1000).toISOString(),
      ...(what === 'tag' ? { tags: { n: String(at) } } : { sequencer }),
      ...(what === 'put' ? { etag: `e${at}`, sizeBytes: at } : {}),
    })
  })
}
