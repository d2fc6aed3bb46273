import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { Duck, type DuckSession, ident } from '../../duck/duck.ts'
import type { Schema } from '../../iceberg/spec/table-metadata.ts'
import { segmentRelation, valueExpression } from '../../table/transport.ts'
import { parseStream, type StreamInput, schemaOf } from './definition.ts'
import { PackedRecords } from './packed.ts'
import { readRecord } from './record.ts'
import { compileRowReader, type ReadRow, type RowSource } from './row-reader.ts'

const source = (text: string | Uint8Array): RowSource => ({
  data: Buffer.from(text as string),
  value: null,
  changed: false,
  operation: undefined,
})

function readerOf(columns: Record<string, string>, settings: Partial<StreamInput> = {}) {
  const definition = parseStream('s', { table: 'a.b', columns, ...settings })
  return compileRowReader(schemaOf(columns, definition.uniqueKeys), definition)
}

type Reader = ReturnType<typeof readerOf>

/** The same record by the exact way alone. */
function exactly(reader: Reader, record: RowSource): ReadRow {
  const read = readRecord(record.data)
  return read.ok ? reader.read({ ...record, value: read.value, changed: true }) : read
}

const rowText = (result: ReadRow): string => (result.ok ? result.rowText : `${result.problem.code}`)

test('a record that is in wire form is its own row', () => {
  const reader = readerOf({ a: 'STRING NOT NULL', n: 'LONG', t: 'TIMESTAMP', l: 'ARRAY<LONG>', s: 'STRUCT<x: DATE>' })
  for (const text of [
    '{"a":"1"}',
    '{ "n" : -17,\t"a" : "Zo\\u00eb \\" 👻", "unknown": null}',
    '{"t":"2022-06-18 02:00:00.5Z","a":"","l":[1, 2,null ],"s":{"x":"2024-02-29"},"n":null}',
  ]) {
    assert.equal(rowText(reader.read(source(`\n ${text}\n`))), text)
  }
})

test('single values are replaced in the text, and line breaks taken out of it', () => {
  const columns = { t: 'TIMESTAMP', d: 'DECIMAL(9,2)', b: 'BINARY', n: 'LONG' }
  const reader = readerOf(columns, { epochUnit: 'ms', unknownFields: 'drop' })
  assert.equal(
    rowText(reader.read(source('{"t":1655517600123,\r\n"d":12.5,"x":{"y":[1]},"b":"AP8=","n":9223372036854775807}'))),
    '{"t":"2022-06-18T02:00:00.123000", "d":"12.5","x":null,"b":"00ff","n":9223372036854775807}',
  )
})

test('rows with patches stay as they are while others are read', () => {
  const reader = readerOf({ d: 'DECIMAL(9,2)', a: 'STRING' })
  const texts = Array.from({ length: 3_000 }, (_, at) => `{"d":${at}.5,\r\n\n"a":"é${at}"}`)
  const rows = texts.map((text) => ({
    ...reader.scan(Buffer.from(text), 0, Buffer.byteLength(text), undefined, true)!,
  }))
  assert.deepEqual(
    rows.map(({ bytes, from, end }) => bytes.toString('utf8', from, end)),
    texts.map((_, at) => `{"d":"${at}.5", "a":"é${at}"}`),
  )
})

test('what may be read in two ways goes the exact way', () => {
  const reader = readerOf({ a: 'STRING', n: 'LONG', d: 'DOUBLE', m: 'MAP<STRING, LONG>', t: 'DATE' })
  const cases: [text: string, row: string][] = [
    ['{"n":1,"n":2}', '{"n":2}'],
    ['{"n":1,"\\u006e":2}', '{"n":2}'],
    ['{"a":"\\ud83d\\udc7b"}', '{"a":"👻"}'],
    ['{"n":1.0}', '{"n":1}'],
    ['{"n":-0}', '{"n":0}'],
    ['{"n":1e3}', '{"n":1000}'],
    ['{"d":-0.0}', '{"d":0}'],
    ['{"d":1e2}', '{"d":100}'],
    ['{"m":{"k":1,"k":2}}', '{"m":{"k":2}}'],
    ['{"t":"0000-01-01"}', '{"t":"0000-01-01"}'],
    ['{"x":7,"x":null}', '{}'],
  ]
  for (const [text, row] of cases) assert.equal(rowText(reader.read(source(text))), row, text)
})

test('what is no record is refused in the words of the exact way', () => {
  const reader = readerOf({ a: 'STRING', n: 'LONG' })
  for (const text of [
    '',
    '[]',
    '{"a":"1"} x',
    '{"a":"1"}{"a":"2"}',
    '{"a":"1",}',
    '{"a":"\u0001"}',
    '{"a":"\\x"}',
    '{"n":01}',
    '{"n":1.}',
    '{"n":-}',
    '{"n":tru}',
    '{"a":"\\ud800"}',
    '{"b":1}',
    '{"a":1}',
    '{"a":nul}',
    '\ufeff{"a":',
    `{"a":"${'x'.repeat(1_024_000)}"}`,
  ]) {
    const record = source(text)
    const result = reader.read(record)
    assert.ok(!result.ok, text.slice(0, 40))
    assert.deepEqual(result, exactly(reader, source(text)))
  }
  const broken = Buffer.from('{"a":"é"}')
  broken[7] = 0x20
  assert.equal(rowText(reader.read(source(broken))), 'InvalidEncoding')
})

test('the operation of a record stands in its member or beside it, and is never a column', () => {
  const reader = readerOf({ k: 'STRING', v: 'LONG' }, { uniqueKeys: ['k'], operationField: 'op' })
  const read = (text: string, operation?: 'update') => {
    const result = reader.read({ ...source(text), operation })
    return result.ok ? `${result.op} ${result.rowText}` : result.problem.code
  }
  assert.equal(read('{"k":"1","op":"update","v":1}'), 'upsert {"k":"1","op":null,"v":1}')
  assert.equal(read('{"op":"delete","k":"1","v":"no number"}'), 'delete {"k":"1"}')
  assert.equal(read('{"op":"delete","k":"1","v":1}', 'update'), 'upsert {"op":null,"k":"1","v":1}')
  assert.equal(read('{"op":"delete","op":null,"k":"1"}'), 'upsert {"op":null,"op":null,"k":"1"}')
  assert.equal(read('{"op":"merge","k":"1"}'), 'InvalidOperation')
  assert.equal(read('{"op":7,"k":"1"}'), 'InvalidOperation')
  assert.equal(read('{"op":"insert"}'), 'MissingField')
})

/** Types, and JSON texts that fit them well, badly or nearly. */
const SCALARS: Record<string, readonly string[]> = {
  BOOLEAN: ['true', 'false', '"true"', 'TRUE', '1'],
  INTEGER: [
    '0',
    '-0',
    '-17',
    '999999999',
    '2147483647',
    '2147483648',
    '1.0',
    '1.00000000000000001',
    '1e3',
    '"5"',
    '01',
  ],
  LONG: ['0', '9007199254740993', '-9223372036854775808', '9223372036854775808', '123456789012345678', '1e2', '1.5'],
  FLOAT: ['0.1', '-0.0', '3.4028236e38', '1e39', '16777217', '-0', '1e-50'],
  DOUBLE: [
    '0.1',
    '-0.0',
    '1e400',
    '1e-400',
    '-1e-400',
    '123456789012345678901',
    '18446744073709551615',
    '5e-324',
    '-1.50',
    '0.30000000000000004',
  ],
  'DECIMAL(5,2)': ['1.5', '"1.5"', '-0.05', '"-0"', '999.99', '1000', '1.505', '"007"', '1.500', '"1e2"', '""', '.5'],
  'DECIMAL(38,10)': ['1234567890123456789012345678.0123456789', '"0.1"', '-0', '1e-10'],
  STRING: [
    '""',
    '"a"',
    '"Zoë 👻"',
    '"\\u0041\\n\\\\\\/"',
    '"\\ud83d\\udc7b"',
    '"\\ud83d"',
    '"\\u0000"',
    '17',
    '"\u2028"',
    '"{\\"a\\":1}"',
    '"\ufeff"',
  ],
  DATE: [
    '"2024-02-29"',
    '"2023-02-29"',
    '"1900-02-29"',
    '"0001-01-01"',
    '"0000-12-31"',
    '"9999-12-31"',
    '"2024-1-1"',
    '"+02024-01-01"',
  ],
  TIME: [
    '"22:31:08"',
    '"22:31"',
    '"22:31:08.123456"',
    '"22:31:08.1234567"',
    '"24:00:00"',
    '"23:59:59.9"',
    '"22:31:60"',
  ],
  TIMESTAMP: [
    '"2022-06-18T02:00:00Z"',
    '"2022-06-18 02:00:00.123456"',
    '"2022-06-18T02:00:00+02:00"',
    '"2022-06-18T02:00"',
    '"0001-01-01T00:00:00"',
    '"9999-12-31T23:59:59.999999Z"',
    '1655517600',
    '"2022-06-18t02:00:00"',
    '"2022-06-18T02:00:00.1234567"',
    '"2022-06-18T24:00:00"',
    '"2022-06-31T00:00:00"',
    '"1969-12-31T23:59:59.000001Z"',
  ],
  TIMESTAMPTZ: [
    '"2022-06-18T02:00:00Z"',
    '"2022-06-18 02:00:00.12Z"',
    '"2022-06-18T02:00:00-0530"',
    '"2022-06-18T02:00:00"',
    '"0001-01-01T00:00:00+01:00"',
    '1655517600.5',
  ],
  UUID: ['"0190f5c4-1111-7abc-8def-0123456789ab"', '"0190F5C4-1111-7ABC-8DEF-0123456789AB"', '"0190f5c4"'],
  BINARY: ['"AP8="', '""', '"A"', '"_w=="'],
}
const typeNames = Object.keys(SCALARS)

interface Typed {
  type: string
  value: fc.Arbitrary<string>
}

const blank = fc.constantFrom('', '', '', ' ', '\t', '\n', '\r\n')

function scalar(type: string): Typed {
  const integers = fc.bigInt(-(2n ** 64n), 2n ** 64n).map(String)
  const doubles = fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value))
  const texts = fc.string({ unit: 'binary', maxLength: 8 }).map((text) => JSON.stringify(text))
  const extra = /INT|LONG/.test(type)
    ? integers
    : /DOUBLE|FLOAT|DEC/.test(type)
      ? doubles
      : /STR/.test(type)
        ? texts
        : fc.constant('null')
  return {
    type,
    value: fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom(...SCALARS[type]!) },
      { weight: 2, arbitrary: extra },
      fc.constant('null'),
    ),
  }
}

const quoted = (name: string): string => JSON.stringify(name)

function object(members: fc.Arbitrary<(readonly [string, string])[]>): fc.Arbitrary<string> {
  return fc
    .tuple(members, blank, blank)
    .map(([pairs, a, b]) => `{${a}${pairs.map(([name, value]) => `${b}${name}${a}:${b}${value}${a}`).join(',')}${b}}`)
}

/** Members of these fields: some left out, some twice, some unknown, in another order now and then. */
function membersOf(fields: readonly (readonly [string, Typed])[]): fc.Arbitrary<(readonly [string, string])[]> {
  const pairs = fields.map(([name, { value }]) => value.map((text) => [quoted(name), text] as const))
  const odd = fc.constantFrom(
    ['"x"', 'null'],
    ['"x"', '1'],
    ['"A"', 'null'],
    ['"\\u0061"', 'null'],
    ['"op"', '"insert"'],
    ['"__proto__"', 'null'],
    ['"1"', 'null'],
  ) as fc.Arbitrary<readonly [string, string]>
  return fc
    .tuple(fc.tuple(...pairs), fc.nat({ max: 30 }), fc.nat({ max: 9 }), odd)
    .map(([all, leave, twist, extra]) => {
      const some = leave < all.length ? all.toSpliced(leave, 1) : [...all]
      if (twist === 0) return [...some, extra]
      if (twist === 1 && some.length > 0) return [...some, some[0]!]
      return twist < 5 ? some.reverse() : some
    })
}

const typed: fc.Arbitrary<Typed> = fc.letrec<{ any: Typed }>((tie) => ({
  any: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom(...typeNames).map(scalar),
    tie('any').map(
      ({ type, value }): Typed => ({
        type: `ARRAY<${type}>`,
        value: fc
          .tuple(fc.array(value, { maxLength: 3 }), blank)
          .map(([items, gap]) => `[${gap}${items.join(`${gap},`)}]`),
      }),
    ),
    tie('any').map(
      ({ type, value }): Typed => ({
        type: `MAP<STRING, ${type}>`,
        value: object(fc.array(fc.tuple(fc.constantFrom('"a"', '"b"', '"\\u0061"', '"é"'), value), { maxLength: 2 })),
      }),
    ),
    fc.tuple(tie('any'), tie('any'), fc.boolean()).map(
      ([a, b, required]): Typed => ({
        type: `STRUCT<a: ${a.type}${required ? ' NOT NULL' : ''}, b: ${b.type}>`,
        value: object(
          membersOf([
            ['a', a],
            ['b', b],
          ]),
        ),
      }),
    ),
  ),
})).any

const NAMES = ['a', 'b', 'é', 'with space', 'q"t']

interface Case {
  columns: Record<string, string>
  records: string[]
  settings: Partial<StreamInput>
}

const cases: fc.Arbitrary<Case> = fc.array(typed, { minLength: 1, maxLength: NAMES.length }).chain((types) => {
  const fields = types.map((type, at) => [NAMES[at]!, type] as const)
  return fc.record({
    columns: fc.constant(Object.fromEntries(fields.map(([name, { type }]) => [name, type]))),
    records: fc.array(object(membersOf(fields)), { minLength: 1, maxLength: 12 }),
    settings: fc.record({
      unknownFields: fc.constantFrom('drop', 'dead-letter'),
      strictness: fc.constantFrom('exact', 'convert'),
      epochUnit: fc.constantFrom(undefined, 's', 'auto'),
      dateFormats: fc.constantFrom([], ['yyyy-dd-MM']),
    }) as fc.Arbitrary<Partial<StreamInput>>,
  })
})

describe('both ways give the same table', () => {
  let duck: Duck
  let session: DuckSession
  let dir: string
  before(async () => {
    duck = await Duck.open({ memoryMiB: 128, threads: 1 })
    session = await duck.connect()
    dir = await mkdtemp(join(tmpdir(), 'tidewater-rows-'))
  })
  after(async () => {
    duck.close()
    await rm(dir, { recursive: true, force: true })
  })

  /** Rows as DuckDB reads them from a segment, each column as text. */
  async function table(rows: readonly string[], schema: Schema): Promise<unknown[]> {
    const path = join(dir, 'segment.ndjson')
    await writeFile(path, rows.map((row, at) => `{"offset":${at},"input":0,"op":"upsert","row":${row}}\n`).join(''))
    const columns = schema.fields.map(
      (field) => `CAST(${valueExpression(field, 'b.row')} AS VARCHAR) AS ${ident(field.name)}`,
    )
    const relation = segmentRelation([path], schema.fields, { from: 0, end: rows.length }, 1024 ** 2)
    return session.rows(`SELECT ${columns.join(', ')} FROM (${relation}) b ORDER BY "offset"`)
  }

  test('and a record among others is read as it is by itself', () => {
    let rows = 0
    const among = fc.record({
      case: cases,
      between: fc.constantFrom('', '\n', ',', '\r\n '),
      cuts: fc.array(fc.nat({ max: 60 }), { maxLength: 3 }),
      stray: fc.constantFrom('', '\xff', '"', '}', '1'),
    })
    fc.assert(
      fc.property(among, ({ case: { columns, records, settings }, between, cuts, stray }) => {
        const reader = readerOf(columns, settings)
        // Some end too early: what follows must not complete them.
        const parts = records.map((text, at) =>
          at < cuts.length ? Buffer.from(text).subarray(0, cuts[at]) : Buffer.from(text),
        )
        const bounds: number[] = []
        let at = 0
        for (const part of parts) {
          bounds.push(at, at + part.length)
          at += part.length + between.length
        }
        const bytes = Buffer.concat([
          ...parts.flatMap((part) => [part, Buffer.from(between)]),
          Buffer.from(stray, 'latin1'),
        ])
        const packed = new PackedRecords(bytes, bounds)
        for (const [place, part] of parts.entries()) {
          const row = reader.scan(bytes, packed.from(place), packed.end(place), undefined, packed.isText)
          const text = row === null ? null : row.bytes.toString('utf8', row.from, row.end)
          const alone = reader.scan(Buffer.from(part), 0, part.length, undefined, false)
          assert.equal(text, alone === null ? null : alone.bytes.toString('utf8', alone.from, alone.end))
          if (text !== null) {
            rows++
            assert.ok(exactly(reader, source(part)).ok, text)
          }
        }
      }),
      { numRuns: Number(process.env['ROW_RUNS'] ?? 300) },
    )
    assert.ok(rows > 100, `${rows} rows`)
  })

  test('for records and schemas of every kind', async () => {
    let fast = 0
    let all = 0
    await fc.assert(
      fc.asyncProperty(cases, async ({ columns, records, settings }) => {
        const reader = readerOf(columns, settings)
        const pairs = records.map((text) => ({
          text,
          quick: reader.read(source(text)),
          exact: exactly(reader, source(text)),
        }))
        for (const { text, quick, exact } of pairs) {
          all++
          if (quick.ok && exact.ok) {
            assert.equal(quick.op, exact.op)
            assert.ok(!/[\r\n]/.test(quick.rowText), text)
            if (quick.rowText !== exact.rowText) fast++
          } else assert.deepEqual(quick, exact, text)
        }
        const rows = pairs.flatMap(({ quick, exact }) => (quick.ok && exact.ok ? [[quick.rowText, exact.rowText]] : []))
        if (rows.length === 0) return
        const schema = schemaOf(columns, [])
        assert.deepEqual(
          await table(
            rows.map(([quick]) => quick!),
            schema,
          ),
          await table(
            rows.map(([, exact]) => exact!),
            schema,
          ),
          rows.map(([quick]) => quick).join('\n'),
        )
      }),
      { numRuns: Number(process.env['ROW_RUNS'] ?? 150) },
    )
    assert.ok(fast > all / 20, `of ${all} records ${fast} went the fast way with a text of their own`)
  })
})
