/**
 * Data files by the schema that their Parquet footers state: files of one group are read by one statement.
 */
import { must } from '../../base/assert.ts'
import { limits } from '../../base/limits.ts'
import { type DuckSession, listLiteral, literal } from '../../duck/duck.ts'
import { type ParquetNode, parquetColumns } from './parquet-tree.ts'
import type { ScanTask } from './scan.ts'

export interface ParquetGroup {
  nodes: ParquetNode[]
  tasks: ScanTask[]
}

/** What footers said, by local path and size: files of tables never change. Emptied when it reaches its bound. */
const footers = new Map<string, string>()
/** Signature → columns. */
const schemas = new Map<string, ParquetNode[]>()

const SIGNATURE = `md5(string_agg(concat_ws(chr(1), name, coalesce(field_id::VARCHAR, '-'), coalesce(num_children::VARCHAR, '-'),
  coalesce(duckdb_type, '-'), coalesce(repetition_type, '-'), coalesce(converted_type, '-')), chr(2) ORDER BY column_id))`

/** The tasks in groups, each in the order of the plan. */
export async function parquetGroups(
  session: DuckSession,
  tasks: readonly ScanTask[],
  localPath: (location: string) => string,
): Promise<ParquetGroup[]> {
  const signatures = await signaturesOf(
    session,
    tasks.map((task) => ({ path: localPath(task.file.filePath), sizeBytes: task.file.fileSizeBytes })),
  )
  const groups = new Map<string, ParquetGroup>()
  for (const task of tasks) {
    const path = localPath(task.file.filePath)
    const signature = must(signatures.get(path), 'a footer')
    const group = groups.get(signature)
    if (group !== undefined) group.tasks.push(task)
    else groups.set(signature, { nodes: await columnsOf(session, signature, path), tasks: [task] })
  }
  return [...groups.values()]
}

/** Local path → signature: equal for files of equal schemas. */
async function signaturesOf(
  session: DuckSession,
  files: readonly { path: string; sizeBytes: number }[],
): Promise<Map<string, string>> {
  const signatures = new Map<string, string>()
  const unread: { path: string; sizeBytes: number }[] = []
  for (const file of files) {
    const signature = footers.get(keyOf(file))
    if (signature === undefined) unread.push(file)
    else signatures.set(file.path, signature)
  }
  for (let at = 0; at < unread.length; at += limits.footersAtOnce) {
    const page = unread.slice(at, at + limits.footersAtOnce)
    const rows = await session.rows(
      `SELECT file_name, ${SIGNATURE} AS signature FROM parquet_schema(${listLiteral(page.map(({ path }) => path))}) GROUP BY file_name`,
    )
    for (const row of rows) signatures.set(String(row['file_name']), String(row['signature']))
    if (footers.size + page.length > limits.footersKept) {
      footers.clear()
      schemas.clear()
    }
    for (const file of page) footers.set(keyOf(file), must(signatures.get(file.path), 'a footer'))
  }
  return signatures
}

function keyOf({ path, sizeBytes }: { path: string; sizeBytes: number }): string {
  return `${sizeBytes} ${path}`
}

async function columnsOf(session: DuckSession, signature: string, path: string): Promise<ParquetNode[]> {
  const known = schemas.get(signature)
  if (known !== undefined) return known
  const rows = await session.rows(`SELECT * FROM parquet_schema(${literal(path)}) ORDER BY column_id`)
  const columns = parquetColumns(rows)
  schemas.set(signature, columns)
  return columns
}
