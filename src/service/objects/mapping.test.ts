import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Json } from '../../base/json.ts'
import { compilePath } from '../../base/json-path.ts'
import type { Type } from '../../iceberg/spec/table-metadata.ts'
import { castJson } from './cast.ts'
import { compileMapping, defaultMapping } from './mapping.ts'

const list = (element: Type): Type => ({ type: 'list', 'element-id': 0, 'element-required': false, element })
const map = (value: Type): Type => ({
  type: 'map',
  'key-id': 0,
  key: 'string',
  'value-id': 0,
  'value-required': false,
  value,
})
const struct = (fields: Record<string, Type>): Type => ({
  type: 'struct',
  fields: Object.entries(fields).map(([name, type], id) => ({ id, name, required: false, type })),
})

describe('casting JSON to a column', () => {
  const fits: [Json, Type, Json][] = [
    [7, 'int', 7],
    [2 ** 31 - 1, 'int', 2 ** 31 - 1],
    [9007199254740993n, 'long', 9007199254740993n],
    [0.5, 'double', 0.5],
    [{ type: 'IFDRational', numerator: 1, denominator: 4, imag: 0 }, 'double', 0.25],
    [12, 'string', '12'],
    [true, 'boolean', true],
    ['2024:05:01 10:00:00', 'timestamp', '2024-05-01 10:00:00'],
    ['2024-05-01T10:00:00.123456Z', 'timestamp', '2024-05-01 10:00:00.123456'],
    ['2024:05:01 10:00:00', 'date', '2024-05-01'],
    ['2024-05-01T10:00:00+02:00', 'timestamptz', '2024-05-01T08:00:00Z'],
    ['2024-05-01T10:00:00.123456789Z', 'timestamptz', '2024-05-01T10:00:00.123456Z'],
    [3.4e38, 'float', 3.4e38],
    ['12.50', 'decimal(4, 2)', '12.50'],
    [12.5, 'decimal(4, 2)', '12.5'],
    [['a', 'b'], list('string'), ['a', 'b']],
    [{ a: 1 }, map('long'), { a: 1 }],
    [{ a: 1, b: 'x', c: 9 }, struct({ a: 'int', b: 'string' }), { a: 1, b: 'x' }],
    [null, 'int', null],
  ]
  for (const [value, type, expected] of fits) {
    test(`${JSON.stringify(value, (_k, v) => (typeof v === 'bigint' ? String(v) : v))} fits ${JSON.stringify(type)}`, () => {
      assert.deepEqual(castJson(value, type), { value: expected, misfits: 0 })
    })
  }

  const misfits: [Json, Type][] = [
    ['7', 'int'],
    [1.5, 'int'],
    [2 ** 31, 'int'],
    [2n ** 63n, 'long'],
    ['x', 'double'],
    [{ numerator: 1, denominator: 0 }, 'double'],
    [{ a: 1 }, 'string'],
    ['yes', 'boolean'],
    ['2024:02:31 10:00:00', 'timestamp'],
    ['    :  :     :  :  ', 'timestamp'],
    ['2024-05-01T25:00:00', 'timestamp'],
    ['2024-05-01T10:00:00', 'timestamptz'],
    ['2024-02-30T10:00:00Z', 'timestamptz'],
    ['9999-12-31T23:59:59-01:00', 'timestamptz'],
    [1e300, 'float'],
    ['1.234', 'decimal(4, 2)'],
    ['1e3', 'decimal(9, 2)'],
    ['', 'decimal(9, 2)'],
    ['a', list('string')],
    [['a'], map('string')],
  ]
  for (const [value, type] of misfits) {
    test(`${JSON.stringify(value, (_k, v) => (typeof v === 'bigint' ? String(v) : v))} does not fit ${JSON.stringify(type)} and becomes null`, () => {
      assert.deepEqual(castJson(value, type), { value: null, misfits: 1 })
    })
  }

  test('an element that does not fit becomes null and the others stay', () => {
    assert.deepEqual(castJson([1, 'x', 3], list('int')), { value: [1, null, 3], misfits: 1 })
  })
})

describe('mapping metadata to columns', () => {
  const metadata: Json = {
    labels: [{ Name: 'Nature', Confidence: 99.9 }, { Name: 'Outdoors' }],
    image: { image_width: 640, image_height: 'tall' },
  }

  test('labels, width and height are found by their paths', () => {
    const { values, castErrors } = compileMapping(defaultMapping)(metadata)
    assert.deepEqual(values, { labels: ['Nature', 'Outdoors'], image_width: 640, image_height: null })
    assert.deepEqual(castErrors, ['image_height'])
  })

  test('a definite path that finds nothing is null, an indefinite one an empty list', () => {
    const { values } = compileMapping(defaultMapping)({})
    assert.deepEqual(values, { labels: [], image_width: null, image_height: null })
  })

  test('a key such as __proto__ is data and no way to the prototype', () => {
    assert.deepEqual(compilePath('$.constructor.name', 'test').select({}), [])
  })

  test('a path that is no JSONPath is refused by name', () => {
    assert.throws(
      () => compileMapping({ includeRawMetadata: true, columns: [{ name: 'bad', type: 'int', jpath: '$.[' }] }),
      /column bad: expected a JSONPath/,
    )
  })
})
