import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileDateFormat } from './date-format.ts'
import { NumberText, type RecordValue } from './record.ts'
import { convertScalar, Misfit, type ScalarRules } from './scalar.ts'

const n = (text: string) => new NumberText(text)

function wire(value: RecordValue, type: string, rules: ScalarRules = {}): string {
  const result = convertScalar(value, type, rules)
  return result instanceof Misfit ? 'no' : `${typeof result} ${result}`
}

/** Value, column, what `exact` makes of it, what `convert` makes of it. */
const TABLE: [value: RecordValue, type: string, exact: string, convert: string][] = [
  ['17', 'long', 'no', 'number 17'],
  ['17', 'int', 'no', 'number 17'],
  [' 17', 'long', 'no', 'no'],
  ['0x11', 'long', 'no', 'no'],
  ['', 'long', 'no', 'no'],
  ['1.5', 'long', 'no', 'no'],
  ['9007199254740993', 'long', 'no', 'bigint 9007199254740993'],
  ['9223372036854775808', 'long', 'no', 'no'],
  [n('1.0'), 'long', 'number 1', 'number 1'],
  [n('1.5'), 'int', 'no', 'no'],
  ['1.5', 'double', 'no', 'number 1.5'],
  ['NaN', 'double', 'no', 'no'],
  ['1.5', 'decimal(5, 2)', 'string 1.50', 'string 1.50'],
  [n('17'), 'string', 'no', 'string 17'],
  [n('1.50'), 'string', 'no', 'string 1.50'],
  [true, 'string', 'no', 'string true'],
  [{ a: [n('1.0'), null] }, 'string', 'no', 'string {"a":[1.0,null]}'],
  ['\ud800', 'string', 'no', 'no'],
  ['true', 'boolean', 'no', 'boolean true'],
  ['FALSE', 'boolean', 'no', 'boolean false'],
  ['yes', 'boolean', 'no', 'no'],
  [n('1'), 'boolean', 'no', 'no'],
  [true, 'long', 'no', 'no'],
  [n('20260101'), 'date', 'no', 'no'],
  ['1655517600', 'timestamp', 'no', 'no'],
]

test('each strictness takes what its table says', () => {
  for (const [value, type, exact, convert] of TABLE) {
    assert.equal(wire(value, type), exact, `exact ${JSON.stringify(value)} ${type}`)
    assert.equal(wire(value, type, { strictness: 'convert' }), convert, `convert ${JSON.stringify(value)} ${type}`)
  }
})

test('epoch numbers are of the unit that is set, or of the one that their size tells', () => {
  const cases: [text: string, unit: NonNullable<ScalarRules['epochUnit']>, result: string][] = [
    ['1655517600', 's', 'string 2022-06-18T02:00:00'],
    ['1655517600123', 'ms', 'string 2022-06-18T02:00:00.123000'],
    ['1655517600123456', 'us', 'string 2022-06-18T02:00:00.123456'],
    ['1655517600123456789', 'ns', 'string 2022-06-18T02:00:00.123456'],
    ['1655517600123456.5', 'us', 'no'],
    ['-1655517600', 's', 'no'],
    ['4102444800000001', 'us', 'string 2100-01-01T00:00:00.000001'],
    ['1655517600', 'auto', 'string 2022-06-18T02:00:00'],
    ['1655517600.25', 'auto', 'string 2022-06-18T02:00:00.250000'],
    ['1655517600123', 'auto', 'string 2022-06-18T02:00:00.123000'],
    ['1655517600123456', 'auto', 'string 2022-06-18T02:00:00.123456'],
    ['1655517600123456789', 'auto', 'string 2022-06-18T02:00:00.123456'],
    ['31536000', 'auto', 'string 1971-01-01T00:00:00'],
    ['31535999', 'auto', 'no'],
    ['7258118399', 'auto', 'string 2199-12-31T23:59:59'],
    ['7258118400', 'auto', 'no'],
    ['31536000000', 'auto', 'string 1971-01-01T00:00:00'],
    ['1655517600', 'ns', 'no'],
  ]
  for (const [text, epochUnit, result] of cases) {
    assert.equal(wire(n(text), 'timestamp', { epochUnit }), result, `${text} ${epochUnit}`)
    assert.equal(wire(text, 'timestamp', { epochUnit }), 'no')
    assert.equal(wire(text, 'timestamp', { epochUnit, strictness: 'convert' }), result)
  }
  assert.equal(wire(n('1655517600'), 'timestamptz', { epochUnit: 'auto' }), 'string 2022-06-18T02:00:00Z')
})

const FORMATS: [pattern: string, text: string, type: string, result: string][] = [
  ['dd/MMM/yyyy:HH:mm:ss Z', '18/Jun/2022:04:00:00 +0200', 'timestamp', '2022-06-18T02:00:00'],
  ['dd/MM/yyyy', '18/06/2022', 'date', '2022-06-18'],
  ['d.M.yyyy H:mm', '8.6.2022 2:05', 'timestamptz', '2022-06-08T02:05:00Z'],
  ['MMMM d, yyyy', 'june 8, 2022', 'date', '2022-06-08'],
  [`yyyy-MM-dd'T'HH:mm:ss.SSS${'X'.repeat(3)}`, '2022-06-18T02:00:00.250Z', 'timestamp', '2022-06-18T02:00:00.250000'],
  ['yyyyMMdd', '20220618', 'date', '2022-06-18'],
  ['yyyyMMddHHmmss', '20220618020000', 'timestamp', '2022-06-18T02:00:00'],
  ['MM/dd/yy hh:mm a', '06/18/69 12:30 am', 'timestamp', '1969-06-18T00:30:00'],
  ['MM/dd/yy hh:mm a', '06/18/68 12:30 PM', 'timestamp', '2068-06-18T12:30:00'],
  ["yyyy 'o''clock' MM dd", "2022 o'clock 06 18", 'date', '2022-06-18'],
  ['dd/MM/yyyy', '2022-06-18', 'date', '2022-06-18'],
]

test('dates are read by the formats given, and by ISO 8601 after them', () => {
  for (const [pattern, text, type, result] of FORMATS) {
    const rules = { dateFormats: [compileDateFormat(pattern)], strictness: 'convert', epochUnit: 's' } as const
    assert.equal(wire(text, type, rules), `string ${result}`, `${pattern} ${text}`)
  }
  const rules = { dateFormats: [compileDateFormat('dd/MM/yyyy')] }
  for (const text of ['31/02/2022', '1/2/2022', '01-02-2022', '01/13/2022', '01/02/0000']) {
    assert.equal(wire(text, 'date', rules), 'no', text)
  }
})

test('patterns that cannot say a date are refused', () => {
  for (const [pattern, complaint] of [
    ['yyyy-MM', /a year, a month and a day/],
    ['yyyy-MM-dd QQ', /got "QQ"/],
    ['yyyy-MM-dd yyyy', /says the year again/],
    ['yyyy-MM-dd hh', /hh and a/],
    ["yyyy-MM-dd 'T", /not closed/],
  ] as const) {
    assert.throws(() => compileDateFormat(pattern), complaint)
  }
})
