/**
 * Time travel: the words after AS OF or => as one snapshot of a table.
 */
import type { Clock } from '../base/clock.ts'
import { Fault } from '../base/fault.ts'
import { formatIdent, type LoadedTable } from '../iceberg/catalog/catalog.ts'
import { snapshotAsOf, snapshotById, snapshotByRef } from '../iceberg/scan/snapshot-at.ts'
import { findRef } from '../iceberg/spec/history.ts'
import { currentSchema } from '../iceberg/spec/schema.ts'
import type { Schema } from '../iceberg/spec/table-metadata.ts'
import { walk } from './ast.ts'
import { checkFunctions } from './check.ts'
import { nowLiteral, type SqlParser } from './parser.ts'
import type { AsOf } from './references.ts'
import { isSymbol, isWord, type Token, untokenize } from './tokens.ts'

/** Which rows of a table are read. Null: the current snapshot, which may not exist yet. */
export interface SnapshotChoice {
  snapshotId: bigint | null
  /** Absent: the snapshot's own. */
  schema?: Schema
}

/** Words that mean now; each becomes the clock's time, so that a statement is about one moment. */
const NOW = ['NOW', 'CURRENT_TIMESTAMP', 'LOCALTIMESTAMP', 'CURRENT_DATE', 'TODAY']
/** The end of a timestamp with a zone: DuckDB's TIMESTAMP '…' would read it and drop the zone. */
const ZONE = /(?:[Zz]|\d[+-]\d\d(?::?\d\d)?| [A-Za-z_/]+)$/
/** From here on a number is taken for milliseconds by mistake: the year 5138 in seconds. */
const SECONDS_MAX = 100_000_000_000n

/** @throws Fault `not-found` for a snapshot, branch, tag or time that the table does not have, `invalid` */
export async function chooseSnapshot(
  table: LoadedTable,
  asOf: AsOf,
  tools: { parser: SqlParser; clock: Clock },
): Promise<SnapshotChoice> {
  const { metadata } = table
  if (asOf.unit === 'timestamp') {
    const snapshot = snapshotAsOf(metadata, await instantMs(asOf.tokens, tools))
    return { snapshotId: snapshot['snapshot-id'] }
  }
  const [token, extra] = asOf.tokens
  if (token === undefined || extra !== undefined || !['number', 'string'].includes(token.kind)) {
    const got = untokenize(asOf.tokens).trim()
    throw new Fault(
      'invalid',
      `expected a snapshot id or the name of a branch or tag in quotes, got ${got || 'nothing'}`,
    )
  }
  const isNumber =
    token.kind === 'number' || (/^\d+$/.test(token.value) && findRef(metadata, token.value) === undefined)
  if (!isNumber) return chooseRef(table, token.value)
  if (!/^\d+$/.test(token.value)) {
    throw new Fault(
      'invalid',
      `expected a whole number as snapshot id of ${formatIdent(table.ident)}, got ${token.value}`,
    )
  }
  return { snapshotId: snapshotById(metadata, BigInt(token.value))['snapshot-id'] }
}

/** A branch is read with the table's schema, a tag with its snapshot's. @throws Fault `not-found` */
export function chooseRef(table: LoadedTable, ref: string): SnapshotChoice {
  const snapshotId = snapshotByRef(table.metadata, ref)['snapshot-id']
  return findRef(table.metadata, ref)?.type === 'tag'
    ? { snapshotId }
    : { snapshotId, schema: currentSchema(table.metadata) }
}

async function instantMs(tokens: readonly Token[], tools: { parser: SqlParser; clock: Clock }): Promise<number> {
  const [only, extra] = tokens
  if (only !== undefined && extra === undefined && only.kind === 'number' && /^\d+$/.test(only.value)) {
    const seconds = BigInt(only.value)
    if (seconds < SECONDS_MAX) return Number(seconds * 1000n)
    throw new Fault(
      'invalid',
      `expected seconds since 1970 or a timestamp, got ${only.value}, which looks like milliseconds`,
    )
  }
  const expression = untokenize(withNow(tokens, nowLiteral(tools.clock))).trim()
  const walked = walk(await tools.parser.parse(`SELECT (${expression})`))
  checkFunctions(walked)
  if (walked.tables.length > 0 || walked.tableFunctions.size > 0) {
    throw new Fault('invalid', `expected a constant time after AS OF, got ${expression}`)
  }
  const micros = await tools.parser.instant(expression, walked.functions)
  if (micros === null) throw new Fault('invalid', `expected a time after AS OF, got ${expression}, which is null`)
  return Number(micros / 1000n) - (micros % 1000n < 0n ? 1 : 0)
}

function withNow(tokens: readonly Token[], literal: string): Token[] {
  const out: Token[] = []
  for (let at = 0; at < tokens.length; at += 1) {
    const token = tokens[at]!
    const next = tokens[at + 1]
    if (isWord(token, 'TIMESTAMP') && next?.kind === 'string' && ZONE.test(next.value)) {
      out.push({ ...token, text: 'TIMESTAMPTZ', value: 'TIMESTAMPTZ' })
      continue
    }
    if (token.kind !== 'word' || !NOW.includes(token.value)) {
      out.push(token)
      continue
    }
    const isDate = token.value === 'CURRENT_DATE' || token.value === 'TODAY'
    const text = isDate ? `CAST(${literal} AS DATE)` : literal
    out.push({ kind: 'word', text, value: text, space: ' ' })
    if (isSymbol(tokens[at + 1], '(') && isSymbol(tokens[at + 2], ')')) at += 2
  }
  return out
}
