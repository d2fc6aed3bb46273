/**
 * Upkeep of one table, beside whoever commits to it: a bounded piece of work a turn.
 *
 * Small and worn data files are merged, small delete files are merged (`compaction.ts`), snapshots are expired by count and age and
 * the files that only they could reach are removed (`expiry.ts`), now and then also files that nothing reaches (`orphans.ts`). So
 * the cost of a commit stays what it was after ten thousand of them. When a turn comes, and what a failure of it means, is the
 * affair of `upkeep-loop.ts`.
 */
import { isFault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { type DuckSession, listLiteral } from '../duck/duck.ts'
import type { LoadedTable } from '../iceberg/catalog/catalog.ts'
import { planScan } from '../iceberg/scan/plan.ts'
import type { ScanTask } from '../iceberg/scan/scan.ts'
import { currentSnapshot } from '../iceberg/spec/history.ts'
import type { TableBounds } from './bounds.ts'
import { type Job, mergeDeletes, type Outcome, rewriteData } from './compaction.ts'
import { boundsFor, type CompactionChoice, chooseData, chooseDeletes } from './compaction-choice.ts'
import { dueExpiry, expire } from './expiry.ts'
import { catchUp } from './index-upkeep.ts'
import type { KeptTable } from './kept-table.ts'
import { removeOrphans } from './orphans.ts'

/** Files and rows of a table, by its snapshot's summary: free to ask after each commit. */
interface Counts extends FileCounts {
  /** Share of its rows that are marked as deleted. */
  dead: number
}

export interface FileCounts {
  data: number
  deletes: number
}

/** So much more of a table must be dead before it is looked at again. */
const DEAD_STEP = 0.05

/** Rows of each data file that are not deleted; null: not known of any. */
type LiveRows = ReadonlyMap<string, number> | null

interface Work {
  what: string
  perform: () => Promise<Outcome>
}

type Choose = (this: TableUpkeep, job: Job, live: LiveRows, bounds: TableBounds) => Work | null

/** What `optimize` has made of a table. */
export interface OptimizeReport {
  before: FileCounts
  after: FileCounts
  /** A sentence for each snapshot that it made. */
  steps: string[]
}

export class TableUpkeep {
  readonly #kept: KeptTable
  readonly #session: DuckSession
  /** What the table had when looking at its files last found nothing to do. */
  #quiet: Counts | null = null
  /** How often the number of files taken at a time was halved: others were faster, or memory did not do. */
  #halvings = 0
  #orphansDueMs: number | null = null

  /** @param session the work's own, shared by tables whose turns never overlap */
  constructor(kept: KeptTable, session: DuckSession) {
    this.#kept = kept
    this.#session = session
  }

  /**
   * One turn: a sentence for each thing done. A table that others change meanwhile is left for the next turn.
   * @throws Fault of the first part that failed; the others have had their turn
   */
  async turn(): Promise<string[]> {
    const done: string[] = []
    const failed: unknown[] = []
    for (const part of [() => this.#compact(), () => this.#expire(), () => this.#orphans()]) {
      try {
        done.push(...(await part()))
      } catch (error) {
        failed.push(error)
      }
    }
    if (failed.length > 0) throw failed[0]
    return done
  }

  /** Compacts until little is gained by more: no two small files of one size, no file with many dead rows. Others may commit meanwhile. */
  async optimize(): Promise<OptimizeReport> {
    const before = filesOf(await this.#kept.load())
    const bounds = { ...this.#kept.bounds, filesPerStep: 2, deadShare: limits.optimizeDeadShare }
    const steps: string[] = []
    for (let turn = 0; turn < limits.optimizeTurnsMax; turn++) {
      const done = await this.#compact(bounds)
      if (done.length === 0) break
      steps.push(...done)
    }
    return { before, after: filesOf(await this.#kept.load()), steps }
  }

  /** Rewrites data files, and merges delete files, of which many say nothing any more once their data files were rewritten. */
  async #compact(bounds?: TableBounds): Promise<string[]> {
    const table = await this.#kept.load()
    if (bounds === undefined && !this.#worthLooking(table)) return []
    this.#quiet = null
    const done: string[] = []
    for (const choose of [this.#chooseData, this.#chooseDeletes]) {
      const what = await this.#rewrite(bounds ?? this.#kept.bounds, choose)
      if (what === 'overtaken') return done
      if (what !== null) done.push(what.done)
    }
    if (done.length === 0) this.#quiet = countsOf(await this.#kept.load(), this.#kept.bounds.filesPerStep)
    return done
  }

  /** Null: there is nothing to do. `overtaken`: there is, and others were faster each time. */
  async #rewrite(bounds: TableBounds, choose: Choose): Promise<{ done: string } | 'overtaken' | null> {
    for (let start = 1; start <= limits.compactStartsMax; start++) {
      const outcome = await this.#start(await this.#kept.load(), bounds, choose)
      if (outcome === null) return null
      if (outcome.kind === 'committed') {
        this.#halvings = Math.max(0, this.#halvings - 1)
        return { done: outcome.what }
      }
      this.#halvings = Math.min(limits.compactHalvingsMax, this.#halvings + 1)
      if (outcome.kind === 'overtaken') break
    }
    return 'overtaken'
  }

  /** Null: nothing to do. */
  async #start(table: LoadedTable, bounds: TableBounds, choose: Choose): Promise<(Outcome & { what: string }) | null> {
    try {
      const plan = await planScan(this.#kept.parts.io, table.metadata)
      const job = { kept: this.#kept, session: this.#session, table, plan }
      const live = await this.#liveRows(job)
      const found = choose.call(this, job, live, boundsFor(table.metadata.properties, bounds))
      return found === null ? null : { ...(await found.perform()), what: found.what }
    } catch (error) {
      // Too much for the memory: a smaller piece may do.
      const smaller = isFault(error, 'limit') && this.#halvings < limits.compactHalvingsMax
      if (smaller || (await this.#kept.wasOvertaken(table, error))) return { kind: 'lost', what: '' }
      throw error
    }
  }

  #chooseData(job: Job, live: LiveRows, bounds: TableBounds): Work | null {
    const choice = chooseData(job.plan.tasks, live, bounds)
    if (choice === null) return null
    // Without an index nothing proves that a file is dead: it is read like any.
    const { rewrite, drop } =
      this.#kept.indexContext === null ? { rewrite: [...choice.rewrite, ...choice.drop], drop: [] } : choice
    const piece: CompactionChoice = { ...choice, drop, rewrite: this.#piece(rewrite) }
    return { what: `compacted ${choice.why}`, perform: () => rewriteData(job, piece) }
  }

  #chooseDeletes(job: Job, live: LiveRows, bounds: TableBounds): Work | null {
    const { tasks } = job.plan
    const deletes = [...new Map(tasks.flatMap((task) => task.deletes).map((file) => [file.filePath, file])).values()]
    const merge = chooseDeletes(deletes, live === null ? null : deadRows(tasks, live), bounds)
    if (merge === null) return null
    const piece = this.#piece(merge)
    return { what: `merged ${piece.length} delete files`, perform: () => mergeDeletes(job, piece) }
  }

  #piece<T>(files: readonly T[]): T[] {
    return files.slice(0, Math.max(2, Math.ceil(files.length / 2 ** this.#halvings)))
  }

  /** As the index, or the delete files, count them now: good for choosing, and looked at again before a file is taken out unread. */
  async #liveRows({ plan }: Job): Promise<LiveRows> {
    const context = this.#kept.indexContext
    if (context === null) return this.#unmarkedRows(plan.tasks)
    const files = await this.#kept.exclusively(async () => {
      await catchUp(context, await this.#kept.load())
      return context.index.files()
    })
    return new Map(files.map((file) => [file.path, file.liveRows]))
  }

  async #unmarkedRows(tasks: readonly ScanTask[]): Promise<LiveRows> {
    const { io } = this.#kept.parts
    const paths = [...new Set(tasks.flatMap((task) => task.deletes.map((file) => file.filePath)))]
    if (paths.length === 0) return null
    const local = await Promise.all(paths.map((path) => io.localFile(path)))
    const rows = await this.#session.rows(
      `SELECT file_path, count(DISTINCT pos) AS marked FROM read_parquet(${listLiteral(local)}) GROUP BY file_path`,
    )
    const marked = new Map(rows.map((row) => [String(row['file_path']), Number(row['marked'])]))
    return new Map(tasks.map(({ file }) => [file.filePath, file.recordCount - (marked.get(file.filePath) ?? 0)]))
  }

  /** Looking reads all manifests: it waits until there is clearly more to be found than when nothing was. */
  #worthLooking(table: LoadedTable): boolean {
    const {
      filesPerStep: step,
      deadShare,
      deleteFilesPerFile = step,
    } = boundsFor(table.metadata.properties, this.#kept.bounds)
    const filesPerStep = Math.min(step, deleteFilesPerFile)
    const now = countsOf(table, filesPerStep)
    const before = this.#quiet
    if (now.dead >= deadShare / 2 && now.dead >= (before?.dead ?? 0) + DEAD_STEP) return true
    if (Math.max(now.data, now.deletes) < filesPerStep) return false
    if (before === null) return true
    const grown = Math.max(now.data - before.data, now.deletes - before.deletes)
    return grown >= filesPerStep / 2 || now.data < before.data || now.deletes < before.deletes
  }

  async #expire(): Promise<string[]> {
    const table = await this.#kept.load()
    const request = dueExpiry(this.#kept, table)
    if (request === null) return []
    try {
      const { snapshots, files } = await expire(this.#kept, table, request)
      return snapshots === 0 ? [] : [`expired ${snapshots} snapshots, removed ${files} files`]
    } catch (error) {
      if (await this.#kept.wasOvertaken(table, error)) return []
      throw error
    }
  }

  /** A process begins with it after a while: one that only commits a little and ends leaves it to others. */
  async #orphans(): Promise<string[]> {
    const { io, clock } = this.#kept.parts
    const nowMs = clock.nowMs()
    const dueMs = this.#orphansDueMs
    if (dueMs === null || nowMs >= dueMs) this.#orphansDueMs = nowMs + this.#kept.bounds.orphanIntervalMs
    if (dueMs === null || nowMs < dueMs) return []
    const table = await this.#kept.load()
    try {
      const graceMs = this.#kept.bounds.orphanGraceMs
      const removed = await removeOrphans({ io, load: () => this.#kept.load(), nowMs, graceMs })
      return removed.length === 0 ? [] : [`removed ${removed.length} files that nothing reaches`]
    } catch (error) {
      if (await this.#kept.wasOvertaken(table, error)) return []
      throw error
    }
  }
}

/** Unknown files count as many, unknown rows as alive. */
function countsOf({ metadata }: LoadedTable, unknown: number): Counts {
  const current = currentSnapshot(metadata)
  if (current === undefined) return { data: 0, deletes: 0, dead: 0 }
  const of = (name: string, otherwise: number) => Number(current.summary[name] ?? otherwise)
  return {
    data: of('total-data-files', unknown),
    deletes: of('total-delete-files', unknown),
    dead: of('total-position-deletes', 0) / Math.max(1, of('total-records', 0)),
  }
}

/** For people: unknown counts as none. */
function filesOf(table: LoadedTable): FileCounts {
  const { data, deletes } = countsOf(table, 0)
  return { data, deletes }
}

function deadRows(tasks: readonly ScanTask[], live: ReadonlyMap<string, number>): number {
  return tasks.reduce((sum, { file }) => sum + file.recordCount - (live.get(file.filePath) ?? file.recordCount), 0)
}
