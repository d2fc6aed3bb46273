import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { problemsOf } from '../../test/support/config-problems.ts'
import { parseConfig } from './config.ts'
import { objectTables } from './object-tables.ts'

describe('a configuration', () => {
  it('needs nothing: everything has a default', () => {
    const config = parseConfig({}, 'the file')
    assert.deepEqual(parseConfig(undefined, 'the file'), config)
    assert.deepEqual(
      objectTables(config).mapping.columns.map((column) => column.name),
      ['labels', 'image_width', 'image_height'],
    )
    assert.equal(config.objects.content.includeRawMetadata, true)
  })

  it('that is wrong in many places is refused with all of them', () => {
    assert.deepEqual(
      problemsOf({
        object: {},
        limits: { memoryMiB: 1, threads: 'two' },
        objects: { workers: 0, extractors: ['x.ts'] },
      }).length,
      5,
    )
    const columns = {
      bucket: { type: 'STRING', jpath: '$.a' },
      Key: { type: 'STRING', jpath: '$.a' },
      make: { type: 'STRIN', jpath: 'exif.Make' },
      MAKE: { type: 'STRING', jpath: '$.a' },
      bytes: { type: 'BINARY', jpath: '$.a' },
      numbered: { type: 'MAP<INTEGER, STRING>', jpath: '$.a' },
      strict: { type: 'ARRAY<STRUCT<a: STRING NOT NULL>>', jpath: '$.a' },
      twice: { type: 'STRUCT<a: STRING, A: STRING>', jpath: '$.a' },
      fine: { type: 'STRING', jpath: '$.a' },
    }
    const tables = {
      journal: { partitioning: ['day(recorded)', 'bucket(16, key)'] },
      content: { sortOrder: ['key upwards'], properties: { 'write.parquet.compression-codec': 'zip' } },
      inventory: { partitioning: ['day(key)'], properties: { 'format-version': '3' } },
    }
    const problems = problemsOf({ objects: { content: { columns }, tables } })
    assert.deepEqual(
      problems.map((problem) => problem.split(': ')[0]),
      [
        'objects.content.columns.bucket',
        'objects.content.columns.Key',
        'objects.content.columns.make.type',
        'objects.content.columns.make.jpath',
        'objects.content.columns.MAKE',
        'objects.content.columns.bytes.type',
        'objects.content.columns.numbered.type',
        'objects.content.columns.strict.type',
        'objects.content.columns.twice.type',
        'objects.tables.content.sortOrder',
        'objects.tables.content.properties',
        'objects.tables.journal.partitioning',
        'objects.tables.inventory.partitioning',
        'objects.tables.inventory.properties',
      ],
    )
    assert.match(problems.join('\n'), /recorded/)
    assert.match(problems.join('\n'), /one of zstd, snappy, gzip, uncompressed, none, got "zip"/)
  })

  it('is refused with what is wrong in form and what is wrong in meaning at once', () => {
    const objects = {
      workers: 0,
      content: {
        columns: {
          'a b': { type: 'STRING', jpath: '$.a' },
          c: { type: 'STRIN', jpath: '$.\u{1f600} x' },
          d: { type: 5, jpath: '$.d' },
          e: { type: 'STRING', jpath: "$['a" },
        },
      },
      tables: { journal: { partitioning: ['day(recorded)'], sort: [] } },
    }
    const streams = { web: { table: 'demo.web', columns: { at: 'MOMENT' } }, 'a b': { table: 'demo.a' } }
    const problems = problemsOf({ objects, streams, stream: {} })
    assert.deepEqual(problems.map((problem) => problem.split(': ')[0]).toSorted(), [
      '(top)',
      'objects.content.columns.a b',
      'objects.content.columns.c.jpath',
      'objects.content.columns.c.type',
      'objects.content.columns.d.type',
      'objects.content.columns.e.jpath',
      'objects.tables.journal',
      'objects.tables.journal.partitioning',
      'objects.workers',
      'streams.a b',
      'streams.web',
    ])
    const text = problems.join('\n')
    assert.match(text, /columns\.a b: expected a column name of letters, digits and _ that .*, got "a b"$/m)
    assert.match(
      text,
      /c\.jpath: expected a JSONPath such as \$\.image\.image_width, got "\$\.😀 x": "x" is not expected as character 5$/m,
    )
    assert.match(text, /e\.jpath: .*: it ends too early$/m)
    assert.ok(text.isWellFormed())
    const schema = {
      custom_metadata_fields: 'a, b',
      'field.a.type': 5,
      'field.a.jpath': '$.a',
      'field.b.type': 'STRIN',
    }
    assert.deepEqual(
      problemsOf({ objects: { schema } }).map((problem) => problem.split(': ')[0]),
      ['objects.schema.field.a.type', 'objects.schema.field.b.jpath'],
    )
  })
})
