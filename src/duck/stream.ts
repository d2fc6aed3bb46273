/**
 * A statement's result in pages, as DuckDB makes them.
 */
import type { DuckSession } from './duck.ts'
import type { DuckValue } from './value.ts'

export interface RowStream {
  /** Names in order, two may be equal; types as DuckDB writes them, or their alias (`JSON`). */
  columns: { name: string; type: string }[]
  /** The next rows, about 2,000; null after the last. @throws what DuckDB throws */
  next(): Promise<DuckValue[][] | null>
}

/**
 * Starts a statement outside of the session's order: nothing else may use the session until the last page.
 * @throws what DuckDB throws
 */
export async function streamRows(session: DuckSession, sql: string): Promise<RowStream> {
  const result = await session.raw.stream(sql)
  return {
    columns: result.columnNames().map((name, index) => {
      const type = result.columnType(index)
      return { name, type: type.alias ?? String(type) }
    }),
    next: async () => {
      const chunk = await result.fetchChunk()
      return chunk === null || chunk.rowCount === 0 ? null : chunk.getRows()
    },
  }
}
