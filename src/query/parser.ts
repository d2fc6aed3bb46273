/**
 * DuckDB's own parser as a service: text → syntax tree, and constant expressions → values. It is a locked instance of its
 * own that holds nothing, opened once per session.
 */
import type { Clock } from '../base/clock.ts'
import { Fault } from '../base/fault.ts'
import { parseJson } from '../base/json.ts'
import { list, type Node, object, text } from './ast.ts'
import { LockedDuck, statementFault } from './locked.ts'

export class SqlParser {
  readonly #duck: LockedDuck

  private constructor(duck: LockedDuck) {
    this.#duck = duck
  }

  static async open(): Promise<SqlParser> {
    const duck = await LockedDuck.open({ memoryMiB: 256, threads: 1 })
    await duck.lock([])
    return new SqlParser(duck)
  }

  /** The tree of one SELECT. @throws Fault `invalid` for text that DuckDB does not read, `unsupported` for other statements */
  async parse(sql: string): Promise<Node> {
    let answer: unknown
    try {
      answer = await this.#duck.session.value('SELECT json_serialize_sql($1::VARCHAR)', [sql])
    } catch (error) {
      throw statementFault(error)
    }
    const tree = object(parseJson(String(answer)))
    if (tree['error'] !== false) {
      const message = text(tree['error_message'])
      if (/^Only SELECT/.test(message)) {
        throw new Fault('unsupported', 'this statement is not run here: only one that reads is, such as SELECT or WITH')
      }
      if (/NameListToString|Max expression depth|memory exhausted/i.test(message)) {
        throw new Fault('limit', `the statement is nested too deep or a name has too many parts (${message})`)
      }
      throw new Fault('invalid', `${message}${near(sql, text(tree['position']))}`)
    }
    const statements = list(tree['statements'])
    if (statements.length !== 1) throw new Fault('invalid', `expected one statement, got ${statements.length}`)
    const statement = object(statements[0])
    if (list(statement['named_param_map']).length > 0) {
      throw new Fault('unsupported', 'a statement takes no parameters ($1, ?); write the values')
    }
    return object(statement['node'])
  }

  /** The value of a constant expression that `check.ts` has passed, as microseconds since 1970. Zones: UTC unless given. */
  async instant(expression: string, functions: ReadonlySet<string>): Promise<bigint | null> {
    try {
      await this.#duck.defineFunctions(functions)
      const value = await this.#duck.session.value(`SELECT epoch_us(CAST((${expression}) AS TIMESTAMPTZ))`)
      return typeof value === 'bigint' ? value : null
    } catch (error) {
      throw statementFault(error)
    }
  }

  close(): void {
    this.#duck.close()
  }
}

/** ` near "…"` for a byte position in the text. */
function near(sql: string, position: string): string {
  if (!/^\d+$/.test(position)) return ''
  const rest = Buffer.from(sql).subarray(Number(position)).toString().replaceAll(/\s+/g, ' ').trim()
  return rest === '' ? ', at the end' : `, near "${rest.slice(0, 40)}"`
}

/** The clock's time as an SQL literal. */
export function nowLiteral(clock: Clock): string {
  return `TIMESTAMPTZ '${new Date(clock.nowMs()).toISOString()}'`
}
