import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { dataFile, schemaOf, specOf } from '../../../test/support/table.ts'
import { boundOf } from '../file/data-file.ts'
import { PartitionSummary } from '../file/partition-summary.ts'
import type { DataFile, Value } from '../spec/manifest.ts'
import { partitionColumns } from '../spec/partition.ts'
import type { PrimitiveType } from '../spec/table-metadata.ts'
import { formatDate, formatTimestamp } from '../spec/time-text.ts'
import { applyTransform, canTransform } from '../spec/transform.ts'
import { formatDecimal } from '../spec/value-json.ts'
import type { Present } from '../spec/value-order.ts'
import type { Literal } from './literal-range.ts'
import { bindPredicate, fileMight, partitionMight, summariesMight } from './prune.ts'
import type { Predicate } from './scan.ts'

/** A type with values that lie close together, so that predicates often match; and how SQL sees them. */
interface Kind {
  type: PrimitiveType
  values: fc.Arbitrary<Present>
  /** Text as RETURN_STATS gives it, for bounds. */
  stat: (value: Present) => string
  literal: (value: Present) => Literal
  /** SQL's order of values. */
  compare: (a: Present, b: Present) => number
}

const plain = (a: Present, b: Present): number => (a < b ? -1 : a > b ? 1 : 0)
/** NaN is the greatest and equal to itself, -0.0 equals 0.0. */
const floats = (a: Present, b: Present): number => {
  const nans = Number(Number.isNaN(a)) - Number(Number.isNaN(b))
  return nans !== 0 ? nans : plain(a, b)
}
const bytes = (a: Present, b: Present): number => Buffer.compare(Buffer.from(String(a)), Buffer.from(String(b)))

const KINDS: Kind[] = [
  { type: 'int', values: fc.integer({ min: -30, max: 30 }), stat: String, literal: (v) => v as number, compare: plain },
  {
    type: 'int',
    values: fc.integer({ min: -(2 ** 31), max: -(2 ** 31) + 20 }),
    stat: String,
    literal: (v) => v as number,
    compare: plain,
  },
  {
    type: 'long',
    values: fc.bigInt({ min: -30n, max: 30n }),
    stat: String,
    literal: (v) => v as bigint,
    compare: plain,
  },
  {
    type: 'long',
    values: fc.bigInt({ min: 2n ** 63n - 20n, max: 2n ** 63n - 1n }),
    stat: String,
    literal: (v) => v as bigint,
    compare: plain,
  },
  {
    type: 'decimal(9,2)',
    values: fc.bigInt({ min: -300n, max: 300n }),
    stat: (v) => formatDecimal(v as bigint, 2),
    literal: (v) => formatDecimal(v as bigint, 2),
    compare: plain,
  },
  {
    type: 'string',
    values: fc.string({ unit: fc.constantFrom('a', 'b', 'é', '\uffff', '😀', '\u{10ffff}'), maxLength: 20 }),
    stat: String,
    literal: String,
    compare: bytes,
  },
  {
    type: 'double',
    values: fc.constantFrom(-0, 0, 1, -1, 1.5, Number.NaN, Infinity, -Infinity),
    stat: floatStat,
    literal: (v) => v as number,
    compare: floats,
  },
  {
    type: 'float',
    values: fc.constantFrom(-0, 0, Math.fround(0.1), Math.fround(0.3), Number.NaN),
    stat: floatStat,
    literal: (v) => v as number,
    compare: floats,
  },
  {
    type: 'date',
    values: fc.integer({ min: -400, max: 400 }),
    stat: (v) => formatDate(v as number),
    literal: (v) => formatDate(v as number),
    compare: plain,
  },
  {
    type: 'timestamp',
    values: fc.bigInt({ min: -100n, max: 100n }).map((n) => n * 1_799_999_999n),
    stat: (v) => formatTimestamp(v as bigint),
    literal: (v) => formatTimestamp(v as bigint),
    compare: plain,
  },
  {
    type: 'timestamptz',
    values: fc.bigInt({ min: -100n, max: 100n }).map((n) => n * 43_199_999_999n),
    stat: (v) => `${formatTimestamp(v as bigint)}Z`,
    literal: (v) => `${formatTimestamp(v as bigint)}+00:00`,
    compare: plain,
  },
  { type: 'boolean', values: fc.boolean(), stat: (v) => String(v), literal: (v) => v as boolean, compare: plain },
  { type: 'uuid', values: fc.uuid(), stat: String, literal: String, compare: plain },
]

function floatStat(value: Present): string {
  return value === Infinity ? 'inf' : value === -Infinity ? '-inf' : String(value)
}

const TRANSFORMS = [
  'identity',
  'bucket[3]',
  'truncate[1]',
  'truncate[7]',
  'truncate[16]',
  'year',
  'month',
  'day',
  'hour',
  'void',
]

function matches(predicate: Predicate, row: Value, kind: Kind, literalValue: (literal: Literal) => Present): boolean {
  switch (predicate.op) {
    case 'and':
      return matches(predicate.left, row, kind, literalValue) && matches(predicate.right, row, kind, literalValue)
    case 'or':
      return matches(predicate.left, row, kind, literalValue) || matches(predicate.right, row, kind, literalValue)
    case 'true':
      return true
    case 'is-null':
      return row === null
    case 'not-null':
      return row !== null
    case 'in':
      return row !== null && predicate.values.some((value) => kind.compare(row, literalValue(value)) === 0)
    default: {
      if (row === null) return false
      const order = kind.compare(row, literalValue(predicate.value))
      const truth = {
        '=': order === 0,
        '!=': order !== 0,
        '<': order < 0,
        '<=': order <= 0,
        '>': order > 0,
        '>=': order >= 0,
      }
      return truth[predicate.op]
    }
  }
}

/** A file of such rows with the statistics that our writer gives. */
function fileOf(rows: readonly Value[], kind: Kind, partition: Value[], counts: boolean): DataFile {
  const present = rows.filter((row) => row !== null && !Number.isNaN(row)) as Present[]
  const sorted = present.toSorted(kind.compare)
  const lower = sorted.length === 0 ? undefined : boundOf(kind.type, kind.stat(sorted[0]!), 'lower')
  const upper = sorted.length === 0 ? undefined : boundOf(kind.type, kind.stat(sorted.at(-1)!), 'upper')
  return dataFile('f', partition, 0, {
    ...(counts
      ? {
          valueCounts: new Map([[1, rows.length]]),
          nullValueCounts: new Map([[1, rows.filter((row) => row === null).length]]),
          nanValueCounts: new Map([[1, rows.filter((row) => Number.isNaN(row)).length]]),
        }
      : {}),
    ...(lower === undefined ? {} : { lowerBounds: new Map([[1, lower]]) }),
    ...(upper === undefined ? {} : { upperBounds: new Map([[1, upper]]) }),
  })
}

function predicates(kind: Kind): fc.Arbitrary<{ predicate: Predicate; values: Map<Literal, Present> }> {
  const values = new Map<Literal, Present>()
  const literal = kind.values
    .filter((value) => !Number.isNaN(value))
    .map((value) => {
      const text = kind.literal(value)
      values.set(text, value)
      return text
    })
  const compare = fc.record({
    op: fc.constantFrom('=' as const, '!=', '<', '<=', '>', '>='),
    column: fc.constantFrom('k', 'K'),
    value: literal,
  })
  const member = fc.record({
    op: fc.constant('in' as const),
    column: fc.constant('k'),
    values: fc.array(literal, { minLength: 1, maxLength: 3 }),
  })
  const nulls = fc.record({ op: fc.constantFrom('is-null' as const, 'not-null'), column: fc.constant('k') })
  const leaf = fc.oneof({ weight: 4, arbitrary: compare }, member, nulls, fc.constant({ op: 'true' as const }))
  const tree = fc.letrec<{ node: Predicate }>((tie) => ({
    node: fc.oneof(
      { maxDepth: 2 },
      leaf as fc.Arbitrary<Predicate>,
      fc.record({
        op: fc.constantFrom('and' as const, 'or'),
        left: tie('node'),
        right: tie('node'),
      }) as fc.Arbitrary<Predicate>,
    ),
  })).node
  return tree.map((predicate) => ({ predicate, values }))
}

for (const [at, kind] of KINDS.entries()) {
  test(`no file or manifest with a matching ${kind.type} is left out (values ${at + 1})`, () => {
    const schema = schemaOf([['k', kind.type]])
    const rows = fc.array(fc.option(kind.values, { nil: null, freq: 6 }), { minLength: 1, maxLength: 6 })
    let pruned = 0
    let runs = 0
    fc.assert(
      fc.property(rows, predicates(kind), fc.boolean(), (all, { predicate, values }, counts) => {
        const literalValue = (literal: Literal) => values.get(literal)!
        const bound = bindPredicate(predicate, schema)
        const matching = all.some((row) => matches(predicate, row, kind, literalValue))
        const byBounds = fileMight(bound, fileOf(all, kind, [], counts))
        assert.ok(!matching || byBounds, 'column bounds')
        runs += 1
        if (!byBounds) pruned += 1
        for (const transform of TRANSFORMS) {
          if (!canTransform(transform, kind.type)) continue
          const columns = partitionColumns(specOf(0, [[1, transform]]), schema)
          const summary = new PartitionSummary(columns)
          for (const row of all) {
            const value = applyTransform(transform, kind.type, row)
            summary.add([value])
            const matched = matches(predicate, row, kind, literalValue)
            assert.ok(!matched || partitionMight(bound, columns, [value]), `${transform} of the tuple`)
          }
          assert.ok(!matching || summariesMight(bound, columns, summary.fields()), `${transform} of the summary`)
        }
      }),
      { numRuns: 500 },
    )
    assert.ok(pruned > runs / 50, `only ${pruned} of ${runs} files were left out: pruning does nothing`)
  })
}

test('files and partitions without a match are left out', () => {
  const schema = schemaOf([
    ['id', 'long'],
    ['ts', 'timestamptz'],
    ['s', 'string'],
  ])
  const columns = partitionColumns(
    specOf(0, [
      [1, 'bucket[16]'],
      [2, 'day'],
      [3, 'truncate[2]'],
    ]),
    schema,
  )
  const tuple: Value[] = [applyTransform('bucket[16]', 'long', 7n), 0, 'ab']
  const cases: [predicate: Predicate, might: boolean][] = [
    [{ op: '=', column: 'id', value: 7 }, true],
    [{ op: '=', column: 'id', value: 8 }, false],
    [{ op: 'in', column: 'id', values: [8, 9] }, false],
    [{ op: '>=', column: 'ts', value: '1970-01-02T00:00:00Z' }, false],
    [{ op: '>=', column: 'ts', value: '1970-01-01T23:59:59Z' }, true],
    [{ op: '>=', column: 'ts', value: '2000-01-01 00:00:00' }, true],
    [{ op: '=', column: 's', value: 'abc' }, true],
    [{ op: '=', column: 's', value: 'acb' }, false],
    [{ op: 'is-null', column: 's' }, false],
    [{ op: '=', column: 'nowhere', value: 1 }, true],
    [{ op: '=', column: 's', value: 1 }, true],
    [{ op: 'and', left: { op: 'true' }, right: { op: '=', column: 'id', value: 8 } }, false],
    [{ op: 'or', left: { op: 'true' }, right: { op: '=', column: 'id', value: 8 } }, true],
  ]
  for (const [predicate, might] of cases) {
    assert.equal(partitionMight(bindPredicate(predicate, schema), columns, tuple), might, JSON.stringify(predicate))
  }
})

test('bounds that contradict each other or are of another type say nothing', () => {
  const uuid = schemaOf([['k', 'uuid']])
  const file = dataFile('f', [], 0, {
    lowerBounds: new Map([[1, Buffer.alloc(16, 0xff)]]),
    upperBounds: new Map([[1, Buffer.alloc(16, 0x01)]]),
  })
  const equal = bindPredicate({ op: '=', column: 'k', value: '00000000-0000-0000-0000-000000000000' }, uuid)
  assert.equal(fileMight(equal, file), true)
  const int = bindPredicate({ op: '=', column: 'k', value: 5 }, schemaOf([['k', 'int']]))
  assert.equal(fileMight(int, file), true)
})
