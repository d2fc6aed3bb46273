import assert from 'node:assert/strict'
import { test } from 'node:test'
import avsc from 'avsc'
import fc from 'fast-check'
import { parseStream, type StreamInput } from '../definition.ts'
import type { PipelineRecord, RecordOrigin } from '../pipeline.ts'
import { recordText } from '../record.ts'
import { compileAvroSchema, fingerprintOf } from './avro-schema.ts'
import { validateStep } from './validate.ts'

const origin: RecordOrigin = { receivedMs: 0, ip: null, userAgent: null }

function record(data: string | Uint8Array, index = 0): PipelineRecord {
  const bytes = Buffer.from(data as string)
  return { index, data: bytes, value: null, changed: false, destination: 'a.b', operation: undefined, outcome: null }
}

type Validate = NonNullable<StreamInput['validate']>

function stepOf(validate: Validate, operationField?: string) {
  const settings = parseStream('s', { table: 'a.b', validate }).validate
  assert.ok(settings !== undefined)
  return validateStep(settings, operationField)
}

async function run(validate: Validate, data: string | Uint8Array, operationField?: string): Promise<string> {
  const one = record(data)
  await stepOf(validate, operationField).run([one], origin)
  const { outcome } = one
  if (outcome?.kind === 'failed') return `${outcome.problem.code}: ${outcome.problem.message}`
  assert.equal(outcome, null)
  return one.changed ? recordText(one.value) : 'ok'
}

const order = {
  type: 'object',
  required: ['id', 'items'],
  properties: {
    id: { type: 'string', pattern: '^[A-Z]{2}-\\d+$' },
    kind: { enum: ['new', 'old'] },
    at: { type: 'string', format: 'date-time' },
    mail: { type: 'string', format: 'email' },
    items: {
      type: 'array',
      uniqueItems: true,
      items: { type: 'object', properties: { price: { type: 'number', minimum: 0, multipleOf: 0.01 } } },
    },
    op: true,
  },
  additionalProperties: false,
}

const JSON_CASES: [record: string, result: string][] = [
  ['{"id":"AB-1","items":[]}', 'ok'],
  ['{"id":"AB-1","items":[{"price":12.34},{"price":0}],"at":"2026-11-21T04:00:00Z","kind":"new"}', 'ok'],
  ['{"id":"AB-1"}', 'SchemaViolation: items: expected a value, got none'],
  ['{"id":"ab","items":[]}', 'SchemaViolation: id: must match pattern "^[A-Z]{2}-\\d+$", got "ab"'],
  ['{"id":"AB-1","items":[{"price":-1}]}', 'SchemaViolation: items[0].price: must be >= 0, got -1'],
  ['{"id":7,"items":[],"x":1}', 'SchemaViolation: x: the schema has no such member; id: must be string, got 7'],
  [
    '{"id":"AB-1","items":[],"kind":"x"}',
    'SchemaViolation: kind: must be equal to one of the allowed values: ["new","old"], got "x"',
  ],
  ['{"id":"AB-1","items":[],"at":"yesterday"}', 'SchemaViolation: at: must match format "date-time", got "yesterday"'],
  [
    '{"id":"AB-1","items":[{"a":1,"b":2},{"b":2,"a":1}]}',
    'SchemaViolation: items: must NOT have duplicate items, got [{"a":1,"b":2},{"b":2,"a":1}]',
  ],
  ['{"op":"delete"}', 'ok'],
  ['no json', 'ok'],
  ['[1]', 'ok'],
]

test('records that do not fit a JSON Schema fail with the path of each problem', async () => {
  for (const [data, result] of JSON_CASES) {
    assert.equal(await run({ type: 'json-schema', schema: order }, data, 'op'), result, data)
  }
  assert.equal(await run({ type: 'json-schema', schema: JSON.stringify(order) }, '{"id":"AB-1","items":[]}'), 'ok')
})

test('a record that another step has changed is checked as it is then', async () => {
  const one = record('{"id":"AB-1","items":[]}')
  one.value = { id: 'nothing' }
  one.changed = true
  await stepOf({ type: 'json-schema', schema: order }).run([one], origin)
  assert.equal(one.outcome?.kind, 'failed')
})

test('schemas of each draft are taken by their own rules', async () => {
  const tuple = { type: 'object', properties: { x: { type: 'array', items: [{ type: 'string' }] } } }
  for (const draft of ['http://json-schema.org/draft-07/schema#', 'http://json-schema.org/draft-06/schema#']) {
    assert.match(
      await run({ type: 'json-schema', schema: { $schema: draft, ...tuple } }, '{"x":[1]}'),
      /^SchemaViolation: x\[0\]/,
    )
  }
  for (const draft of [
    'https://json-schema.org/draft/2020-12/schema',
    'https://json-schema.org/draft/2019-09/schema',
  ]) {
    const schema = {
      $schema: draft,
      type: 'object',
      dependentRequired: { a: ['b'] },
      unevaluatedProperties: false,
      properties: { a: {} },
    }
    assert.match(await run({ type: 'json-schema', schema }, '{"a":1}'), /^SchemaViolation: must have property b/)
    assert.match(
      await run({ type: 'json-schema', schema }, '{"c":1}'),
      /^SchemaViolation: c: the schema has no such member/,
    )
  }
})

test('schemas that cannot be taken are refused with the settings', () => {
  const refused: [Validate, RegExp][] = [
    [{ type: 'json-schema', schema: { type: 'objekt' } }, /validate\.schema: JSON Schema: .*type/],
    [{ type: 'json-schema', schema: { $ref: 'https://example.com/other.json' } }, /can't resolve reference/],
    [{ type: 'json-schema', schema: { $schema: 'http://json-schema.org/draft-04/schema#' } }, /expected the drafts/],
    [{ type: 'json-schema', schema: { pattern: '(?=x)' } }, /JSON Schema: /],
    [{ type: 'json-schema', schema: '{' }, /validate\.schema: /],
    [{ type: 'json-schema', schema: { description: 'x'.repeat(300_000) } }, /at most 262144 bytes/],
    [{ type: 'avro', schema: { type: 'record', name: 'r' } }, /Avro schema: /],
    [{ type: 'avro', schema: '"string"' }, /expected a record, got string/],
    [
      { type: 'avro', schema: { type: 'record', name: 'r', fields: [{ name: 'a', type: 'other' }] } },
      /Avro schema: .*other/,
    ],
  ]
  for (const [validate, complaint] of refused) {
    assert.throws(() => parseStream('s', { table: 'a.b', validate }), complaint)
  }
})

test('patterns take linear time', async () => {
  const schema = { type: 'object', properties: { x: { pattern: '^(a|a)*$' } } }
  assert.match(
    await run({ type: 'json-schema', schema }, `{"x":"${'a'.repeat(50_000)}b"}`),
    /^SchemaViolation: x: must match/,
  )
})

test('a record that takes too long fails, and those beside it do not', async () => {
  const twice = { anyOf: [{ $ref: '#/$defs/node' }, { $ref: '#/$defs/node' }] }
  const schema = {
    type: 'object',
    properties: { tree: { $ref: '#/$defs/node' } },
    $defs: { node: { type: 'object', properties: { next: twice, leaf: { type: 'string' } } } },
  }
  const tree = (depth: number): string => (depth === 0 ? '{"leaf":1}' : `{"next":${tree(depth - 1)}}`)
  const step = stepOf({ type: 'json-schema', schema })
  const batch = ['{"tree":{"leaf":"x"}}', `{"tree":${tree(28)}}`, '{"tree":{"leaf":"y"}}', '{"tree":{"leaf":1}}'].map(
    record,
  )
  await step.run(batch, origin)
  assert.deepEqual(
    batch.map(({ outcome }) => (outcome?.kind === 'failed' ? outcome.problem.message : 'ok')),
    ['ok', 'checking it takes more than 500 ms', 'ok', 'tree.leaf: must be string, got 1'],
  )
})

const person = {
  type: 'record',
  name: 'Person',
  namespace: 'org.example',
  fields: [
    { name: 'name', type: 'string' },
    { name: 'age', type: ['null', 'int'], default: null },
    { name: 'born', type: ['null', { type: 'int', logicalType: 'date' }] },
    { name: 'seen', type: { type: 'long', logicalType: 'timestamp-millis' } },
    { name: 'balance', type: { type: 'bytes', logicalType: 'decimal', precision: 9, scale: 2 } },
    { name: 'kind', type: { type: 'enum', name: 'Kind', symbols: ['A', 'B'] } },
    { name: 'tags', type: { type: 'array', items: ['string', 'long'] } },
    { name: 'more', type: { type: 'map', values: 'double' } },
    { name: 'friend', type: ['null', 'Person'], default: null },
    { name: 'raw', type: ['null', 'bytes'], default: null },
  ],
}
const whole = '{"name":"x","seen":1655517600123,"balance":12.5,"kind":"A","tags":["a",7],"more":{"k":1}}'

const AVRO_CASES: [record: string, result: string][] = [
  [
    whole,
    '{"name":"x","seen":"2022-06-18T02:00:00.123Z","balance":12.5,"kind":"A","tags":["a",7],"more":{"k":1}}'.replace(
      '.123Z',
      '.123000Z',
    ),
  ],
  [whole.replace('"x"', '7'), 'SchemaViolation: name: expected text, got 7'],
  [whole.replace('"A"', '"C"'), 'SchemaViolation: kind: expected one of A, B, got "C"'],
  [whole.replace('7]', 'true]'), 'SchemaViolation: tags[1]: expected string or long, got true'],
  [
    whole.replace('12.5', '12.345'),
    'SchemaViolation: balance: expected at most 2 digits after the point (decimal(9, 2)), got 12.345',
  ],
  [whole.replace('1655517600123', '"soon"'), 'SchemaViolation: seen: expected a whole number (timestamp), got "soon"'],
  [whole.replace('"name":"x",', ''), 'SchemaViolation: name: expected string, got none'],
  [whole.replace('{"name"', '{"x":1,"name"'), 'SchemaViolation: x: the schema has no such field'],
  [whole.replace('{"name"', '{"age":"1","name"'), 'SchemaViolation: age: expected a whole number (int), got "1"'],
  [
    '{"name":1}',
    'SchemaViolation: seen: expected timestamp, got none; balance: expected decimal(9, 2), got none; kind: expected enum, got none; tags: expected array, got none; more: expected map, got none; and 1 more',
  ],
]

test('records that do not fit an Avro schema fail, and its times become text', async () => {
  for (const [data, result] of AVRO_CASES) assert.equal(await run({ type: 'avro', schema: person }, data), result, data)
  const nested = `{"age":{"int":5},"born":19161,"friend":${whole},"raw":"\\u00ff\\u0000",${whole.slice(1)}`
  const read = JSON.parse(await run({ type: 'avro', schema: person }, nested)) as Record<string, unknown>
  assert.deepEqual([read['age'], read['born'], read['raw']], [5, '2022-06-18', '/wA='])
  assert.equal((read['friend'] as Record<string, unknown>)['seen'], '2022-06-18T02:00:00.123000Z')
  assert.equal(await run({ type: 'avro', schema: person }, '{"op":"delete","name":"x"}', 'op'), 'ok')
  assert.match(
    await run({ type: 'avro', schema: person }, whole.replace('{', '{"op":"update",'), 'op'),
    /"op":"update"/,
  )
})

test('unions of records that refer to each other are not tried for ever', async () => {
  const schema = {
    type: 'record',
    name: 'A',
    fields: [
      {
        name: 'next',
        type: [
          'null',
          'A',
          { type: 'record', name: 'B', fields: [{ name: 'next', type: ['null', 'A', 'B'] }] },
          { type: 'record', name: 'C', fields: [{ name: 'next', type: ['null', 'A', 'B', 'C'] }] },
        ],
      },
    ],
  }
  const chain = `${'{"next":'.repeat(30)}7${'}'.repeat(30)}`
  assert.equal(await run({ type: 'avro', schema }, chain), 'SchemaViolation: checking it takes more than 6420 steps')
})

const library = avsc.Type.forSchema(person as avsc.Schema, { wrapUnions: true })
const sample = {
  name: 'Zoë',
  age: { int: -5 },
  born: { int: -1 },
  seen: 1655517600123,
  balance: Buffer.from([0xfb, 0x2e]),
  kind: 'B',
  tags: [{ string: 'a' }, { long: 9007199254740000 }],
  more: { k: 1.5, l: -0.25 },
  friend: null,
  raw: { bytes: Buffer.from([255, 0]) },
}
const decoded =
  '{"name":"Zoë","age":-5,"born":"1969-12-31","seen":"2022-06-18T02:00:00.123000Z","balance":"-12.34","kind":"B","tags":["a",9007199254740000],"more":{"k":1.5,"l":-0.25},"friend":null,"raw":"/wA="}'

test('bodies in binary are decoded as the library encodes them', async () => {
  const bytes = library.toBuffer(sample)
  assert.equal(await run({ type: 'avro', schema: person, encoding: 'binary' }, bytes), decoded)
  const { fingerprint } = compileAvroSchema(person)
  const framed = Buffer.concat([Buffer.from([0xc3, 0x01]), fingerprint, bytes])
  assert.equal(await run({ type: 'avro', schema: person, encoding: 'single-object' }, framed), decoded)
  framed[5] = framed[5]! ^ 1
  assert.match(
    await run({ type: 'avro', schema: person, encoding: 'single-object' }, framed),
    /written with another schema/,
  )
})

test('the fingerprint is that of the specification', () => {
  // 0x7275d51a3f395c8f is what the specification's own implementation gives.
  assert.equal(fingerprintOf('"int"').toString('hex'), '8f5c393f1ad57572')
  const one = { type: 'record', name: 'r', fields: [{ name: 'f', type: 'int', doc: 'left out' }] }
  const again = { fields: [{ type: { type: 'int' }, name: 'f' }], name: 'r', type: 'record', doc: 'left out too' }
  assert.deepEqual(compileAvroSchema(one).fingerprint, compileAvroSchema(again).fingerprint)
})

test('bytes that are no record of the schema fail, wherever they were cut or changed', async () => {
  const bytes = library.toBuffer(sample)
  const step = stepOf({ type: 'avro', schema: person, encoding: 'binary' })
  for (let end = 0; end < bytes.length; end++) {
    const cut = record(bytes.subarray(0, end))
    await step.run([cut], origin)
    assert.equal(cut.outcome?.kind, 'failed', `cut at ${end}`)
  }
  assert.match(
    await run({ type: 'avro', schema: person, encoding: 'binary' }, Buffer.concat([bytes, bytes])),
    /got \d+ more bytes/,
  )
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), fc.nat({ max: bytes.length }), async (noise, at) => {
      const mixed = record(Buffer.concat([bytes.subarray(0, at), noise]))
      await step.run([mixed], origin)
      assert.ok(mixed.outcome?.kind === 'failed' || mixed.changed)
    }),
  )
})

test('a count of items that the bytes cannot hold is not believed', async () => {
  const schema = { type: 'record', name: 'r', fields: [{ name: 'a', type: { type: 'array', items: 'null' } }] }
  const many = Buffer.from([0x0a, 0, 0, 0, 0, 0, 0])
  assert.match(await run({ type: 'avro', schema, encoding: 'binary' }, many), /items of a byte at least, got null/)
  const huge = Buffer.from([0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x00])
  assert.match(await run({ type: 'avro', schema, encoding: 'binary' }, huge), /expected at most 1 items/)
})
