/** CREATE TABLE as Athena (`TBLPROPERTIES ('table_type'='iceberg')`), Hive and Spark (`USING iceberg`) write it. */
import { Fault } from '../base/fault.ts'
import { UNPARTITIONED } from '../iceberg/spec/partition.ts'
import type { NestedField, PartitionSpec, Schema } from '../iceberg/spec/table-metadata.ts'
import { parseSpecText } from '../iceberg/spec/term-text.ts'
import type { CreateTableDdl } from './ddl.ts'
import type { DdlCursor } from './ddl-cursor.ts'
import { readProperties, type TableProperties, tableProperties } from './ddl-properties.ts'
import { isSymbol, isWord } from './tokens.ts'

/** What other kinds of tables have. */
const FOREIGN = ['CLUSTERED', 'SORTED', 'ROW', 'STORED', 'WITH', 'OPTIONS', 'LIKE', 'SKEWED']

/** From behind CREATE TABLE. @throws Fault `invalid`, `unsupported` with the place */
export function readCreateTable(cursor: DdlCursor): CreateTableDdl {
  const ifNotExists = cursor.words('IF', 'NOT', 'EXISTS')
  const name = cursor.name('the name of a table')
  if (cursor.peekWord('AS')) throw selectRefusal(cursor)
  const schema = readColumns(cursor)
  const clauses = readClauses(cursor, schema)
  const {
    comment,
    properties: { properties, notes },
  } = clauses
  return {
    kind: 'create-table',
    name,
    ifNotExists,
    schema,
    spec: clauses.spec ?? UNPARTITIONED,
    location: clauses.location ?? null,
    properties: { ...properties, ...(comment === undefined ? {} : { comment }) },
    notes:
      clauses.spark && schema.fields.some((field) => field.type === 'timestamp') ? [...notes, SPARK_TIMESTAMP] : notes,
  }
}

const SPARK_TIMESTAMP =
  'TIMESTAMP has no time zone here, as in Athena: what Spark calls TIMESTAMP is written TIMESTAMP_LTZ'

function selectRefusal(cursor: DdlCursor): Fault {
  return cursor.refusal(
    'CREATE TABLE … AS SELECT is not run: rows are written by streams and by ingest, tables are made with columns',
  )
}

/** `(column, …, PRIMARY KEY (…) NOT ENFORCED)` */
function readColumns(cursor: DdlCursor): Schema {
  cursor.expectSymbol('(')
  const fields: NestedField[] = []
  const names = new Set<string>()
  const key: string[] = []
  let keyAt: number | null = null
  let lastId = 0
  do {
    const { at } = cursor
    if (atPrimaryKey(cursor)) {
      if (keyAt !== null) throw cursor.wrong('one PRIMARY KEY')
      keyAt = at
      key.push(...readPrimaryKey(cursor))
      continue
    }
    const { field, isKey } = readColumn(cursor, () => ++lastId)
    if (names.has(field.name.toLowerCase())) {
      cursor.placed(at, () => {
        throw new Fault(
          'invalid',
          `expected columns with different names, got "${field.name}" again (case does not count)`,
        )
      })
    }
    names.add(field.name.toLowerCase())
    fields.push(field)
    if (!isKey) continue
    if (keyAt !== null) throw cursor.wrong('one PRIMARY KEY')
    keyAt = at
    key.push(field.name)
  } while (cursor.symbol(','))
  if (!cursor.symbol(')')) throw cursor.wrong('NOT NULL, COMMENT, "," or ")"')
  return cursor.placed(keyAt ?? cursor.at, () => withKey(fields, key))
}

function readColumn(cursor: DdlCursor, nextId: () => number): { field: NestedField; isKey: boolean } {
  const name = cursor.part('the name of a column')
  const id = nextId()
  const type = cursor.type(nextId)
  let required = false
  let isKey = false
  let doc: string | undefined
  for (;;) {
    if (cursor.words('NOT', 'NULL')) required = true
    else if (cursor.word('COMMENT')) doc = cursor.string('the comment, in quotes')
    else if (cursor.words('PRIMARY', 'KEY')) {
      cursor.expectWords('NOT', 'ENFORCED')
      isKey = true
    } else if (cursor.peekWord('DEFAULT', 'GENERATED')) {
      throw cursor.refusal('columns of format version 2 have no default and no generated values')
    } else if (!cursor.word('NULL')) break
  }
  return { field: { id, name, required, type, ...(doc === undefined ? {} : { doc }) }, isKey }
}

function atPrimaryKey(cursor: DdlCursor): boolean {
  const named = cursor.peekWord('CONSTRAINT') && isWord(cursor.peek(2), 'PRIMARY') ? 2 : 0
  return (
    isWord(cursor.peek(named), 'PRIMARY') &&
    isWord(cursor.peek(named + 1), 'KEY') &&
    isSymbol(cursor.peek(named + 2), '(')
  )
}

function readPrimaryKey(cursor: DdlCursor): string[] {
  if (cursor.word('CONSTRAINT')) cursor.part('the name of the constraint')
  cursor.expectWords('PRIMARY', 'KEY')
  cursor.expectSymbol('(')
  const names: string[] = []
  do names.push(cursor.part('the name of a column'))
  while (cursor.symbol(','))
  cursor.expectSymbol(')')
  // Iceberg has identifier fields, and nobody who checks that they are unique.
  cursor.expectWords('NOT', 'ENFORCED')
  return names
}

/** Key columns identify rows, so they are required. @throws Fault `invalid` for one that is no column */
function withKey(fields: readonly NestedField[], key: readonly string[]): Schema {
  const ids = key.map((name) => {
    const field =
      fields.find((each) => each.name === name) ?? fields.find((each) => each.name.toLowerCase() === name.toLowerCase())
    if (field === undefined) throw new Fault('invalid', `PRIMARY KEY: the table has no column "${name}"`)
    return field.id
  })
  return {
    type: 'struct',
    'schema-id': 0,
    ...(ids.length === 0 ? {} : { 'identifier-field-ids': [...new Set(ids)] }),
    fields: fields.map((field) => (ids.includes(field.id) ? { ...field, required: true } : field)),
  }
}

interface Clauses {
  spark: boolean
  spec?: PartitionSpec
  location?: string
  comment?: string
  properties: TableProperties
}

function readClauses(cursor: DdlCursor, schema: Schema): Clauses {
  const clauses: Clauses = { spark: false, properties: { properties: {}, notes: [] } }
  const seen = new Set<string>()
  const once = (clause: string): boolean => {
    if (!cursor.peekWord(clause)) return false
    if (seen.has(clause)) throw cursor.wrong(`${clause} once`)
    seen.add(clause)
    cursor.take()
    return true
  }
  while (!cursor.done) {
    if (once('USING')) {
      if (!cursor.word('ICEBERG')) throw cursor.wrong('ICEBERG after USING')
      clauses.spark = true
    } else if (once('COMMENT')) clauses.comment = cursor.string('the comment, in quotes')
    else if (once('PARTITIONED')) {
      cursor.expectWords('BY')
      clauses.spec = readSpec(cursor, schema)
    } else if (once('LOCATION')) clauses.location = cursor.string('the location, in quotes')
    else if (once('TBLPROPERTIES')) clauses.properties = tableProperties(cursor, readProperties(cursor), true)
    else if (cursor.peekWord('AS')) throw selectRefusal(cursor)
    else if (cursor.peekWord(...FOREIGN)) {
      const clause = cursor.peek()!.text
      throw cursor.refusal(
        `${clause} is not for Iceberg tables here: settings stand in TBLPROPERTIES ('format'='parquet', …)`,
      )
    } else throw cursor.wrong('PARTITIONED BY, LOCATION, TBLPROPERTIES, COMMENT, USING or the end of the statement')
  }
  return clauses
}

function readSpec(cursor: DdlCursor, schema: Schema): PartitionSpec {
  const { text, at } = cursor.bracketed()
  return cursor.placed(at, () => {
    if (text.trim() === '') throw new Fault('invalid', 'PARTITIONED BY: expected columns or transforms, got none')
    return parseSpecText(text, schema)
  })
}
