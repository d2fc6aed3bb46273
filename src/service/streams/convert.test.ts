import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatType } from '../../iceberg/spec/type.ts'
import { type ConvertOptions, convertRecord } from './convert.ts'
import { schemaOf } from './definition.ts'
import { inferType } from './infer.ts'
import { readRecord } from './record.ts'
import { exactNumber } from './scalar.ts'

function convert(columns: Record<string, string>, text: string, options: Partial<ConvertOptions> = {}) {
  const read = readRecord(Buffer.from(text))
  if (!read.ok) return `${read.problem.code}: ${read.problem.message}`
  const converted = convertRecord(read.value, schemaOf(columns, []), { unknown: 'refuse', ...options })
  return converted.ok ? converted.row : `${converted.problem.code}: ${converted.problem.message}`
}

const good: [type: string, json: string, wire: unknown, options?: Partial<ConvertOptions>][] = [
  ['BOOLEAN', 'true', true],
  ['STRING', '"Zoë 👻"', 'Zoë 👻'],
  ['INTEGER', '2147483647', 2147483647],
  ['INTEGER', '1e3', 1000],
  ['LONG', '-9223372036854775808', -9223372036854775808n],
  ['DOUBLE', '0.1', 0.1],
  ['DECIMAL(20,2)', '123456789012345678.90', '123456789012345678.90'],
  ['DECIMAL(20,2)', '"-0.5"', '-0.50'],
  ['DECIMAL(4,4)', '0.1234', '0.1234'],
  ['DECIMAL(38,0)', '99999999999999999999999999999999999999', '99999999999999999999999999999999999999'],
  ['DATE', '"2024-02-29"', '2024-02-29'],
  ['TIME', '"22:31:08.5"', '22:31:08.500000'],
  ['TIMESTAMP', '"2022-06-18T02:00:00Z"', '2022-06-18T02:00:00'],
  ['TIMESTAMP', '"2022-06-18 02:00:00"', '2022-06-18T02:00:00'],
  ['TIMESTAMP', '"2022-06-18T02:00:00.123456+02:00"', '2022-06-18T00:00:00.123456'],
  ['TIMESTAMPTZ', '"2022-06-18T02:00:00+02:00"', '2022-06-18T00:00:00Z'],
  ['TIMESTAMP', '1655517600', '2022-06-18T02:00:00', { epochUnit: 's' }],
  ['TIMESTAMP', '1655517600.25', '2022-06-18T02:00:00.250000', { epochUnit: 's' }],
  ['TIMESTAMP', '1655517600123', '2022-06-18T02:00:00.123000', { epochUnit: 'ms' }],
  ['TIMESTAMPTZ', '1655517600123456', '2022-06-18T02:00:00.123456Z', { epochUnit: 'us' }],
  ['UUID', '"0190f5c4-1111-7abc-8def-0123456789ab"', '0190f5c4-1111-7abc-8def-0123456789ab'],
  ['BINARY', '"AP8="', '00ff'],
  ['ARRAY<LONG>', '[1, null, 3]', [1, null, 3]],
  [
    'MAP<STRING, DECIMAL(4,1)>',
    '{"a": 1.5, "__proto__": 2}',
    Object.fromEntries([
      ['a', '1.5'],
      ['__proto__', '2.0'],
    ]),
  ],
  ['STRUCT<a: STRING, b: STRUCT<c: LONG>>', '{"b": {"c": 7}}', { b: { c: 7 } }],
]

test('values of every type become the wire form without loss', () => {
  for (const [type, json, wire, options] of good) {
    assert.deepEqual(convert({ x: type }, `{"x": ${json}}`, options), { x: wire }, `${type} ${json}`)
  }
})

const bad: [type: string, json: string, complaint: RegExp, options?: Partial<ConvertOptions>][] = [
  ['STRING', '17', /^WrongType: x: expected text, got 17$/],
  ['STRING', '"\\ud800"', /half of a surrogate pair/],
  ['BOOLEAN', '"true"', /expected true or false/],
  ['INTEGER', '2147483648', /fits int/],
  ['INTEGER', '1.5', /whole number/],
  ['INTEGER', '"1"', /whole number/],
  ['LONG', '1e999999999', /whole number/],
  ['DOUBLE', '1e400', /fits double/],
  ['FLOAT', '1e39', /fits float/],
  ['DECIMAL(5,2)', '1234.5', /at most 3 digits before the point/],
  ['DECIMAL(5,2)', '0.123', /at most 2 digits after the point/],
  ['DECIMAL(5,2)', 'true', /number or a number as text/],
  ['DATE', '"2023-02-29"', /calendar/],
  ['TIMESTAMP', '"2022-06-18T02:00:00.1234567Z"', /at most 6 digits/],
  ['TIMESTAMP', '"yesterday"', /a timestamp such as/],
  ['TIMESTAMP', '1655517600', /set epochUnit/],
  ['TIMESTAMP', '1655517600', /between the years 1971 and 2200 in ms/, { epochUnit: 'ms' }],
  ['TIMESTAMP', '1655517600123', /between the years 1971 and 2200 in s/, { epochUnit: 's' }],
  ['TIMESTAMP', '1655517600123', /between the years 1971 and 2200 in us/, { epochUnit: 'us' }],
  ['TIMESTAMPTZ', '"2022-06-18T02:00:00"', /\+00:00/],
  ['UUID', '"12"', /UUID/],
  ['BINARY', '"A"', /base64/],
  ['ARRAY<LONG>', '{"0": 1}', /an array/],
  ['ARRAY<LONG NOT NULL>', '[null]', /^MissingField: x\[0\]/],
  ['STRUCT<a: STRING>', '{"b": "1"}', /^UnknownField: x\.b/],
]

test('values that do not fit are refused, with the place and what was expected', () => {
  for (const [type, json, complaint, options] of bad) {
    const result = convert({ x: type }, `{"x": ${json}}`, options)
    assert.match(
      typeof result === 'string' ? result : JSON.stringify(Object.keys(result)),
      complaint,
      `${type} ${json}`,
    )
  }
})

const web = {
  user_id: 'STRING NOT NULL',
  session_id: 'STRING NOT NULL',
  event: 'STRING NOT NULL',
  referrer: 'STRING',
  user_agent: 'STRING',
  ip: 'STRING NOT NULL',
  hostname: 'STRING NOT NULL',
  os: 'STRING',
  timestamp: 'TIMESTAMP NOT NULL',
  uri: 'STRING NOT NULL',
}
const visit = {
  user_id: 'u1',
  session_id: 's1',
  event: 'visit',
  referrer: 'https://example.com/',
  user_agent: 'Mozilla/5.0',
  ip: '192.0.2.7',
  hostname: 'shop.example.com',
  os: 'linux',
  timestamp: '2022-06-18T02:00:00Z',
  uri: '/',
}

test('web events are taken or refused record by record', () => {
  const { referrer: _referrer, ...noReferrer } = visit
  const { user_id: _user, ...noUser } = visit
  const camel = Object.fromEntries(
    Object.entries(visit).map(([name, value]) => [
      name.replace(/_(.)/g, (_all, letter: string) => letter.toUpperCase()),
      value,
    ]),
  )
  const result = (record: object) => {
    const converted = convert(web, JSON.stringify(record))
    return typeof converted === 'string' ? converted : 'ok'
  }
  assert.equal(result(visit), 'ok')
  assert.equal(result(noReferrer), 'ok')
  assert.match(result({ ...visit, timestamp: '18/Jun/2022' }), /^WrongType: timestamp: /)
  assert.equal(result(noUser), 'MissingField: user_id: expected a value, got none')
  assert.match(result({ ...visit, ip: 3232235777 }), /^WrongType: ip: expected text/)
  assert.match(result(camel), /user_id: expected a value, got none.*userId: the table has no such column/)
})

test('bytes that hold no JSON object are told apart', () => {
  const code = (bytes: Uint8Array | string) => {
    const read = readRecord(Buffer.from(bytes))
    return read.ok ? 'ok' : read.problem.code
  }
  assert.equal(code('{"a":1}\n'), 'ok')
  assert.equal(code(''), 'InvalidJson')
  assert.equal(code('{"a":1}{"a":2}'), 'InvalidJson')
  assert.equal(code('[1]'), 'NotAnObject')
  assert.equal(code('null'), 'NotAnObject')
  assert.equal(code('7'), 'NotAnObject')
  assert.equal(code(new Uint8Array([0x7b, 0xff, 0x7d])), 'InvalidEncoding')
  assert.equal(code(`{"a":"${'x'.repeat(1024_000)}"}`), 'RecordTooLarge')
  assert.equal(code(`{"a":${'['.repeat(100)}${']'.repeat(100)}}`), 'InvalidJson')
  assert.equal(code(`{"a":"${'['.repeat(100)}"}`), 'ok')
})

test('unknown members without a value lose nothing, names that differ by case are hinted at', () => {
  assert.deepEqual(convert({ a: 'STRING' }, '{"a": "1", "b": null}'), { a: '1' })
  assert.deepEqual(convert({ a: 'STRING' }, '{"a": "1", "b": 2}', { unknown: 'drop' }), { a: '1' })
  assert.match(String(convert({ a: 'STRING' }, '{"A": "1"}')), /there is "a", and names are case-sensitive/)
})

test('values show their types, and some show none', () => {
  const cases: [json: string, type: string | null][] = [
    ['null', null],
    ['1', 'long'],
    ['9223372036854775808', 'double'],
    ['1.0', 'double'],
    ['1e30', 'double'],
    ['""', 'string'],
    ['true', 'boolean'],
    ['[1, null, 2]', 'list<long>'],
    ['[1, "x"]', null],
    ['[]', null],
    ['{}', null],
    ['{"p": true, "q": null, "P": 1}', 'struct<p: boolean>'],
  ]
  for (const [json, expected] of cases) {
    const read = readRecord(Buffer.from(`{"x":${json}}`))
    assert.ok(read.ok)
    const type = inferType(read.value['x']!)
    assert.equal(type === null ? null : formatType(type), expected, json)
  }
})

test('decimals of any digits come through exactly', () => {
  fc.assert(
    fc.property(fc.bigInt(-(10n ** 38n) + 1n, 10n ** 38n - 1n), fc.integer({ min: 0, max: 38 }), (unscaled, scale) => {
      const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, '0')
      const text = `${unscaled < 0n ? '-' : ''}${scale === 0 ? digits : `${digits.slice(0, -scale)}.${digits.slice(-scale)}`}`
      assert.deepEqual(convert({ x: `DECIMAL(38,${scale})` }, `{"x": ${text}}`), { x: text })
      const exact = exactNumber(text)
      assert.ok(exact !== null && exact.digits * 10n ** BigInt(scale - exact.scale) === unscaled)
    }),
  )
})
