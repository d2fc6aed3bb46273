/**
 * Upkeep of one table, by the process that writes it, between two commits: a bounded piece of work a turn.
 *
 * Small and worn data files are merged, small delete files are merged, snapshots are expired by count and age and the files that
 * only they could reach are removed, now and then also files that nothing reaches (`orphans.ts`). So the cost of a commit stays what it was after ten thousand of them.
 *
 * Crash story: a rewrite is one snapshot of operation `replace`; before it the new files are orphans, after it the old ones are
 * history. Files are removed only after the commit that expired their last snapshot, when every snapshot left has been asked.
 */
import { assert } from '../base/assert.ts'
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
import type { ScanPlan, ScanTask } from '../iceberg/scan/scan.ts'
import type { DataFile } from '../iceberg/spec/manifest.ts'
import { currentSchema, currentSpec } from '../iceberg/spec/schema.ts'
import { boundsFor, type CompactionChoice, chooseData, chooseDeletes } from './compaction-choice.ts'
import { catchUp, type IndexContext, positions } from './index-upkeep.ts'
import { removeOrphans } from './orphans.ts'
import { reachableFiles, statisticsFiles } from './reachable.ts'
import { planSnapshot } from './snapshot-plan.ts'
import { SUMMARY } from './table.ts'
import { sortTerms, writeSettings } from './write-settings.ts'
import { committedOffset, committedSnapshot, type TableWriter } from './writer.ts'

/** Files and rows of a table, by its snapshot's summary: free to ask after each commit. */
interface Counts {
  data: number
  deletes: number
  /** Share of its rows that are marked as deleted. */
  dead: number
}

/** What each table had when looking at its files last found nothing to do. */
const quiet = new WeakMap<TableWriter, Counts>()
/** So much more of a table must be dead before it is looked at again. */
const DEAD_STEP = 0.05

/** One turn. Returns a sentence for each thing done; a table that others change meanwhile is left for the next turn. */
export async function upkeep(writer: TableWriter): Promise<string[]> {
  const table = await writer.load()
  const done: string[] = []
  try {
    if (worthLooking(writer, table)) done.push(...(await compact(writer, table)))
    done.push(...(await expire(writer)))
    done.push(...(await orphans(writer)))
  } catch (error) {
    if (!(await writer.wasOvertaken(table, error))) throw error
  }
  return done
}

/** Looking reads all manifests: it waits until there is clearly more to be found than when nothing was. */
function worthLooking(writer: TableWriter, table: LoadedTable): boolean {
  const {
    filesPerStep: step,
    deadShare,
    deleteFilesPerFile = step,
  } = boundsFor(table.metadata.properties, writer.bounds)
  const filesPerStep = Math.min(step, deleteFilesPerFile)
  const now = countsOf(table, filesPerStep)
  const before = quiet.get(writer)
  if (now.dead >= deadShare / 2 && now.dead >= (before?.dead ?? 0) + DEAD_STEP) return true
  if (Math.max(now.data, now.deletes) < filesPerStep) return false
  if (before === undefined) return true
  const grown = Math.max(now.data - before.data, now.deletes - before.deletes)
  return grown >= filesPerStep / 2 || now.data < before.data || now.deletes < before.deletes
}

/** Unknown files count as many, unknown rows as alive. */
function countsOf({ metadata }: LoadedTable, unknown: number): Counts {
  const current = metadata.snapshots.find((snapshot) => snapshot['snapshot-id'] === metadata['current-snapshot-id'])
  if (current === undefined) return { data: 0, deletes: 0, dead: 0 }
  const of = (name: string, otherwise: number) => Number(current.summary[name] ?? otherwise)
  return {
    data: of('total-data-files', unknown),
    deletes: of('total-delete-files', unknown),
    dead: of('total-position-deletes', 0) / Math.max(1, of('total-records', 0)),
  }
}

/** Rewrites data files, and merges delete files, of which many say nothing any more once their data files were rewritten. */
async function compact(writer: TableWriter, table: LoadedTable): Promise<string[]> {
  quiet.delete(writer)
  const data = await compactData(writer, table)
  const deletes = await compactDeletes(writer, data === null ? table : await writer.load())
  const done = [data, deletes].filter((what) => what !== null)
  if (done.length === 0) quiet.set(writer, countsOf(table, writer.bounds.filesPerStep))
  return done
}

async function compactData(writer: TableWriter, table: LoadedTable): Promise<string | null> {
  const { plan, live } = await examine(writer, table)
  const choice = chooseData(plan.tasks, live, boundsFor(table.metadata.properties, writer.bounds))
  if (choice === null) return null
  const index = writer.indexContext
  if (choice.drop.length > 0 && index !== null) await assertDead(index, choice.drop)
  await rewriteData(writer, table, plan, choice)
  return `compacted ${choice.why}`
}

async function compactDeletes(writer: TableWriter, table: LoadedTable): Promise<string | null> {
  const { plan, live } = await examine(writer, table)
  const deletes = [...new Map(plan.tasks.flatMap((task) => task.deletes).map((file) => [file.filePath, file])).values()]
  const merge = chooseDeletes(deletes, live === null ? null : deadRows(plan.tasks, live), writer.bounds)
  if (merge === null) return null
  await mergeDeletes(writer, table, plan, merge)
  return `merged ${merge.length} delete files`
}

/** The table's files, and how many rows of each are alive, where a row index knows. */
async function examine(
  writer: TableWriter,
  table: LoadedTable,
): Promise<{ plan: ScanPlan; live: Map<string, number> | null }> {
  const index = writer.indexContext
  if (index !== null) await catchUp(index, table)
  const plan = await planScan(writer.parts.io, table.metadata)
  return { plan, live: index === null ? null : await liveRows(index) }
}

async function liveRows({ index }: IndexContext): Promise<Map<string, number>> {
  return new Map((await index.files()).map((file) => [file.path, file.liveRows]))
}

function deadRows(tasks: readonly ScanTask[], live: ReadonlyMap<string, number>): number {
  return tasks.reduce((sum, { file }) => sum + file.recordCount - (live.get(file.filePath) ?? file.recordCount), 0)
}

/** Files are taken out unread, so the count is not trusted for that: the rows themselves are looked for. */
async function assertDead({ session, index }: IndexContext, drop: readonly ScanTask[]): Promise<void> {
  const paths = listLiteral(drop.map((task) => task.file.filePath))
  const rows = await session.value(
    `SELECT count(*) FROM (${index.live}) WHERE file IN (SELECT id FROM ${index.name('files')} WHERE list_contains(${paths}, path))`,
  )
  assert(Number(rows) === 0, 'a file to be dropped has no live row')
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
      rowsAtMost: choice.rewrite.reduce((rows, { file }) => rows + file.recordCount, 0),
      ...sortTerms(metadata),
      ...writeSettings(metadata.properties),
    })
  }
  const removed = new Set([...choice.rewrite, ...choice.drop].map((task) => task.file.filePath))
  const { committed, snapshotId } = await replace(writer, table, { dataFiles, deleteFiles: [], removedPaths: removed })
  const context = writer.indexContext
  if (context === null) return
  const { index } = context
  await index.merge(true)
  await index.change(snapshotId, async () => {
    const gone = (await index.files()).filter((file) => removed.has(file.path))
    await index.removeFiles(gone.map((file) => file.id))
    await index.addFiles(dataFiles)
    if (dataFiles.length > 0) {
      const tasks = dataFiles.map((file) => ({
        file,
        sequenceNumber: committed.metadata['last-sequence-number'],
        deletes: [],
      }))
      await index.addRows(await positions(context, { ...plan, schema, tasks }))
    }
    await setDeleteFiles(context, committed, snapshotId)
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
  const { committed, snapshotId } = await replace(writer, table, {
    dataFiles: [],
    deleteFiles,
    removedPaths: new Set(merge.map((file) => file.filePath)),
  })
  const context = writer.indexContext
  // The deletes of a table of appends are somebody else's.
  if (context === null) return
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

interface Replacement {
  dataFiles: readonly DataFile[]
  deleteFiles: readonly DataFile[]
  removedPaths: ReadonlySet<string>
}

async function replace(
  writer: TableWriter,
  base: LoadedTable,
  files: Replacement,
): Promise<{ committed: LoadedTable; snapshotId: bigint }> {
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
  return { committed: table, snapshotId: committedSnapshot(table.metadata, commitId) }
}

/** When files that nothing reaches are looked for next. */
const orphansDueMs = new WeakMap<TableWriter, number>()

/** A process begins with it after a while: one that only commits a little and ends leaves it to others. */
async function orphans(writer: TableWriter): Promise<string[]> {
  const { io, clock } = writer.parts
  const nowMs = clock.nowMs()
  const dueMs = orphansDueMs.get(writer) ?? Number.POSITIVE_INFINITY
  if (nowMs >= dueMs || !orphansDueMs.has(writer)) orphansDueMs.set(writer, nowMs + writer.bounds.orphanIntervalMs)
  if (nowMs < dueMs) return []
  const removed = await removeOrphans({ io, load: () => writer.load(), nowMs })
  return removed.length === 0 ? [] : [`removed ${removed.length} files that nothing reaches`]
}

/** Expires snapshots when there are clearly too many, so that the work is shared by many commits. */
async function expire(writer: TableWriter): Promise<string[]> {
  const { catalog, io, clock } = writer.parts
  const before = await writer.load()
  // What the table's owner wants kept at least goes before our bound.
  const wanted = Number(before.metadata.properties['history.expire.min-snapshots-to-keep'] ?? 0)
  const keepMax = Math.max(writer.bounds.snapshotsKeptMax, Number.isFinite(wanted) ? wanted : 0)
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
  const statistics = statisticsFiles(before.metadata).difference(statisticsFiles(after.metadata))
  const unreachable = [...gone.union(statistics)].filter((location) => !kept.has(location))
  await io.delete(unreachable)
  return [`expired ${expired.length} snapshots, removed ${unreachable.length} files`]
}
