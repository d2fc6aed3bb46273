/**
 * Splits a text into statements and says what each one is. Only what is listed here is ever run: the rest is refused by
 * name, with what to use instead.
 */
import { Fault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { type Ddl, readDdl } from './ddl.ts'
import { DdlCursor } from './ddl-cursor.ts'
import { closing, isName, isSymbol, isWord, nameOf, type PlacedToken, placeTokens, type Token } from './tokens.ts'

export type Statement =
  | { kind: 'select'; tokens: Token[] }
  | { kind: 'explain'; analyze: boolean; tokens: Token[] }
  | {
      kind: 'create-view'
      name: string
      orReplace: boolean
      ifNotExists: boolean
      columns: string[]
      tokens: Token[]
    }
  | { kind: 'drop-view'; name: string; ifExists: boolean }
  | { kind: 'show-tables'; namespace: string[] | null }
  | { kind: 'show-namespaces' }
  | { kind: 'describe'; parts: string[] }
  | { kind: 'show-create-table'; parts: string[] }
  | { kind: 'show-properties'; parts: string[] }
  | { kind: 'ddl'; ddl: Ddl }

export interface ParseOptions {
  /** Are statements that make and change tables run? */
  writes?: boolean
}

const SELECT_STARTS = ['SELECT', 'FROM', 'WITH', 'VALUES', 'TABLE', 'PIVOT', 'UNPIVOT', 'SUMMARIZE']
/** What would change rows: not by SQL. */
const ROW_WRITES = ['INSERT', 'UPDATE', 'DELETE', 'MERGE', 'TRUNCATE', 'REPLACE', 'UPSERT', 'COPY']
/** Words before a name in DESCRIBE that change nothing here. */
const DESCRIBE_FILLERS = ['TABLE', 'VIEW', 'EXTENDED', 'FORMATTED']

/** @throws Fault `invalid` (no statement, or not readable), `unsupported` (a statement that is not run), `limit` */
export function parseStatements(text: string, options: ParseOptions = {}): Statement[] {
  const groups: PlacedToken[][] = [[]]
  for (const token of placeTokens(text)) {
    if (isSymbol(token, ';')) groups.push([])
    else groups.at(-1)!.push(token)
  }
  const filled = groups.filter((group) => group.length > 0)
  if (filled.length === 0) throw new Fault('invalid', 'expected a SQL statement, got only white space and comments')
  if (filled.length > limits.queryStatementsMax) {
    throw new Fault('limit', `one call may run ${limits.queryStatementsMax} statements, got ${filled.length}`)
  }
  return filled.map((tokens) => (isDdl(tokens) ? ddl(tokens, text, options) : classify(tokens)))
}

/** CREATE, DROP or ALTER of anything but a view. */
function isDdl(tokens: readonly Token[]): boolean {
  if (isWord(tokens[0], 'ALTER')) return true
  if (!isWord(tokens[0], 'CREATE', 'DROP')) return false
  let at = 1
  if (isWord(tokens[at], 'OR') && isWord(tokens[at + 1], 'REPLACE')) at += 2
  if (isWord(tokens[at], 'TEMP', 'TEMPORARY')) at += 1
  return !isWord(tokens[at], 'VIEW')
}

function ddl(tokens: readonly PlacedToken[], text: string, { writes = false }: ParseOptions): Statement {
  if (writes) return { kind: 'ddl', ddl: readDdl(new DdlCursor(tokens, text)) }
  const what = tokens.slice(0, 2).map((token) => token.text)
  throw new Fault(
    'unsupported',
    `${what.join(' ')} is not run here: queries only read. tidewater sql --write runs what makes and changes tables`,
  )
}

function classify(tokens: Token[]): Statement {
  const first = tokens[0]!
  if (isSymbol(first, '(') || isWord(first, ...SELECT_STARTS)) return { kind: 'select', tokens }
  if (first.kind !== 'word') throw new Fault('invalid', `a statement cannot begin with ${first.text}`)
  switch (first.value) {
    case 'EXPLAIN': {
      const analyze = isWord(tokens[1], 'ANALYZE')
      const rest = tokens.slice(analyze ? 2 : 1)
      const inner = rest[0]
      if (!(isSymbol(inner, '(') || isWord(inner, ...SELECT_STARTS)) || isWord(rest[0], 'SUMMARIZE')) {
        throw new Fault('unsupported', 'EXPLAIN takes a SELECT, WITH, FROM, VALUES or TABLE statement, without options')
      }
      return { kind: 'explain', analyze, tokens: rest }
    }
    case 'CREATE':
      return createView(tokens)
    case 'DROP':
      return dropView(tokens)
    case 'SHOW':
      return show(tokens)
    case 'DESCRIBE':
    case 'DESC':
      return describe(tokens)
    default:
      throw refused(first.value)
  }
}

function refused(word: string): Fault {
  if (ROW_WRITES.includes(word)) {
    return new Fault(
      'unsupported',
      `${word} is not run here: SQL does not change rows. Streams (tidewater stream) and tidewater ingest write them`,
    )
  }
  return new Fault(
    'unsupported',
    `${word} is not a statement that is run here: expected SELECT, WITH, FROM, VALUES, TABLE, CREATE VIEW, DROP VIEW, ` +
      'SHOW, DESCRIBE or EXPLAIN; and with --write CREATE, ALTER and DROP of tables and databases',
  )
}

function createView(tokens: Token[]): Statement {
  let at = 1
  const orReplace = isWord(tokens[at], 'OR') && isWord(tokens[at + 1], 'REPLACE')
  if (orReplace) at += 2
  if (isWord(tokens[at], 'TEMP', 'TEMPORARY')) at += 1
  at = expectWords(tokens, at, ['VIEW'])
  const ifNotExists = isWord(tokens[at], 'IF')
  if (ifNotExists) at = expectWords(tokens, at, ['IF', 'NOT', 'EXISTS'])
  const [name, afterName] = viewName(tokens, at)
  at = afterName
  const columns: string[] = []
  if (isSymbol(tokens[at], '(')) {
    const end = closing(tokens, at)
    for (const [index, token] of tokens.slice(at + 1, end - 1).entries()) {
      if (index % 2 === 0 && isName(token)) columns.push(nameOf(token))
      else if (index % 2 === 0 || !isSymbol(token, ',')) {
        throw new Fault('invalid', `expected column names in brackets after the view's name, got ${token.text}`)
      }
    }
    at = end
  }
  at = expectWords(tokens, at, ['AS'])
  if (at >= tokens.length) throw new Fault('invalid', `expected a SELECT after AS of view "${name}", got nothing`)
  const rest = tokens.slice(at)
  if (!(isSymbol(rest[0], '(') || isWord(rest[0], ...SELECT_STARTS))) {
    throw new Fault('invalid', `expected a SELECT after AS of view "${name}", got ${rest[0]!.text}`)
  }
  return { kind: 'create-view', name, orReplace, ifNotExists, columns, tokens: rest }
}

function dropView(tokens: Token[]): Statement {
  let at = expectWords(tokens, 1, ['VIEW'])
  const ifExists = isWord(tokens[at], 'IF')
  if (ifExists) at = expectWords(tokens, at, ['IF', 'EXISTS'])
  const [name, end] = viewName(tokens, at)
  expectEnd(tokens, end)
  return { kind: 'drop-view', name, ifExists }
}

function show(tokens: Token[]): Statement {
  const all = isWord(tokens[1], 'ALL') ? 1 : 0
  const what = tokens[1 + all]
  if (isWord(what, 'TABLES')) {
    let at = 2 + all
    let namespace: string[] | null = null
    if (isWord(tokens[at], 'FROM', 'IN')) [namespace, at] = nameChain(tokens, at + 1)
    expectEnd(tokens, at)
    return { kind: 'show-tables', namespace }
  }
  if (isWord(what, 'NAMESPACES', 'SCHEMAS', 'DATABASES')) {
    expectEnd(tokens, 2 + all)
    return { kind: 'show-namespaces' }
  }
  if (isWord(what, 'COLUMNS') && isWord(tokens[2], 'FROM', 'IN')) {
    const [parts, end] = nameChain(tokens, 3)
    expectEnd(tokens, end)
    return { kind: 'describe', parts }
  }
  const isCreate = isWord(what, 'CREATE') && isWord(tokens[2], 'TABLE')
  if (isCreate || isWord(what, 'TBLPROPERTIES')) {
    const [parts, end] = nameChain(tokens, isCreate ? 3 : 2)
    expectEnd(tokens, end)
    return { kind: isCreate ? 'show-create-table' : 'show-properties', parts }
  }
  throw new Fault(
    'unsupported',
    'SHOW knows TABLES [FROM database], DATABASES, COLUMNS FROM table, CREATE TABLE table and TBLPROPERTIES table',
  )
}

function describe(tokens: Token[]): Statement {
  if (isSymbol(tokens[1], '(') || isWord(tokens[1], 'SELECT', 'FROM', 'WITH', 'VALUES'))
    return { kind: 'select', tokens }
  let at = 1
  while (isWord(tokens[at], ...DESCRIBE_FILLERS) && isName(tokens[at + 1])) at += 1
  const [parts, end] = nameChain(tokens, at)
  expectEnd(tokens, end)
  return { kind: 'describe', parts }
}

/** Parts of a dotted name and the index after it. */
export function nameChain(tokens: readonly Token[], start: number): [string[], number] {
  const first = tokens[start]
  if (first === undefined || !isName(first)) {
    throw new Fault('invalid', `expected a name, got ${first?.text ?? 'the end of the statement'}`)
  }
  const parts = [nameOf(first)]
  let at = start + 1
  while (isSymbol(tokens[at], '.') && isName(tokens[at + 1])) {
    parts.push(nameOf(tokens[at + 1]!))
    at += 2
  }
  return [parts, at]
}

function viewName(tokens: readonly Token[], at: number): [string, number] {
  const [parts, end] = nameChain(tokens, at)
  if (parts.length > 1) {
    throw new Fault('invalid', `a view of this session has a name of one part, got "${parts.join('.')}"`)
  }
  return [parts[0]!, end]
}

function expectWords(tokens: readonly Token[], start: number, words: readonly string[]): number {
  for (const [index, word] of words.entries()) {
    const token = tokens[start + index]
    if (!isWord(token, word)) {
      throw new Fault('invalid', `expected ${words.join(' ')}, got ${token?.text ?? 'the end of the statement'}`)
    }
  }
  return start + words.length
}

function expectEnd(tokens: readonly Token[], at: number): void {
  const token = tokens[at]
  if (token !== undefined) throw new Fault('invalid', `expected the end of the statement, got ${token.text}`)
}
