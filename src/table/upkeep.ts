/**
 * Upkeep of one table, by the process that writes it, between two commits: a bounded piece of work a turn.
 *
 * Small and worn data files are merged, small delete files are merged, snapshots are expired by count and age and the files that
 * only they could reach are removed. So the cost of a commit stays what it was after ten thousand of them.
 *
 * Crash story: a rewrite is one snapshot of operation `replace`; before it the new files are orphans, after it the old ones are
 * history. Files are removed only after the commit that expired their last snapshot, when every snapshot left has been asked.
 */
import { assert, must } from '../base/assert.ts'
import { isFault } from '../base/fault.ts'
import { uuidv7 } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { listLiteral } from '../duck/duck.ts'
import { expireSnapshots } from '../iceberg/action/expire.ts'
import type { LoadedTable } from '../iceberg/catalog/catalog.ts'
import { commitChange } from '../iceberg/catalog/commit.ts'
import { writeDataFiles } from '../iceberg/file/data-writer.ts'
import { writePositionDeletes } from '../iceberg/file/delete-writer.ts'
import { planScan } from '../iceberg/scan/plan.ts'
import { scanRelation } from '../iceberg/scan/relation.ts'
import type { ScanPlan } from '../iceberg/scan/scan.ts'
import type { DataFile } from '../iceberg/spec/manifest.ts'
import { currentSchema, currentSpec } from '../iceberg/spec/schema.ts'
import { type CompactionChoice, chooseData, chooseDeletes } from './compaction-choice.ts'
import { catchUp, type IndexContext, positions } from './index-upkeep.ts'
import { reachableFiles } from './reachable.ts'
import { planSnapshot } from './snapshot-plan.ts'
import { SUMMARY } from './table.ts'
import { sortTerms, writeSettings } from './write-settings.ts'
import { committedOffset, type TableWriter } from './writer.ts'

/** One turn. Returns a sentence for each thing done; a table that others change meanwhile is left for the next turn. */
export async function upkeep(writer: TableWriter): Promise<string[]> {
  const table = await writer.load()
  const done: string[] = []
  try {
    const { filesPerStep } = writer.bounds
    if (fileCount(table, filesPerStep) >= filesPerStep) done.push(...(await compact(writer, table)))
    done.push(...(await expire(writer)))
  } catch (error) {
    if (!isFault(error, 'conflict')) throw error
  }
  return done
}

/** By the snapshot's summary: free to ask after each commit. Unknown counts as many. */
function fileCount({ metadata }: LoadedTable, unknown: number): number {
  const current = metadata.snapshots.find((snapshot) => snapshot['snapshot-id'] === metadata['current-snapshot-id'])
  if (current === undefined) return 0
  const of = (name: string) => Number(current.summary[name] ?? unknown)
  return Math.max(of('total-data-files'), of('total-delete-files'))
}

async function compact(writer: TableWriter, table: LoadedTable): Promise<string[]> {
  const { io } = writer.parts
  const index = writer.indexContext
  if (index !== null) await catchUp(index, table)
  const plan = await planScan(io, table.metadata)
  const choice = chooseData(plan.tasks, index === null ? null : await liveRows(index), writer.bounds)
  if (choice !== null) {
    await rewriteData(writer, table, plan, choice)
    return [`compacted ${choice.why}`]
  }
  const deletes = [...new Map(plan.tasks.flatMap((task) => task.deletes).map((file) => [file.filePath, file])).values()]
  const merge = chooseDeletes(deletes, writer.bounds)
  if (merge === null) return []
  await mergeDeletes(writer, table, plan, merge)
  return [`merged ${merge.length} delete files`]
}

async function liveRows({ session, index }: IndexContext): Promise<Map<string, number>> {
  const rows = await session.rows(
    `SELECT f.path, count(l.pos) AS live FROM ${index.name('files')} f LEFT JOIN (${index.live}) l ON l.file = f.id GROUP BY f.path`,
  )
  return new Map(rows.map((row) => [String(row['path']), Number(row['live'])]))
}

async function rewriteData(
  writer: TableWriter,
  table: LoadedTable,
  plan: ScanPlan,
  choice: CompactionChoice,
): Promise<void> {
  const { session, io, clock } = writer.parts
  const { metadata } = table
  const schema = currentSchema(metadata)
  const nowMs = clock.nowMs()
  let dataFiles: DataFile[] = []
  if (choice.rewrite.length > 0) {
    const { sql } = await scanRelation(session, io, { ...plan, schema, tasks: choice.rewrite })
    dataFiles = await writeDataFiles(session, io, {
      relationSql: sql,
      schema,
      spec: currentSpec(metadata),
      location: metadata.location,
      nowMs,
      ...sortTerms(metadata),
      ...writeSettings(metadata.properties),
    })
  }
  const removed = new Set([...choice.rewrite, ...choice.drop].map((task) => task.file.filePath))
  const committed = await replace(writer, table, { dataFiles, deleteFiles: [], removedPaths: removed })
  const context = writer.indexContext
  if (context === null) return
  const { index } = context
  await index.merge(true)
  await index.change(must(committed.metadata['current-snapshot-id'], 'the snapshot just committed'), async () => {
    const gone = (await index.files()).filter((file) => removed.has(file.path))
    await index.removeFiles(gone.map((file) => file.id))
    await index.addFiles(dataFiles)
    if (dataFiles.length > 0) {
      const tasks = dataFiles.map((file) => ({
        file,
        sequenceNumber: committed.metadata['last-sequence-number'],
        deletes: [],
      }))
      await session.run(`INSERT INTO ${index.name('base')} ${await positions(context, { ...plan, schema, tasks })}`)
    }
    await setDeleteFiles(context, committed)
  })
}

async function mergeDeletes(
  writer: TableWriter,
  table: LoadedTable,
  plan: ScanPlan,
  merge: readonly DataFile[],
): Promise<void> {
  const { session, io, clock } = writer.parts
  const { metadata } = table
  const local = await Promise.all(merge.map((file) => io.localFile(file.filePath)))
  const live = new Map(plan.tasks.map((task) => [task.file.filePath, task.file]))
  // Positions in files that are gone need no mark any more.
  await session.run('CREATE OR REPLACE TEMP TABLE live_files (path VARCHAR)')
  await session.run(`INSERT INTO live_files SELECT unnest(${listLiteral([...live.keys()])})`)
  const deleteFiles = await writePositionDeletes(session, io, {
    relationSql: `SELECT file_path, pos FROM read_parquet(${listLiteral(local)}) WHERE file_path IN (SELECT path FROM live_files)`,
    dataFiles: live,
    schema: currentSchema(metadata),
    specs: metadata['partition-specs'],
    location: metadata.location,
    nowMs: clock.nowMs(),
  })
  const committed = await replace(writer, table, {
    dataFiles: [],
    deleteFiles,
    removedPaths: new Set(merge.map((file) => file.filePath)),
  })
  const context = writer.indexContext
  assert(context !== null, 'only keyed tables have delete files of ours')
  await context.index.change(must(committed.metadata['current-snapshot-id'], 'the snapshot just committed'), () =>
    setDeleteFiles(context, committed),
  )
}

async function setDeleteFiles({ session, io, index }: IndexContext, table: LoadedTable): Promise<void> {
  const plan = await planScan(io, table.metadata)
  await session.run(`DELETE FROM ${index.name('delete_files')}`)
  await index.addDeleteFiles([...new Set(plan.tasks.flatMap((task) => task.deletes).map((file) => file.filePath))])
}

interface Replacement {
  dataFiles: readonly DataFile[]
  deleteFiles: readonly DataFile[]
  removedPaths: ReadonlySet<string>
}

async function replace(writer: TableWriter, base: LoadedTable, files: Replacement): Promise<LoadedTable> {
  const { catalog, io, clock } = writer.parts
  const commitId = uuidv7(clock.nowMs())
  const { table } = await commitChange(catalog, base.ident, {
    commitId,
    clock,
    plan: async ({ metadata }) => {
      writer.assertStill(base, metadata)
      return planSnapshot(io, metadata, {
        ...files,
        sameRows: true,
        mergeCount: writer.bounds.manifestsMergeCount,
        nowMs: clock.nowMs(),
        summary: {
          [SUMMARY.commitId]: commitId,
          [SUMMARY.offset]: String(committedOffset(metadata, writer.logName)),
          [SUMMARY.log]: writer.logName,
        },
      })
    },
  })
  return table
}

/** Expires snapshots when there are clearly too many, so that the work is shared by many commits. */
async function expire(writer: TableWriter): Promise<string[]> {
  const { catalog, io, clock } = writer.parts
  const before = await writer.load()
  const keepMax = writer.bounds.snapshotsKeptMax
  if (before.metadata.snapshots.length < keepMax * 1.2) return []
  const { table: after } = await commitChange(catalog, before.ident, {
    commitId: uuidv7(clock.nowMs()),
    clock,
    plan: async ({ metadata }) => {
      const { change, snapshotIds } = expireSnapshots(metadata, {
        nowMs: clock.nowMs(),
        ...(keepMax < limits.snapshotsKeptMin ? { keepMin: keepMax } : {}),
        keepMax,
      })
      return snapshotIds.length === 0 ? null : change
    },
  })
  const left = new Set(after.metadata.snapshots.map((snapshot) => snapshot['snapshot-id']))
  const expired = before.metadata.snapshots.filter((snapshot) => !left.has(snapshot['snapshot-id']))
  if (expired.length === 0) return []
  const kept = await reachableFiles(io, after.metadata, after.metadata.snapshots)
  const gone = await reachableFiles(io, before.metadata, expired)
  const unreachable = [...gone].filter((location) => !kept.has(location))
  await io.delete(unreachable)
  return [`expired ${expired.length} snapshots, removed ${unreachable.length} files`]
}
