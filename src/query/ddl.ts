/**
 * Statements that make and change tables and databases, as Athena, Hive and Spark write them: text → what is to be done.
 *
 * DuckDB cannot read these, so they have a small parser of their own. It reads tokens one after another, never runs anything, and
 * knows nothing of what there is in the catalog (`ddl-run.ts` does). Every error names the line and column where the text stops
 * making sense. Statements that read, and all others, never come here.
 */
import type { SchemaEdit } from '../iceberg/action/evolve-schema.ts'
import type { PartitionSpec, Schema } from '../iceberg/spec/table-metadata.ts'
import { readAlterTable } from './ddl-alter.ts'
import { readCreateTable } from './ddl-create.ts'
import type { DdlCursor } from './ddl-cursor.ts'
import { readProperties } from './ddl-properties.ts'

export type Ddl =
  | { kind: 'create-database'; name: string[]; ifNotExists: boolean; properties: Record<string, string> }
  | { kind: 'drop-database'; name: string[]; ifExists: boolean; cascade: boolean }
  | CreateTableDdl
  | { kind: 'drop-table'; name: string[]; ifExists: boolean }
  | { kind: 'alter-columns'; name: string[]; edits: SchemaEdit[] }
  | { kind: 'set-properties'; name: string[]; properties: Record<string, string>; notes: string[] }
  | { kind: 'unset-properties'; name: string[]; properties: string[]; ifExists: boolean }

export interface CreateTableDdl {
  kind: 'create-table'
  name: string[]
  ifNotExists: boolean
  /** With provisional ids. */
  schema: Schema
  spec: PartitionSpec
  /** As it is written, placeholders and all. */
  location: string | null
  properties: Record<string, string>
  /** What its writer may want to know. */
  notes: string[]
}

/** Words with which a statement that changes something may begin. */
const DATABASE = ['DATABASE', 'SCHEMA', 'NAMESPACE']

/** @throws Fault `invalid` with the place, `unsupported` for what Iceberg tables or Tidewater do not have */
export function readDdl(cursor: DdlCursor): Ddl {
  const ddl = cursor.word('CREATE') ? readCreate(cursor) : cursor.word('DROP') ? readDrop(cursor) : readAlter(cursor)
  cursor.end()
  return ddl
}

function readCreate(cursor: DdlCursor): Ddl {
  if (cursor.word(...DATABASE)) return readCreateDatabase(cursor)
  if (cursor.peekWord('OR')) {
    throw cursor.refusal(
      'CREATE OR REPLACE TABLE would lose the rows and the history: DROP TABLE first, then CREATE TABLE',
    )
  }
  if (cursor.peekWord('EXTERNAL')) throw cursor.refusal('Iceberg tables are not EXTERNAL: write CREATE TABLE')
  if (cursor.word('TABLE')) return readCreateTable(cursor)
  throw cursor.wrong('TABLE, DATABASE or VIEW')
}

function readCreateDatabase(cursor: DdlCursor): Ddl {
  const ifNotExists = cursor.words('IF', 'NOT', 'EXISTS')
  const name = cursor.name('the name of a database')
  let properties: Record<string, string> = {}
  while (!cursor.done) {
    if (cursor.word('COMMENT')) properties = { ...properties, comment: cursor.string('the comment, in quotes') }
    else if (cursor.word('LOCATION')) properties = { ...properties, location: cursor.string('the location, in quotes') }
    else if (cursor.words('WITH', 'DBPROPERTIES') || cursor.word('DBPROPERTIES', 'PROPERTIES')) {
      const given = readProperties(cursor).map(({ name: key, value }) => [key, value])
      properties = { ...properties, ...Object.fromEntries(given) }
    } else throw cursor.wrong('COMMENT, LOCATION, WITH DBPROPERTIES or the end of the statement')
  }
  return { kind: 'create-database', name, ifNotExists, properties }
}

function readDrop(cursor: DdlCursor): Ddl {
  if (cursor.word('TABLE')) {
    const ifExists = cursor.words('IF', 'EXISTS')
    const name = cursor.name('the name of a table')
    if (cursor.peekWord('PURGE')) {
      throw cursor.refusal('PURGE is not offered: DROP TABLE says where the files are, and leaves them')
    }
    return { kind: 'drop-table', name, ifExists }
  }
  if (!cursor.word(...DATABASE)) throw cursor.wrong('TABLE, DATABASE or VIEW')
  const ifExists = cursor.words('IF', 'EXISTS')
  const name = cursor.name('the name of a database')
  const cascade = cursor.word('CASCADE')
  if (!cascade) cursor.word('RESTRICT')
  return { kind: 'drop-database', name, ifExists, cascade }
}

function readAlter(cursor: DdlCursor): Ddl {
  cursor.expectWords('ALTER', 'TABLE')
  return readAlterTable(cursor)
}
