/**
 * First pass over a statement's tokens, before DuckDB reads them: what its grammar does not know is taken out.
 *
 * - Time travel in the words of Spark, Trino, Athena and DuckDB becomes a plain table name.
 * - Names of four parts and more (`catalog.default.orders.snapshots`) do too; reserved words in names are quoted.
 *
 * A name taken out is replaced by `"@<n>"."<last part>"`, a view of that name in a schema of its own, so that columns can
 * still be qualified by the table's name and an alias may follow.
 */
import { Fault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { ident } from '../duck/duck.ts'
import { closing, isName, isSymbol, isWord, nameOf, type Token } from './tokens.ts'

/** Where in time a table is read. Tokens are those of the constant expression after OF or =>. */
export interface AsOf {
  unit: 'version' | 'timestamp'
  tokens: Token[]
}

export interface NamedReference {
  parts: string[]
  asOf: AsOf | null
}

export interface Extracted {
  tokens: Token[]
  /** Placeholder schema (`@0`, `@1`, …) → what stood there. */
  references: Map<string, NamedReference>
}

/** Words that may stand directly before a table's name; any other word there is the table's own name, and we are at its alias. */
const BEFORE_TABLE = ['FROM', 'JOIN', 'TABLE', 'DESCRIBE', 'DESC', 'SUMMARIZE', 'SHOW', 'PIVOT', 'UNPIVOT', 'LATERAL']
/** Clauses after which a comma no longer separates tables. */
const AFTER_FROM = [
  'SELECT',
  'WHERE',
  'GROUP',
  'ORDER',
  'HAVING',
  'LIMIT',
  'OFFSET',
  'WINDOW',
  'QUALIFY',
  'VALUES',
  'UNION',
  'EXCEPT',
  'INTERSECT',
  'BY',
  'SET',
]
/** Functions whose arguments hold a FROM that names no table. */
const FROM_INSIDE = ['EXTRACT', 'SUBSTRING', 'TRIM', 'OVERLAY']
const UNITS: Record<string, AsOf['unit']> = {
  VERSION: 'version',
  SYSTEM_VERSION: 'version',
  TIMESTAMP: 'timestamp',
  SYSTEM_TIME: 'timestamp',
}
/** Words that are times by themselves. */
const TIME_WORDS = ['CURRENT_TIMESTAMP', 'LOCALTIMESTAMP', 'CURRENT_DATE']
/** Parts of one dotted name. */
const NAME_PARTS_MAX = 32
const INTERVAL_UNITS = /^(MICROSECOND|MILLISECOND|SECOND|MINUTE|HOUR|DAY|WEEK|MONTH|QUARTER|YEAR|DECADE)S?$/

/** @throws Fault `invalid` for a time-travel clause that cannot be read, `limit` for too many names */
export function extractReferences(tokens: readonly Token[]): Extracted {
  const out: Token[] = []
  const references: Extracted['references'] = new Map()
  const places = tablePlaces(tokens)
  /** Index in `out` where the table name that began last stands, for an alias between name and clause. */
  let at = 0
  while (at < tokens.length) {
    const token = tokens[at]!
    const clause = asOfClause(tokens, at)
    if (clause !== null) {
      takeOut(out, references, { unit: clause.unit, tokens: clause.tokens })
      at = clause.end
      continue
    }
    if (places.has(at) && isName(token) && isSymbol(tokens[at + 1], '.')) {
      const end = chainEnd(tokens, at)
      if (end - at > 2 * NAME_PARTS_MAX) throw new Fault('limit', `a name may have ${NAME_PARTS_MAX} parts`)
      const chain = tokens.slice(at, end).map((part) => (part.kind === 'word' ? quoted(part) : part))
      out.push(...chain)
      if (chain.length > 5) takeOut(out, references, null)
      at = end
      continue
    }
    const bareDefault = isWord(token, 'DEFAULT') && isSymbol(tokens[at + 1], '.')
    out.push(bareDefault ? quoted(token) : token)
    at += 1
  }
  return { tokens: out, references }
}

function chainEnd(tokens: readonly Token[], start: number): number {
  let at = start + 1
  while (isSymbol(tokens[at], '.') && isName(tokens[at + 1])) at += 2
  return at
}

function quoted(token: Token): Token {
  const name = nameOf(token)
  return { kind: 'quoted', text: ident(name), value: name, space: token.space }
}

/** Replaces the table name at the end of `out` (an alias may follow it) by a placeholder. */
function takeOut(out: Token[], references: Extracted['references'], asOf: AsOf | null): void {
  let end = out.length
  let start = chainStart(out, end)
  const before = out[start - 1]
  const isAlias = asOf !== null && end - start === 1 && isName(before) && !isWord(before, ...BEFORE_TABLE) && start >= 2
  if (isAlias) {
    end = isWord(before, 'AS') ? start - 1 : start
    start = chainStart(out, end)
  }
  const chain = out.slice(start, end).filter((token) => !isSymbol(token, '.'))
  if (chain.length === 0 || !chain.every(isName)) {
    throw new Fault('invalid', `expected a table's name before AS OF or AT, got ${before?.text ?? 'nothing'}`)
  }
  if (references.size >= limits.queryTablesMax) {
    throw new Fault('limit', `a statement may name ${limits.queryTablesMax} tables`)
  }
  const schema = `@${references.size}`
  references.set(schema, { parts: chain.map(nameOf), asOf })
  out.splice(start, end - start, ...placeholder(schema, nameOf(chain.at(-1)!), chain[0]!.space))
}

function chainStart(out: readonly Token[], end: number): number {
  let start = end
  while (isName(out[start - 1])) {
    start -= 1
    if (!isSymbol(out[start - 1], '.') || !isName(out[start - 2])) break
    start -= 1
  }
  return start
}

/** `"schema"."name"` as tokens. */
export function placeholder(schema: string, name: string, space: string): Token[] {
  return [
    { kind: 'quoted', text: ident(schema), value: schema, space },
    { kind: 'symbol', text: '.', value: '.', space: '' },
    { kind: 'quoted', text: ident(name), value: name, space: '' },
  ]
}

interface Clause extends AsOf {
  end: number
}

function asOfClause(tokens: readonly Token[], at: number): Clause | null {
  if (isWord(tokens[at], 'AT') && isSymbol(tokens[at + 1], '(') && isSymbol(tokens[at + 3], '=>')) {
    const unit = unitOf(tokens[at + 2])
    if (unit === undefined) throw new Fault('invalid', `AT knows VERSION and TIMESTAMP, got ${tokens[at + 2]!.text}`)
    const end = closing(tokens, at + 1)
    return { unit, tokens: tokens.slice(at + 4, end - 1), end }
  }
  const start = isWord(tokens[at], 'FOR') ? at + 1 : at
  const unit = unitOf(tokens[start])
  if (unit === undefined || !isWord(tokens[start + 1], 'AS') || !isWord(tokens[start + 2], 'OF')) return null
  if (start === at && !beginsTime(unit, tokens[start + 3], tokens[start + 4])) return null
  const end = expressionEnd(tokens, start + 3)
  return { unit, tokens: tokens.slice(start + 3, end), end }
}

/** Without FOR, `version AS of` may be a column and its alias: then no value follows. */
function beginsTime(unit: AsOf['unit'], first: Token | undefined, second: Token | undefined): boolean {
  if (first?.kind === 'string' || first?.kind === 'number') return true
  if (unit === 'version' || first === undefined) return false
  if (first.kind === 'symbol') return first.value === '('
  return isWord(first, ...TIME_WORDS) || isSymbol(second, '(') || second?.kind === 'string'
}

function unitOf(token: Token | undefined): AsOf['unit'] | undefined {
  return token?.kind === 'word' && Object.hasOwn(UNITS, token.value) ? UNITS[token.value] : undefined
}

/** Index after a constant expression: operands joined by + and -, with casts and AT TIME ZONE. What follows may be an alias. */
function expressionEnd(tokens: readonly Token[], start: number): number {
  let at = operandEnd(tokens, start)
  for (;;) {
    const token = tokens[at]
    if (isSymbol(token, '+') || isSymbol(token, '-')) at = operandEnd(tokens, at + 1)
    else if (isSymbol(token, '::')) at = typeEnd(tokens, at + 1)
    else if (isWord(token, 'AT') && isWord(tokens[at + 1], 'TIME') && isWord(tokens[at + 2], 'ZONE')) {
      at = operandEnd(tokens, at + 3)
    } else return at
  }
}

function operandEnd(tokens: readonly Token[], start: number): number {
  const token = tokens[start]
  if (token === undefined) throw new Fault('invalid', 'expected a value after AS OF, got the end of the statement')
  if (isSymbol(token, '(')) return closing(tokens, start)
  if (isSymbol(token, '-') || isSymbol(token, '+')) return operandEnd(tokens, start + 1)
  if (token.kind === 'symbol') throw new Fault('invalid', `expected a value after AS OF, got ${token.text}`)
  if (token.kind !== 'word') return start + 1
  if (token.value === 'INTERVAL') {
    const end = operandEnd(tokens, start + 1)
    return tokens[end]?.kind === 'word' && INTERVAL_UNITS.test(tokens[end]!.value) ? end + 1 : end
  }
  if (isSymbol(tokens[start + 1], '(')) return closing(tokens, start + 1)
  const typed = ['TIMESTAMP', 'TIMESTAMPTZ', 'DATE'].includes(token.value)
  if (!typed) return start + 1
  if (isWord(tokens[start + 1], 'WITH', 'WITHOUT') && isWord(tokens[start + 3], 'ZONE')) return start + 5
  return tokens[start + 1]?.kind === 'string' ? start + 2 : start + 1
}

function typeEnd(tokens: readonly Token[], start: number): number {
  let at = start + 1
  if (isSymbol(tokens[at], '(')) at = closing(tokens, at)
  if (isWord(tokens[at], 'WITH', 'WITHOUT') && isWord(tokens[at + 1], 'TIME')) at += 3
  return at
}

/** Indexes of tokens that stand where a table's name is expected. */
function tablePlaces(tokens: readonly Token[]): Set<number> {
  const places = new Set<number>()
  type State = 'tables' | 'condition' | 'other' | 'function'
  const states: State[] = ['other']
  for (const [at, token] of tokens.entries()) {
    const before = tokens[at - 1]
    const state = states.at(-1)!
    const follows = isWord(before, ...BEFORE_TABLE) || isSymbol(before, ',') || isSymbol(before, '(')
    if (state === 'tables' && follows && isName(token)) places.add(at)
    if (at === 1 && isWord(before, 'TABLE', 'DESCRIBE', 'DESC', 'SUMMARIZE', 'PIVOT', 'UNPIVOT')) places.add(at)
    if (token.kind === 'symbol') {
      if (token.value === '(') {
        if (isWord(before, ...FROM_INSIDE)) states.push('function')
        else states.push(state === 'tables' && follows ? 'tables' : 'other')
      } else if (token.value === ')' && states.length > 1) states.pop()
      else if (token.value === ',' && state === 'condition') states[states.length - 1] = 'tables'
      continue
    }
    if (token.kind !== 'word' || isSymbol(before, '.') || state === 'function') continue
    const distinctFrom = token.value === 'FROM' && isWord(before, 'DISTINCT') && isWord(tokens[at - 2], 'IS', 'NOT')
    if ((token.value === 'FROM' && !distinctFrom) || token.value === 'JOIN') states[states.length - 1] = 'tables'
    else if (token.value === 'ON' || token.value === 'USING') states[states.length - 1] = 'condition'
    else if (AFTER_FROM.includes(token.value)) states[states.length - 1] = 'other'
  }
  return places
}
