/**
 * A statement's tokens → the text that runs, with every table and view it needs.
 *
 * Each name in a FROM clause is resolved and replaced by `"~<n>"."<last part>"`: a view of that name in a schema of its own.
 * The rest of the text stays as the user wrote it. The finished text is parsed and checked once more: what runs is what was
 * checked.
 */
import { assert, must } from '../base/assert.ts'
import type { Clock } from '../base/clock.ts'
import { Fault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { formatIdent, type LoadedTable } from '../iceberg/catalog/catalog.ts'
import type { Predicate } from '../iceberg/scan/scan.ts'
import type { Schema } from '../iceberg/spec/table-metadata.ts'
import { chooseRef, chooseSnapshot, type SnapshotChoice } from './as-of.ts'
import { type Node, type Walked, walk } from './ast.ts'
import { checkFunctions } from './check.ts'
import type { MetadataTable } from './metadata-tables.ts'
import { type NameScope, resolveName, type SessionView } from './names.ts'
import type { SqlParser } from './parser.ts'
import { filtersOf } from './prune.ts'
import { type AsOf, extractReferences, type NamedReference, placeholder } from './references.ts'
import { choiceSchema } from './snapshot-schema.ts'
import { isName, isSymbol, nameOf, type Token, tokenize, untokenize } from './tokens.ts'

export type Relation = { schema: string; name: string } & (
  | { kind: 'table'; table: LoadedTable; choice: SnapshotChoice; predicates: Predicate[] }
  | { kind: 'metadata'; table: LoadedTable; choice: SnapshotChoice; metadataTable: MetadataTable }
  | { kind: 'view'; columns: readonly string[]; sql: string }
)

export interface Compiled {
  sql: string
  /** In the order in which they can be defined. */
  relations: Relation[]
  /** Names of all functions that the statement and its views call. */
  functions: ReadonlySet<string>
}

export interface CompileTools {
  scope: NameScope
  parser: SqlParser
  clock: Clock
}

/** @throws Fault `invalid`, `not-found`, `unsupported`, `limit` */
export async function compile(tokens: readonly Token[], tools: CompileTools): Promise<Compiled> {
  const compiler = new Compiler(tools)
  const sql = await compiler.text(tokens, [])
  return { sql, relations: [...compiler.relations.values()], functions: compiler.functions }
}

class Compiler {
  readonly relations = new Map<string, Relation>()
  readonly functions = new Set<string>()
  readonly #tools: CompileTools

  constructor(tools: CompileTools) {
    this.#tools = tools
  }

  async text(tokens: readonly Token[], views: readonly string[]): Promise<string> {
    const extracted = extractReferences(tokens)
    const sql = untokenize(extracted.tokens).trim()
    const tree = await this.#tools.parser.parse(sql)
    const walked = walk(tree)
    checkFunctions(walked)
    for (const name of walked.functions) this.functions.add(name)
    const resolved = new Map<Node, Relation>()
    for (const ref of walked.tables) {
      const named = extracted.references.get(ref.parts[0]!) ?? { parts: ref.parts, asOf: null }
      resolved.set(ref.node, await this.#relation(named, views))
    }
    this.#prune(tree, resolved)
    const finished = splice(tokenize(sql), walked, resolved, extracted.references)
    if (resolved.size > 0) await this.#verify(finished)
    return finished
  }

  async #relation(named: NamedReference, views: readonly string[]): Promise<Relation> {
    const target = await resolveName(this.#tools.scope, named.parts)
    const name = named.parts.at(-1)!
    if (target.kind === 'view') {
      if (named.asOf !== null) {
        throw new Fault('unsupported', `"${name}" is a view; put the time travel on the tables inside of it`)
      }
      return this.#view(target.view, name, views)
    }
    const choice = await this.#choice(target.table, named.asOf, target.kind === 'table' ? target.ref : null)
    const what = target.kind === 'table' ? '' : `.${target.name}`
    const schemaId = choice.schema?.['schema-id'] ?? ''
    const key = JSON.stringify([formatIdent(target.table.ident) + what, String(choice.snapshotId), schemaId, name])
    return this.#once(key, (schema) => {
      const common = { schema, name, table: target.table, choice }
      return target.kind === 'table'
        ? { kind: 'table', ...common, predicates: [] }
        : { kind: 'metadata', ...common, metadataTable: target.name }
    })
  }

  async #choice(table: LoadedTable, asOf: AsOf | null, ref: string | null): Promise<SnapshotChoice> {
    if (asOf !== null && ref !== null)
      throw new Fault('invalid', `write either "${ref}" or AS OF after a table, not both`)
    if (asOf !== null) return chooseSnapshot(table, asOf, this.#tools)
    return ref === null ? { snapshotId: null } : chooseRef(table, ref)
  }

  async #view(view: SessionView, name: string, views: readonly string[]): Promise<Relation> {
    const path = [...views, view.name]
    if (views.includes(view.name))
      throw new Fault('invalid', `the view "${view.name}" reads itself: ${path.join(' → ')}`)
    const key = JSON.stringify(['view', view.name, name])
    const known = this.relations.get(key)
    if (known !== undefined) return known
    const sql = await this.text(tokenize(view.sql), path)
    return this.#once(key, (schema) => ({ kind: 'view', schema, name, columns: view.columns, sql }))
  }

  #once(key: string, make: (schema: string) => Relation): Relation {
    const known = this.relations.get(key)
    if (known !== undefined) return known
    if (this.relations.size >= limits.queryTablesMax) {
      throw new Fault('limit', `a statement with its views may read ${limits.queryTablesMax} tables`)
    }
    const relation = make(`~${this.relations.size}`)
    this.relations.set(key, relation)
    return relation
  }

  /** A table read twice is planned once: for rows that either place wants. */
  #prune(tree: Node, resolved: ReadonlyMap<Node, Relation>): void {
    const schemaOf = (node: Node): Schema | null => {
      const relation = resolved.get(node)
      return relation?.kind === 'table' ? choiceSchema(relation.table, relation.choice) : null
    }
    const filters = filtersOf(tree, schemaOf)
    for (const [node, relation] of resolved) {
      if (relation.kind === 'table') relation.predicates.push(filters.get(node) ?? { op: 'true' })
    }
  }

  /** @throws Error: a bug, if the finished text names a table that was not put there */
  async #verify(sql: string): Promise<void> {
    const placed = new Set([...this.relations.values()].map((relation) => `${relation.schema}.${relation.name}`))
    for (const ref of walk(await this.#tools.parser.parse(sql)).tables) {
      assert(placed.has(ref.parts.join('.')), `"${ref.parts.join('.')}" was left in the text of a query`)
    }
  }
}

/** Puts the relations' names where the tables' names stand, and where columns are qualified by a table's full name. */
function splice(
  tokens: readonly Token[],
  walked: Walked,
  resolved: ReadonlyMap<Node, Relation>,
  references: ReadonlyMap<string, NamedReference>,
): string {
  const indexes = tokenIndexes(tokens)
  const edits: { start: number; count: number; relation: Relation }[] = []
  const byName = new Map<string, Relation>()
  for (const ref of walked.tables) {
    const relation = must(resolved.get(ref.node), 'the relation of a table')
    const start = indexes.get(ref.offset)
    if (start === undefined || !chainIs(tokens, start, ref.parts)) {
      throw new Fault(
        'unsupported',
        `the name "${ref.parts.join('.')}" cannot be read where it stands; write it after FROM`,
      )
    }
    edits.push({ start, count: ref.parts.length, relation })
    const written = references.get(ref.parts[0]!)?.parts ?? ref.parts
    if (written.length > 1) byName.set(nameKey(written), relation)
  }
  for (const column of walked.qualifiedColumns) {
    const start = indexes.get(column.offset)
    if (start === undefined || !chainIs(tokens, start, column.parts)) continue
    for (let count = column.parts.length - 1; count >= 2; count -= 1) {
      const relation = byName.get(nameKey(column.parts.slice(0, count)))
      if (relation === undefined) continue
      edits.push({ start, count, relation })
      break
    }
  }
  const out = [...tokens]
  for (const { start, count, relation } of edits.sort((a, b) => b.start - a.start)) {
    out.splice(start, count * 2 - 1, ...placeholder(relation.schema, relation.name, tokens[start]!.space))
  }
  return untokenize(out)
}

function nameKey(parts: readonly string[]): string {
  return JSON.stringify(parts.map((part) => part.toLowerCase()))
}

/** Byte offset in the text → index of the token that begins there. */
function tokenIndexes(tokens: readonly Token[]): Map<number, number> {
  const indexes = new Map<number, number>()
  let offset = 0
  for (const [index, token] of tokens.entries()) {
    offset += Buffer.byteLength(token.space)
    indexes.set(offset, index)
    offset += Buffer.byteLength(token.text)
  }
  return indexes
}

function chainIs(tokens: readonly Token[], start: number, parts: readonly string[]): boolean {
  return parts.every((part, index) => {
    const token = tokens[start + index * 2]
    if (index > 0 && !isSymbol(tokens[start + index * 2 - 1], '.')) return false
    // DuckDB reads FROM 'x' as a name too.
    return (
      token !== undefined && (isName(token) ? nameOf(token) === part : token.kind === 'string' && token.value === part)
    )
  })
}
