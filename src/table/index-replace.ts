/** What a row index learns of a snapshot that replaces files without changing a row. It must be at the snapshot's parent. */
import { listLiteral } from '../duck/duck.ts'
import type { LoadedTable } from '../iceberg/catalog/catalog.ts'
import { planScan } from '../iceberg/scan/plan.ts'
import type { DataFile } from '../iceberg/spec/manifest.ts'
import { currentSchema } from '../iceberg/spec/schema.ts'
import { type IndexContext, positions } from './index-upkeep.ts'

export interface ReplacedFiles {
  dataFiles: readonly DataFile[]
  /** Mark rows of `dataFiles`. */
  deleteFiles: readonly DataFile[]
  /** Data files that are gone; their rows are in `dataFiles`. */
  removedPaths: ReadonlySet<string>
}

export async function learnReplacement(
  context: IndexContext,
  { dataFiles, deleteFiles, removedPaths }: ReplacedFiles,
  committed: LoadedTable,
  snapshotId: bigint,
): Promise<void> {
  const { io, index } = context
  await index.merge(true)
  await index.change(snapshotId, async () => {
    const gone = (await index.files()).filter((file) => removedPaths.has(file.path))
    await index.removeFiles(gone.map((file) => file.id))
    await index.addFiles(dataFiles)
    if (dataFiles.length > 0) {
      const sequenceNumber = committed.metadata['last-sequence-number']
      const tasks = dataFiles.map((file) => ({ file, sequenceNumber, deletes: [...deleteFiles] }))
      const schema = currentSchema(committed.metadata)
      const table = committed.metadata.location
      const plan = { table, snapshot: null, schema, tasks, manifestsRead: 0, manifestsSkipped: 0, filesSkipped: 0 }
      await index.addRows(await positions(context, plan))
    }
    if (deleteFiles.length > 0) {
      const local = await Promise.all(deleteFiles.map((file) => io.localFile(file.filePath)))
      await index.countOff(
        `SELECT f.id AS file FROM read_parquet(${listLiteral(local)}) d JOIN ${index.name('files')} f ON f.path = d.file_path`,
      )
    }
    await setDeleteFiles(context, committed, snapshotId)
  })
}

/** Delete files were merged: no row has moved. */
export async function replaceDeleteFiles(
  context: IndexContext,
  committed: LoadedTable,
  snapshotId: bigint,
): Promise<void> {
  await context.index.change(snapshotId, () => setDeleteFiles(context, committed, snapshotId))
}

async function setDeleteFiles(
  { session, io, index }: IndexContext,
  { metadata }: LoadedTable,
  snapshotId: bigint,
): Promise<void> {
  const plan = await planScan(io, metadata, { snapshotId })
  await session.run(`DELETE FROM ${index.name('delete_files')}`)
  await index.addDeleteFiles([...new Set(plan.tasks.flatMap((task) => task.deletes).map((file) => file.filePath))])
}
