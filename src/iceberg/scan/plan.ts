/**
 * Plans a scan (Iceberg spec, "Scan Planning"): manifest list → manifests that may have matching files → data files that
 * may have matching rows, each with the delete files that apply to it.
 */
import { unreachable } from '../../base/assert.ts'
import { Fault } from '../../base/fault.ts'
import type { FileIO } from '../file/file.ts'
import { readManifest } from '../file/manifest-file.ts'
import { readManifestList } from '../file/manifest-list.ts'
import { partitionLayout } from '../file/partition-layout.ts'
import type { DataFile, ManifestEntry, ManifestFile } from '../spec/manifest.ts'
import { schemaById } from '../spec/schema.ts'
import type { Schema, Snapshot, TableMetadata } from '../spec/table-metadata.ts'
import { DeleteIndex } from './delete-index.ts'
import { missingFile } from './missing-file.ts'
import { nameMappingOf } from './name-mapping.ts'
import { type BoundPredicate, bindPredicate, fileMight, partitionMight, summariesMight } from './prune.ts'
import type { Predicate, ScanPlan, ScanTask } from './scan.ts'
import { snapshotById } from './snapshot-at.ts'

export interface ScanRequest {
  /** Default: the current snapshot. `snapshot-at.ts` finds ids by ref and time. */
  snapshotId?: bigint
  /** Default: the table's current schema; when `snapshotId` is given, that snapshot's own. */
  schema?: Schema
  /** Files that cannot hold a matching row are left out; rows are not filtered. */
  predicate?: Predicate
}

/**
 * The files of `tasks` have column statistics only when a predicate asked for them.
 * @throws Fault `not-found` (no such snapshot), `corrupt` (also: a manifest is gone), `unsupported` (equality deletes, Avro or ORC files, vectors)
 */
export async function planScan(io: FileIO, metadata: TableMetadata, request: ScanRequest = {}): Promise<ScanPlan> {
  const snapshot = snapshotOf(metadata, request)
  const schema = request.schema ?? schemaOf(metadata, request.snapshotId === undefined ? null : snapshot)
  const plan: ScanPlan = {
    table: metadata.location,
    snapshot,
    schema,
    tasks: [],
    manifestsRead: 0,
    manifestsSkipped: 0,
    filesSkipped: 0,
  }
  const nameMapping = nameMappingOf(metadata)
  if (nameMapping !== undefined) plan.nameMapping = nameMapping
  if (snapshot === null) return plan
  const planner = new Planner(io, metadata, plan, request.predicate)
  try {
    const manifests = await readManifestList(io, snapshot['manifest-list'])
    // Deletes first: every data file is then matched as it is read.
    for (const manifest of manifests) if (manifest.content === 'deletes') await planner.readDeletes(manifest)
    for (const manifest of manifests) if (manifest.content === 'data') await planner.readData(manifest)
  } catch (error) {
    throw missingFile(error, metadata.location, snapshot)
  }
  return plan
}

function snapshotOf(metadata: TableMetadata, request: ScanRequest): Snapshot | null {
  const id = request.snapshotId ?? metadata['current-snapshot-id']
  return id === undefined ? null : snapshotById(metadata, id)
}

/** A table is read with its schema of today, a snapshot asked for by id with the schema of its time. */
function schemaOf(metadata: TableMetadata, asked: Snapshot | null): Schema {
  return schemaById(metadata, asked?.['schema-id'] ?? metadata['current-schema-id'])
}

class Planner {
  readonly #io: FileIO
  readonly #metadata: TableMetadata
  readonly #plan: ScanPlan
  readonly #predicate: BoundPredicate
  readonly #deletes = new DeleteIndex()

  constructor(io: FileIO, metadata: TableMetadata, plan: ScanPlan, predicate: Predicate | undefined) {
    this.#io = io
    this.#metadata = metadata
    this.#plan = plan
    this.#predicate = bindPredicate(predicate ?? { op: 'true' }, plan.schema)
  }

  async readDeletes(manifest: ManifestFile): Promise<void> {
    for await (const entries of this.#live(manifest, 'bounds')) {
      for (const { file, sequenceNumber } of entries) {
        refuseDeletes(file)
        this.#deletes.add(file, sequenceNumber ?? 0)
      }
    }
  }

  async readData(manifest: ManifestFile): Promise<void> {
    const { columns } = partitionLayout(this.#metadata, manifest.partitionSpecId)
    const predicate = this.#predicate
    for await (const entries of this.#live(manifest, predicate.op === 'true' ? 'none' : 'bounds')) {
      for (const entry of entries) {
        const { file } = entry
        if (partitionMight(predicate, columns, file.partition) && fileMight(predicate, file)) this.#take(entry)
        else this.#plan.filesSkipped += 1
      }
    }
  }

  #take({ file, sequenceNumber }: ManifestEntry): void {
    if (file.fileFormat !== 'parquet') {
      throw new Fault(
        'unsupported',
        `the data file ${file.filePath} is in ${file.fileFormat} format; only Parquet is read here: rewrite the table's files with write.format.default=parquet`,
        { path: file.filePath },
      )
    }
    const sequence = sequenceNumber ?? 0
    const task: ScanTask = { file, sequenceNumber: sequence, deletes: this.#deletes.deletesFor(file, sequence) }
    this.#plan.tasks.push(task)
  }

  /** The live entries of a manifest, unless its partitions cannot match. Deletes are only of their own partition. */
  async *#live(manifest: ManifestFile, stats: 'bounds' | 'none'): AsyncGenerator<ManifestEntry[]> {
    const { columns } = partitionLayout(this.#metadata, manifest.partitionSpecId)
    const empty = manifest.addedFilesCount === 0 && manifest.existingFilesCount === 0
    if (empty || !summariesMight(this.#predicate, columns, manifest.partitions)) {
      this.#plan.manifestsSkipped += 1
      return
    }
    this.#plan.manifestsRead += 1
    yield* readManifest(this.#io, manifest, this.#metadata, { stats, liveOnly: true })
  }
}

/** @throws Fault `unsupported` for deletes that are not applied here: rows would come back from the dead */
function refuseDeletes(file: DataFile): void {
  const refuse = (what: string, instead: string): Fault =>
    new Fault('unsupported', `${file.filePath} holds ${what}, which are not applied here: ${instead}`, {
      path: file.filePath,
    })
  switch (file.content) {
    case 'equality-deletes':
      throw refuse('equality deletes', 'compact the table with the engine that wrote them, or read an earlier snapshot')
    case 'data':
      throw new Fault('corrupt', `${file.filePath} is a data file in a manifest of delete files`)
    case 'position-deletes':
      if (file.fileFormat === 'puffin')
        throw refuse('deletion vectors', 'rewrite them as position deletes of a v2 table')
      if (file.fileFormat !== 'parquet')
        throw refuse(`position deletes as ${file.fileFormat}`, 'rewrite them as Parquet')
      return
    default:
      unreachable(file.content)
  }
}
