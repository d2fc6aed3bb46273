import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { problemsOf } from '../../../test/support/config-problems.ts'
import { type ConfigInput, defineConfig, parseConfig } from '../config.ts'
import { objectTables } from '../object-tables.ts'

describe('the columns of the content table', () => {
  it('are given in typed form or flat, with the same result', () => {
    const typed = defineConfig({
      objects: {
        content: {
          includeRawMetadata: false,
          columns: {
            labels: { type: 'ARRAY<STRING>', jpath: '$.labels[*].Name' },
            wide: { type: 'BOOLEAN', jpath: '$.wide' },
          },
        },
      },
    })
    const flat: ConfigInput = {
      objects: {
        schema: {
          include_raw_metadata: 'false',
          custom_metadata_fields: 'labels, wide',
          'field.labels.type': 'ARRAY<STRING>',
          'field.labels.jpath': '$.labels[*].Name',
          'field.wide.type': 'BOOLEAN',
          'field.wide.jpath': '$.wide',
        },
      },
    }
    assert.deepEqual(objectTables(parseConfig(flat, 'flat')), objectTables(parseConfig(typed, 'typed')))
  })

  it('may be the fixed ones alone', () => {
    for (const objects of [{ content: { columns: {} } }, { schema: { custom_metadata_fields: '' } }]) {
      assert.deepEqual(objectTables(parseConfig({ objects }, 'the file')).mapping.columns, [])
    }
  })

  it('in the flat form are refused with all that is wrong, by the names of their keys', () => {
    const schema = {
      include_raw_metadata: 'yes',
      custom_metadata_fields: 'a, b, c d, e',
      'field.a.type': 'STRING',
      'field.b.jpath': '$.b',
      'field.c d.type': 'STRING',
      'field.c d.jpath': '$.c',
      'field.e.type': 'MAP',
      'field.e.jpath': '$.e',
      'field.f.type': 'STRING',
      'field.a.path': '$.a',
      columns: 'a',
    }
    assert.deepEqual(
      problemsOf({ objects: { schema } }).map((problem) => problem.split(': ')[0]),
      [
        'objects.schema.include_raw_metadata',
        'objects.schema.field.a.jpath',
        'objects.schema.field.b.type',
        'objects.schema.custom_metadata_fields',
        'objects.schema.field.f.type',
        'objects.schema.field.a.path',
        'objects.schema.columns',
        'objects.schema.field.e.type',
      ],
    )
    const both = { schema: {}, content: { columns: {} } }
    assert.match(problemsOf({ objects: both }).join(), /^objects\.schema: give either/)
  })
})
