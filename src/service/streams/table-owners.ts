/** Which stream writes a table: no two ever do. */
import { Fault } from '../../base/fault.ts'

export class TableOwners {
  readonly #taken: ReadonlySet<string>
  readonly #streams = new Map<string, string>()

  /** @param taken tables that something else writes, as `namespace.name` */
  constructor(taken: ReadonlySet<string>) {
    this.#taken = taken
  }

  /** Who else than `stream` writes a table; null when nobody does. */
  other(table: string, stream: string): string | null {
    if (this.#taken.has(table)) return 'another service'
    const owner = this.#streams.get(table)
    return owner === undefined || owner === stream ? null : `stream ${owner}`
  }

  /** Makes a table the stream's. @throws Fault `conflict` when something else writes it */
  claim(table: string, stream: string): void {
    const other = this.other(table, stream)
    if (other !== null) throw new Fault('conflict', `table ${table} is written by ${other}`)
    this.#streams.set(table, stream)
  }

  release(table: string): void {
    this.#streams.delete(table)
  }

  /** The stream is closed. */
  releaseAll(stream: string): void {
    for (const [table, owner] of this.#streams) if (owner === stream) this.#streams.delete(table)
  }
}
