/** ALTER TABLE: columns and properties, as Athena, Hive and Spark write it. */
import type { ColumnPlace, SchemaEdit } from '../iceberg/action/evolve-schema.ts'
import type { Ddl } from './ddl.ts'
import type { DdlCursor } from './ddl-cursor.ts'
import { propertyName, readProperties, readPropertyNames, tableProperties } from './ddl-properties.ts'
import { isWord } from './tokens.ts'

const COLUMN = 'the name of a column'

/** From behind ALTER TABLE. @throws Fault `invalid`, `unsupported` with the place */
export function readAlterTable(cursor: DdlCursor): Ddl {
  const name = cursor.name('the name of a table')
  if (cursor.word('SET')) {
    cursor.expectWords('TBLPROPERTIES')
    return { kind: 'set-properties', name, ...tableProperties(cursor, readProperties(cursor), false) }
  }
  if (cursor.word('UNSET')) {
    cursor.expectWords('TBLPROPERTIES')
    const ifExists = cursor.words('IF', 'EXISTS')
    const properties = readPropertyNames(cursor).map((each) => cursor.placed(each.at, () => propertyName(each.name)))
    return { kind: 'unset-properties', name, properties, ifExists }
  }
  return { kind: 'alter-columns', name, edits: readEdits(cursor) }
}

function readEdits(cursor: DdlCursor): SchemaEdit[] {
  if (cursor.word('ADD')) {
    if (!cursor.word('COLUMN', 'COLUMNS')) throw cursor.wrong('COLUMN or COLUMNS')
    return listed(cursor, () => readAdded(cursor))
  }
  if (cursor.word('DROP')) {
    if (!cursor.word('COLUMN', 'COLUMNS')) throw cursor.wrong('COLUMN or COLUMNS')
    return listed(cursor, () => ({ edit: 'drop', column: readColumn(cursor) }))
  }
  if (cursor.word('RENAME')) {
    if (cursor.peekWord('TO'))
      throw cursor.refusal('tables are not renamed by SQL: whoever writes them would not find them')
    cursor.expectWords('COLUMN')
    const column = readColumn(cursor)
    cursor.expectWords('TO')
    return [{ edit: 'rename', column, to: cursor.part('the new name of the column') }]
  }
  if (cursor.word('CHANGE')) return readChange(cursor)
  if (cursor.word('ALTER')) {
    cursor.word('COLUMN')
    return [readAltered(cursor)]
  }
  throw cursor.wrong('ADD, DROP, RENAME, ALTER or CHANGE COLUMN, SET or UNSET TBLPROPERTIES')
}

/** `(a, b)`, `a, b` or `a`. */
function listed(cursor: DdlCursor, read: () => SchemaEdit): SchemaEdit[] {
  const bracket = cursor.symbol('(')
  const edits: SchemaEdit[] = []
  do edits.push(read())
  while (cursor.symbol(','))
  if (bracket && !cursor.symbol(')')) throw cursor.wrong('"," or ")"')
  return edits
}

function readColumn(cursor: DdlCursor): string {
  return cursor.name(COLUMN).join('.')
}

function readAdded(cursor: DdlCursor): SchemaEdit {
  const path = cursor.name(COLUMN)
  // The action gives ids of its own.
  const type = cursor.type(() => 0)
  const edit: Extract<SchemaEdit, { edit: 'add' }> = { edit: 'add', name: path.pop()!, type }
  if (path.length > 0) edit.parent = path.join('.')
  for (;;) {
    const place = readPlace(cursor)
    if (place !== null) edit.place = place
    else if (cursor.words('NOT', 'NULL')) edit.required = true
    else if (cursor.word('COMMENT')) edit.doc = cursor.string('the comment, in quotes')
    else if (cursor.peekWord('DEFAULT')) throw cursor.refusal('columns of format version 2 have no default')
    else return edit
  }
}

function readPlace(cursor: DdlCursor): ColumnPlace | null {
  if (cursor.word('FIRST')) return 'first'
  return cursor.word('AFTER') ? { after: cursor.part(COLUMN) } : null
}

/** `CHANGE [COLUMN] old new type [COMMENT 'x'] [FIRST | AFTER c]`: what differs is changed. The new name comes last. */
function readChange(cursor: DdlCursor): SchemaEdit[] {
  cursor.word('COLUMN')
  const column = readColumn(cursor)
  const to = cursor.part('the new name of the column')
  const edits: SchemaEdit[] = [{ edit: 'widen', column, to: cursor.type(() => 0) }]
  if (cursor.word('COMMENT')) edits.push({ edit: 'set-doc', column, doc: cursor.string('the comment, in quotes') })
  const place = readPlace(cursor)
  if (place !== null) edits.push({ edit: 'move', column, place })
  return [...edits, { edit: 'rename', column, to }]
}

function readAltered(cursor: DdlCursor): SchemaEdit {
  const column = readColumn(cursor)
  if (cursor.peekWord('SET') && isWord(cursor.peek(1), 'NOT')) {
    throw cursor.refusal('a column that may be null stays so: rows written before may have no value')
  }
  if (cursor.word('TYPE') || cursor.words('SET', 'DATA', 'TYPE')) {
    return { edit: 'widen', column, to: cursor.type(() => 0) }
  }
  if (cursor.words('DROP', 'NOT', 'NULL')) return { edit: 'make-optional', column }
  if (cursor.word('COMMENT')) return { edit: 'set-doc', column, doc: cursor.string('the comment, in quotes') }
  const place = readPlace(cursor)
  if (place !== null) return { edit: 'move', column, place }
  throw cursor.wrong('TYPE, COMMENT, DROP NOT NULL, FIRST or AFTER')
}
