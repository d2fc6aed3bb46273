/**
 * Rewriting files of a table beside whoever commits to it: data files merged or rid of dead rows, delete files merged.
 *
 * The new files are written from the table as it was planned, while the writer and others go on. Then the plan is brought to the table as it
 * is now (`rebase`): what came meanwhile is no conflict as long as every file that is to go is still there; rows deleted meanwhile are
 * carried over (`carry.ts`). Only the last of that, the swap and the change of the row index are done while commits wait.
 *
 * Invariant: a replacing snapshot holds the rows of its parent. Crash story: before the swap the new files are orphans; after it the
 * old ones are history, and an index that did not learn of it catches up. Files of one's own are removed at once when it is certain
 * that they were not committed, otherwise left to the removal of orphans.
 */
import { unreachable } from '../base/assert.ts'
import { Fault, isFault } from '../base/fault.ts'
import { uuidv7 } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { type DuckSession, listLiteral } from '../duck/duck.ts'
import type { LoadedTable } from '../iceberg/catalog/catalog.ts'
import { commitChange, findCommit } from '../iceberg/catalog/commit.ts'
import { writeDataFiles } from '../iceberg/file/data-writer.ts'
import { writePositionDeletes } from '../iceberg/file/delete-writer.ts'
import { planScan } from '../iceberg/scan/plan.ts'
import { scanRelation } from '../iceberg/scan/relation.ts'
import type { ScanPlan, ScanTask } from '../iceberg/scan/scan.ts'
import type { DataFile } from '../iceberg/spec/manifest.ts'
import { currentSchema, currentSpec } from '../iceberg/spec/schema.ts'
import type { TableMetadata } from '../iceberg/spec/table-metadata.ts'
import { Carry, KEPT, LOST, type Rebased } from './carry.ts'
import type { CompactionChoice } from './compaction-choice.ts'
import { learnReplacement, replaceDeleteFiles } from './index-replace.ts'
import { catchUp, type IndexContext } from './index-upkeep.ts'
import type { KeptTable } from './kept-table.ts'
import { planSnapshot } from './snapshot-plan.ts'
import { SUMMARY } from './table.ts'
import { sortTerms, writeSettings } from './write-settings.ts'
import { committedOffset } from './writer.ts'

export interface Job {
  kept: KeptTable
  /** The work's own connection: statements of the writer's go on meanwhile. */
  session: DuckSession
  /** The table as the work was planned. */
  table: LoadedTable
  plan: ScanPlan
}

/** `lost`: the table has changed so that the work must begin anew; `overtaken`: others were faster at every swap. */
export type Outcome = { kind: 'committed' } | { kind: 'lost' } | { kind: 'overtaken' }

/** Files in, files out, the same rows. */
interface Replacement {
  dataFiles: readonly DataFile[]
  removedPaths: ReadonlySet<string>
  /** Brings the files to the table as it is at `metadata`. */
  rebase(metadata: TableMetadata): Promise<Rebased>
  /** To be added with the data files; more of them may come with `rebase`. */
  deleteFiles: readonly DataFile[]
  /** Asked while commits wait, with the index at the snapshot that is built upon: does what the work relies on still hold? */
  holds?(context: IndexContext): Promise<boolean>
  /** Tells the index of it, which is at the snapshot that was built upon. */
  learn(context: IndexContext, committed: LoadedTable, snapshotId: bigint): Promise<void>
}

/** @throws Fault; then what was written is left to the removal of orphans */
export async function rewriteData(job: Job, { rewrite, drop }: CompactionChoice): Promise<Outcome> {
  const { kept, session, table, plan } = job
  const { io, clock } = kept.parts
  const { metadata } = table
  const schema = currentSchema(metadata)
  const nowMs = clock.nowMs()
  let dataFiles: DataFile[] = []
  if (rewrite.length > 0) {
    const { sql } = await scanRelation(session, io, { ...plan, schema, tasks: rewrite })
    dataFiles = await writeDataFiles(session, io, {
      relationSql: sql,
      schema,
      spec: currentSpec(metadata),
      location: metadata.location,
      nowMs,
      rowsAtMost: rewrite.reduce((rows, { file }) => rows + file.recordCount, 0),
      ...sortTerms(metadata),
      ...writeSettings(metadata.properties),
    })
  }
  const key = kept.indexContext?.key ?? []
  const carry = new Carry({ session, io, key, base: metadata, plan: { ...plan, schema }, rewrite, dataFiles, nowMs })
  const removedPaths = new Set([...rewrite, ...drop].map((task) => task.file.filePath))
  try {
    return await replace(job, {
      dataFiles,
      removedPaths,
      deleteFiles: carry.deleteFiles,
      rebase: (now) => carry.to(now),
      holds: (context) => areDead(context, drop),
      learn: (context, committed, snapshotId) =>
        learnReplacement(context, { dataFiles, deleteFiles: carry.deleteFiles, removedPaths }, committed, snapshotId),
    })
  } finally {
    await carry.close()
  }
}

/**
 * Files are taken out unread, so the count is not trusted for that: the rows themselves are looked for. A rollback may have brought
 * some back since the files were chosen.
 */
async function areDead({ session, index }: IndexContext, drop: readonly ScanTask[]): Promise<boolean> {
  if (drop.length === 0) return true
  const paths = listLiteral(drop.map((task) => task.file.filePath))
  const rows = await session.value(
    `SELECT count(*) FROM (${index.live}) WHERE file IN (SELECT id FROM ${index.name('files')} WHERE list_contains(${paths}, path))`,
  )
  return Number(rows) === 0
}

/** @throws Fault; then what was written is left to the removal of orphans */
export async function mergeDeletes(job: Job, merge: readonly DataFile[]): Promise<Outcome> {
  const { kept, session, table, plan } = job
  const { io, clock } = kept.parts
  const { metadata } = table
  const local = await Promise.all(merge.map((file) => io.localFile(file.filePath)))
  const live = new Map(plan.tasks.map((task) => [task.file.filePath, task.file]))
  const fileIds = new Map([...live.keys()].map((path, id) => [id, path]))
  // Numbers stand for the files: positions are held to be told apart, and a path each would take several times their memory.
  await session.run('CREATE OR REPLACE TEMP TABLE live_files (file INTEGER, path VARCHAR)')
  await session.run(
    `INSERT INTO live_files SELECT unnest(range(${live.size})), unnest(${listLiteral([...live.keys()])})`,
  )
  const deleteFiles = await writePositionDeletes(session, io, {
    // Positions in files that are gone need no mark any more.
    relationSql: `SELECT l.file, d.pos FROM read_parquet(${listLiteral(local)}) d JOIN live_files l ON l.path = d.file_path`,
    fileIds,
    dataFiles: live,
    schema: currentSchema(metadata),
    specs: metadata['partition-specs'],
    location: metadata.location,
    nowMs: clock.nowMs(),
  })
  await session.dropTables(['temp.live_files'])
  const removedPaths = new Set(merge.map((file) => file.filePath))
  return replace(job, {
    dataFiles: [],
    deleteFiles,
    removedPaths,
    rebase: (now) => deletesStillHold(job, removedPaths, now),
    learn: replaceDeleteFiles,
  })
}

/** The delete files are all there, and every data file is one that was looked at, or younger than they are. */
async function deletesStillHold(
  { kept, table, plan }: Job,
  merge: ReadonlySet<string>,
  metadata: TableMetadata,
): Promise<Rebased> {
  const base = table.metadata
  if (metadata['table-uuid'] !== base['table-uuid']) return LOST
  if (metadata['current-snapshot-id'] === base['current-snapshot-id']) return KEPT
  const now = await planScan(kept.parts.io, metadata)
  const deletes = new Set(now.tasks.flatMap((task) => task.deletes.map((file) => file.filePath)))
  if (![...merge].every((path) => deletes.has(path))) return LOST
  const known = new Set(plan.tasks.map((task) => task.file.filePath))
  const back = now.tasks.some(
    ({ file, sequenceNumber }) => !known.has(file.filePath) && sequenceNumber <= base['last-sequence-number'],
  )
  return back ? LOST : KEPT
}

async function replace(job: Job, replacement: Replacement): Promise<Outcome> {
  const { kept } = job
  const swap = new Swap(job, replacement)
  for (let round = 1; round <= limits.compactRoundsMax; round++) {
    // Most of what came meanwhile is carried over while commits go on.
    const rebased = await replacement.rebase((await kept.load()).metadata)
    const outcome = rebased.kind === 'lost' ? rebased : await kept.exclusively(() => swap.try())
    switch (outcome.kind) {
      case 'committed':
        return outcome
      case 'lost':
        await swap.giveUp()
        return outcome
      case 'overtaken':
        continue
      default:
        unreachable(outcome)
    }
  }
  // The last attempt was not looked for afterwards.
  const now = await kept.load()
  if (findCommit(now.metadata, swap.commitId) !== undefined) return { kind: 'committed' }
  await swap.giveUp()
  return { kind: 'overtaken' }
}

/** One replacement's way into the table: attempts of one commit, so that one that took effect is never made again. */
class Swap {
  readonly #job: Job
  readonly #replacement: Replacement
  readonly commitId: string
  /** Manifests of the last attempt. */
  #manifests: string[] = []

  constructor(job: Job, replacement: Replacement) {
    this.#job = job
    this.#replacement = replacement
    this.commitId = uuidv7(job.kept.parts.clock.nowMs())
  }

  /** A few attempts, while commits wait. */
  async try(): Promise<Outcome> {
    const { kept, table } = this.#job
    const { catalog, clock } = kept.parts
    let lost = false
    let committed: LoadedTable
    try {
      const result = await commitChange(catalog, table.ident, {
        commitId: this.commitId,
        clock,
        attemptsMax: limits.compactSwapsMax,
        plan: async (now) => {
          // An attempt before this one has certainly failed.
          await this.#remove(this.#manifests.splice(0))
          const rebased = await this.#replacement.rebase(now.metadata)
          if (rebased.kind === 'kept' && (await this.#stillHolds(now))) return this.#change(now)
          lost = true
          return null
        },
      })
      committed = result.table
    } catch (error) {
      if (isFault(error, 'conflict')) return { kind: 'overtaken' }
      throw error
    }
    if (lost) return { kind: 'lost' }
    await this.#learn(committed)
    return { kind: 'committed' }
  }

  async #stillHolds(now: LoadedTable): Promise<boolean> {
    const context = this.#job.kept.indexContext
    if (context === null) return true
    await catchUp(context, now)
    return (await this.#replacement.holds?.(context)) ?? true
  }

  async #change(now: LoadedTable) {
    const { kept } = this.#job
    const { io, clock } = kept.parts
    const { dataFiles, deleteFiles, removedPaths } = this.#replacement
    const offset =
      kept.logName === null
        ? {}
        : { [SUMMARY.offset]: String(committedOffset(now.metadata, kept.logName)), [SUMMARY.log]: kept.logName }
    return planSnapshot(io, now.metadata, {
      dataFiles,
      deleteFiles,
      removedPaths,
      sameRows: true,
      mergeCount: kept.bounds.manifestsMergeCount,
      nowMs: clock.nowMs(),
      summary: { [SUMMARY.commitId]: this.commitId, ...offset },
      written: this.#manifests,
    })
  }

  /** A commit that was found only later may stand on another snapshot than the index: then the index catches up from the files. */
  async #learn(committed: LoadedTable): Promise<void> {
    const context = this.#job.kept.indexContext
    const snapshot = findCommit(committed.metadata, this.commitId)
    if (context === null || snapshot === undefined) return
    if ((snapshot['parent-snapshot-id'] ?? null) !== context.index.snapshotId) return
    await this.#replacement.learn(context, committed, snapshot['snapshot-id'])
  }

  /** Nothing of it is in the table, and nothing will be. */
  async giveUp(): Promise<void> {
    const { dataFiles, deleteFiles } = this.#replacement
    await this.#remove([...dataFiles, ...deleteFiles].map((file) => file.filePath))
    await this.#remove(this.#manifests)
  }

  /** What stays behind is an orphan. */
  async #remove(locations: readonly string[]): Promise<void> {
    if (locations.length === 0) return
    try {
      await this.#job.kept.parts.io.delete(locations)
    } catch (error) {
      if (!(error instanceof Fault)) throw error
    }
  }
}
