/**
 * Types as people write them in configuration and SQL: `INTEGER`, `DECIMAL(9,2)`, `ARRAY<STRING>`, `MAP<STRING, LONG>`,
 * `STRUCT<a: STRING NOT NULL, b: ARRAY<INTEGER>>`. The names of Spark, Trino, DuckDB and of the format itself are taken.
 */
import { NESTING_MAX } from './schema.ts'
import type { NestedField, Type } from './table-metadata.ts'
import { TextReader, type Token } from './text-reader.ts'
import { formatPrimitive, isPrimitive, tryParsePrimitive } from './type.ts'

const NAMES: Readonly<Record<string, string>> = {
  bool: 'boolean',
  boolean: 'boolean',
  tinyint: 'int',
  byte: 'int',
  smallint: 'int',
  short: 'int',
  int: 'int',
  integer: 'int',
  int32: 'int',
  bigint: 'long',
  long: 'long',
  int64: 'long',
  float: 'float',
  real: 'float',
  double: 'double',
  float64: 'double',
  date: 'date',
  time: 'time',
  datetime: 'timestamp',
  timestamp: 'timestamp',
  timestamp_ntz: 'timestamp',
  timestamptz: 'timestamptz',
  timestamp_ltz: 'timestamptz',
  timestamp_ns: 'timestamp_ns',
  timestamptz_ns: 'timestamptz_ns',
  string: 'string',
  text: 'string',
  varchar: 'string',
  char: 'string',
  uuid: 'uuid',
  binary: 'binary',
  varbinary: 'binary',
  bytes: 'binary',
  blob: 'binary',
  unknown: 'unknown',
  variant: 'variant',
  geometry: 'geometry',
  geography: 'geography',
}

/**
 * Text → type. Elements, values and fields are optional unless they say `NOT NULL`.
 * @param nextId gives ids to nested fields, in the order they are met
 * @throws Fault `invalid` naming the character where the text stops making sense
 */
export function parseTypeText(text: string, nextId: () => number): Type {
  const reader = new TextReader(text, 'the type')
  const type = readType(reader, nextId, 0)
  if (!reader.done) throw reader.wrong('the end of the type')
  return type
}

function readType(reader: TextReader, nextId: () => number, depth: number): Type {
  if (depth > NESTING_MAX) throw reader.wrong(`types nested at most ${NESTING_MAX} deep`)
  const token = reader.word('a type')
  const name = token.text.toLowerCase()
  switch (name) {
    case 'array':
    case 'list': {
      const close = openBracket(reader)
      const id = nextId()
      const element = readType(reader, nextId, depth + 1)
      const required = readNotNull(reader)
      reader.expect(close)
      return { type: 'list', 'element-id': id, 'element-required': required, element }
    }
    case 'map': {
      const close = openBracket(reader)
      const keyId = nextId()
      const valueId = nextId()
      const key = readType(reader, nextId, depth + 1)
      readNotNull(reader)
      reader.expect(',')
      const value = readType(reader, nextId, depth + 1)
      const required = readNotNull(reader)
      reader.expect(close)
      return { type: 'map', 'key-id': keyId, key, 'value-id': valueId, 'value-required': required, value }
    }
    case 'struct':
    case 'row':
      return readStruct(reader, nextId, depth)
    default:
      return readPrimitive(reader, token)
  }
}

function readStruct(reader: TextReader, nextId: () => number, depth: number): Type {
  const close = openBracket(reader)
  const fields: NestedField[] = []
  do {
    const name = reader.word('the name of a field').text
    const id = nextId()
    reader.take(':')
    const type = readType(reader, nextId, depth + 1)
    fields.push({ id, name, required: readNotNull(reader), type })
  } while (reader.take(','))
  reader.expect(close)
  return { type: 'struct', fields }
}

/** `<…>`, or `(…)` as Trino and DuckDB write it. Gives the sign that closes it. */
function openBracket(reader: TextReader): string {
  if (reader.take('<')) return '>'
  if (reader.take('(')) return ')'
  throw reader.wrong('"<"')
}

function readNotNull(reader: TextReader): boolean {
  if (reader.take('not')) {
    reader.expect('null')
    return true
  }
  reader.take('null')
  return false
}

function readPrimitive(reader: TextReader, token: Token): Type {
  const name = token.text.toLowerCase()
  if (name === 'decimal' || name === 'numeric') return readDecimal(reader)
  if (name === 'fixed') {
    const close = reader.take('[') ? ']' : reader.take('(') ? ')' : undefined
    if (close === undefined) throw reader.wrong('"["')
    const length = reader.whole('the length of fixed, in bytes')
    reader.expect(close)
    return checked(reader, `fixed[${length}]`)
  }
  const known = Object.hasOwn(NAMES, name) ? NAMES[name] : undefined
  if (known === undefined) throw reader.wrongAt(token, 'a type such as long, string or decimal(9,2)')
  if ((name === 'varchar' || name === 'char') && reader.take('(')) {
    reader.whole('the length of the text')
    reader.expect(')')
  }
  return readTimeZone(reader, known)
}

function readDecimal(reader: TextReader): Type {
  // As Spark has it: decimal alone is decimal(10,0).
  if (!reader.take('(')) return 'decimal(10,0)'
  const precision = reader.whole('the digits of the decimal')
  const scale = reader.take(',') ? reader.whole('the digits after the point') : 0
  reader.expect(')')
  return checked(reader, `decimal(${precision},${scale})`)
}

/** `TIMESTAMP(6) WITH TIME ZONE` and its like. */
function readTimeZone(reader: TextReader, known: string): Type {
  if (known !== 'timestamp' && known !== 'time') return known
  let digits = 6
  if (reader.take('(')) {
    digits = reader.whole('the digits of a second')
    reader.expect(')')
  }
  let zoned = false
  if (reader.take('with')) zoned = true
  else if (!reader.take('without')) return withDigits(known, digits)
  reader.take('local')
  reader.expect('time')
  reader.expect('zone')
  return withDigits(zoned ? 'timestamptz' : known, digits)
}

function withDigits(type: string, digits: number): Type {
  return digits > 6 && type.startsWith('timestamp') ? `${type}_ns` : type
}

function checked(reader: TextReader, text: string): Type {
  const primitive = tryParsePrimitive(text)
  if (primitive === null)
    throw reader.wrong(`a type of the format (decimals have 1 to 38 digits) instead of ${text}; before`)
  return formatPrimitive(primitive)
}

/** Type → text that `parseTypeText` reads, in the upper case of SQL: `MAP<STRING, ARRAY<LONG>>`. */
export function formatTypeText(type: Type): string {
  if (isPrimitive(type)) return type === 'int' ? 'INTEGER' : type.toUpperCase()
  switch (type.type) {
    case 'list':
      return `ARRAY<${formatTypeText(type.element)}${notNull(type['element-required'])}>`
    case 'map':
      return `MAP<${formatTypeText(type.key)}, ${formatTypeText(type.value)}${notNull(type['value-required'])}>`
    case 'struct': {
      const fields = type.fields.map(
        (field) => `${quoted(field.name)}: ${formatTypeText(field.type)}${notNull(field.required)}`,
      )
      return `STRUCT<${fields.join(', ')}>`
    }
  }
}

function notNull(required: boolean): string {
  return required ? ' NOT NULL' : ''
}

function quoted(name: string): string {
  return /^[\p{L}_][\p{L}\p{N}_]*$/u.test(name) ? name : `"${name.replaceAll('"', '""')}"`
}
