/**
 * The manifests and the manifest list of a new snapshot.
 *
 * Existing manifests are carried over untouched; those that hold removed files are rewritten, their entries keeping the
 * sequence numbers they have; small ones are merged (`manifest-merge.ts`). Everything is written under new names and
 * nothing refers to it until the catalog has committed: a crash or a lost race leaves files without a reader.
 */
import { must } from '../../base/assert.ts'
import { Fault } from '../../base/fault.ts'
import { uuidv7 } from '../../base/ids.ts'
import type { DataFile, ManifestEntry, ManifestFile } from '../spec/manifest.ts'
import { withoutTrailingSlash } from '../spec/metadata-json.ts'
import type { TableMetadata } from '../spec/table-metadata.ts'
import type { FileIO } from './file.ts'
import { readManifest, writeManifest } from './manifest-file.ts'
import { COUNT_UNKNOWN, readManifestList, writeManifestList } from './manifest-list.ts'
import { type ManifestUnit, planMerge } from './manifest-merge.ts'
import { partitionId } from './partition-id.ts'
import { pathOfDeletes } from './position-deletes.ts'

export interface SnapshotFilesRequest {
  metadata: TableMetadata
  /** The snapshot that the new one follows; default the table's current one, null: none. */
  parentSnapshotId?: bigint | null
  snapshotId: bigint
  /** The new snapshot's sequence number. */
  sequenceNumber: number
  addedDataFiles: readonly DataFile[]
  addedDeleteFiles: readonly DataFile[]
  /** Paths of live data and delete files that the new snapshot no longer has, letter by letter. */
  removedPaths: ReadonlySet<string>
  /** Data sequence number of `addedDataFiles` when it is not the snapshot's: compaction keeps the oldest input's. */
  addedDataSequenceNumber?: number
  /** Manifests of one content and spec that are below `manifestBytesTarget` before some are merged. */
  mergeCount: number
  /** Bytes that make a manifest full: it is never merged. */
  manifestBytesTarget: number
  /** Also remove delete files all of whose rows are about one removed data file (field 143, or equal path bounds). */
  dropOrphanedDeletes?: boolean
  /** Time for file names, milliseconds since 1970. */
  nowMs: number
}

/** What the snapshot changes, for its summary. Sizes in bytes. */
export interface SnapshotCounts {
  addedDataFiles: number
  deletedDataFiles: number
  addedDeleteFiles: number
  removedDeleteFiles: number
  addedRecords: number
  deletedRecords: number
  addedPositionDeletes: number
  removedPositionDeletes: number
  addedFilesSizeBytes: number
  removedFilesSizeBytes: number
  changedPartitionCount: number
}

export interface SnapshotFiles {
  /** Location of the manifest list. */
  manifestList: string
  counts: SnapshotCounts
  /** Every file that this call wrote, for deletion when the commit is known to have failed. */
  written: string[]
}

/** A manifest that exists, or the entries of one to be written. */
interface Unit extends ManifestUnit {
  manifest?: ManifestFile
  entries?: ManifestEntry[]
}

/** What an entry takes in a manifest, and the header, about: decides only how many go into one. */
const ENTRY_BYTES = 100
const HEADER_BYTES = 4_000

/**
 * Writes what the snapshot needs beside its data files.
 * @throws Fault `conflict` when a removed path is not live in the parent snapshot, `unsupported` for tables that are not of
 * format version 2, `corrupt`
 */
export async function writeSnapshotFiles(io: FileIO, request: SnapshotFilesRequest): Promise<SnapshotFiles> {
  const { metadata } = request
  if (metadata['format-version'] !== 2) {
    throw new Fault(
      'unsupported',
      `snapshots are written for tables of format version 2, and this one is of version ${metadata['format-version']}${metadata['format-version'] === 1 ? ': upgrade it to 2 first' : ''}`,
    )
  }
  const parent = parentOf(request)
  const existing = parent === null ? [] : await readManifestList(io, parent['manifest-list'])
  const tally = new Tally()
  const files = new Files(io, request)
  const units = await files.withoutRemoved(existing, tally)
  units.push(
    ...files.added('data', request.addedDataFiles, tally),
    ...files.added('deletes', request.addedDeleteFiles, tally),
  )

  const manifests: ManifestFile[] = []
  for (const group of planMerge(units, request)) manifests.push(await files.manifestOf(group))
  // New manifests first, as other writers do: readers that look for recent files find them early.
  manifests.sort((a, b) => b.sequenceNumber - a.sequenceNumber)
  const manifestList = await files.list(manifests, parent === null ? null : parent['snapshot-id'])
  return { manifestList, counts: tally.counts(), written: files.written }
}

function parentOf({ metadata, parentSnapshotId }: SnapshotFilesRequest) {
  const id = parentSnapshotId === undefined ? (metadata['current-snapshot-id'] ?? null) : parentSnapshotId
  if (id === null) return null
  const parent = metadata.snapshots.find((snapshot) => snapshot['snapshot-id'] === id)
  if (parent === undefined)
    throw new Fault('not-found', `the table has no snapshot ${id} to build on; it may have expired`)
  return parent
}

class Files {
  readonly #io: FileIO
  readonly #request: SnapshotFilesRequest
  readonly #prefix: string
  readonly written: string[] = []

  constructor(io: FileIO, request: SnapshotFilesRequest) {
    this.#io = io
    this.#request = request
    this.#prefix = `${withoutTrailingSlash(request.metadata.location)}/metadata/`
  }

  /** The parent's manifests without the removed files. Manifests without live files are left behind. */
  async withoutRemoved(existing: readonly ManifestFile[], tally: Tally): Promise<Unit[]> {
    const { removedPaths } = this.#request
    const missing = new Set(removedPaths)
    const units: Unit[] = []
    for (const listed of existing) {
      const manifest = await this.#counted(listed)
      if (manifest.addedFilesCount + manifest.existingFilesCount === 0) continue
      const dropped = await this.#droppedIn(manifest, missing)
      for (const path of dropped) missing.delete(path)
      units.push(dropped.size === 0 ? carried(manifest) : await this.#rewritten(manifest, dropped, tally))
    }
    const [first] = missing
    if (first !== undefined) {
      throw new Fault(
        'conflict',
        `${missing.size} of ${removedPaths.size} files to be removed are not in the table any more, the first is ${first}: another writer removed them; plan again on the current snapshot`,
        { path: first },
      )
    }
    return units
  }

  /** Paths of live entries of a manifest that the new snapshot must not have. */
  async #droppedIn(manifest: ManifestFile, missing: ReadonlySet<string>): Promise<Set<string>> {
    const { removedPaths, dropOrphanedDeletes, metadata } = this.#request
    const orphans = dropOrphanedDeletes === true && manifest.content === 'deletes' && removedPaths.size > 0
    const dropped = new Set<string>()
    if (missing.size === 0 && !orphans) return dropped
    const stats = orphans ? 'bounds' : 'none'
    for await (const entries of readManifest(this.#io, manifest, metadata, { stats, liveOnly: true })) {
      for (const { file } of entries) {
        const about = orphans ? pathOfDeletes(file) : undefined
        if (missing.has(file.filePath) || (about !== undefined && removedPaths.has(about))) dropped.add(file.filePath)
      }
    }
    return dropped
  }

  async #rewritten(manifest: ManifestFile, dropped: ReadonlySet<string>, tally: Tally): Promise<Unit> {
    const entries: ManifestEntry[] = []
    for await (const block of readManifest(this.#io, manifest, this.#request.metadata, { liveOnly: true })) {
      for (const entry of block) {
        if (!dropped.has(entry.file.filePath)) entries.push({ ...entry, status: 'existing' })
        else {
          tally.removed(entry.file)
          entries.push({ ...entry, status: 'deleted', snapshotId: this.#request.snapshotId })
        }
      }
    }
    return this.#pending(manifest.content, manifest.partitionSpecId, entries)
  }

  added(content: 'data' | 'deletes', files: readonly DataFile[], tally: Tally): Unit[] {
    const { addedDataSequenceNumber, manifestBytesTarget } = this.#request
    const entriesMax = Math.max(1, Math.floor(manifestBytesTarget / ENTRY_BYTES))
    const sequenceNumber = content === 'data' ? (addedDataSequenceNumber ?? null) : null
    const units: Unit[] = []
    for (const [specId, ofSpec] of Map.groupBy(files, (file) => file.specId)) {
      const entries = ofSpec.map((file): ManifestEntry => {
        if ((file.content === 'data') !== (content === 'data')) {
          throw new Fault('invalid', `${file.filePath} holds ${file.content} but was added among the ${content} files`)
        }
        tally.added(file)
        return { status: 'added', snapshotId: null, sequenceNumber, fileSequenceNumber: null, file }
      })
      for (let at = 0; at < entries.length; at += entriesMax) {
        units.push(this.#pending(content, specId, entries.slice(at, at + entriesMax)))
      }
    }
    return units
  }

  #pending(content: 'data' | 'deletes', specId: number, entries: ManifestEntry[]): Unit {
    const files = entries.filter((entry) => entry.status !== 'deleted').length
    return { content, specId, files, sizeBytes: HEADER_BYTES + entries.length * ENTRY_BYTES, entries }
  }

  /** The one manifest that a group of units becomes. */
  async manifestOf(group: readonly Unit[]): Promise<ManifestFile> {
    const [first] = group
    if (group.length === 1 && first?.manifest !== undefined) return first.manifest
    const { metadata, snapshotId, sequenceNumber } = this.#request
    const entries: ManifestEntry[] = []
    for (const unit of group) for (const entry of unit.entries ?? (await this.#live(unit))) entries.push(entry)
    const { specId, content } = must(first, 'a unit of a manifest')
    const location = `${this.#prefix}${uuidv7(this.#request.nowMs)}-m${this.written.length}.avro`
    this.written.push(location)
    return writeManifest(this.#io, { location, table: metadata, specId, content, snapshotId, sequenceNumber, entries })
  }

  /** The live entries of an existing manifest, to be merged: what older snapshots deleted is dropped. */
  async #live(unit: Unit): Promise<ManifestEntry[]> {
    const live: ManifestEntry[] = []
    const manifest = must(unit.manifest, 'an existing manifest')
    for await (const block of readManifest(this.#io, manifest, this.#request.metadata, { liveOnly: true })) {
      for (const entry of block) live.push({ ...entry, status: 'existing' })
    }
    return live
  }

  /** v1 lists may lack counts, which v2 requires. */
  async #counted(manifest: ManifestFile): Promise<ManifestFile> {
    const {
      addedFilesCount,
      existingFilesCount,
      deletedFilesCount,
      addedRowsCount,
      existingRowsCount,
      deletedRowsCount,
    } = manifest
    const given = [
      addedFilesCount,
      existingFilesCount,
      deletedFilesCount,
      addedRowsCount,
      existingRowsCount,
      deletedRowsCount,
    ]
    if (!given.includes(COUNT_UNKNOWN)) return manifest
    const files = { added: 0, existing: 0, deleted: 0 }
    const rows = { added: 0, existing: 0, deleted: 0 }
    for await (const block of readManifest(this.#io, manifest, this.#request.metadata, { stats: 'none' })) {
      for (const { status, file } of block) {
        files[status] += 1
        rows[status] += file.recordCount
      }
    }
    return {
      ...manifest,
      addedFilesCount: files.added,
      existingFilesCount: files.existing,
      deletedFilesCount: files.deleted,
      addedRowsCount: rows.added,
      existingRowsCount: rows.existing,
      deletedRowsCount: rows.deleted,
    }
  }

  async list(manifests: readonly ManifestFile[], parentSnapshotId: bigint | null): Promise<string> {
    const { snapshotId, sequenceNumber, nowMs } = this.#request
    const location = `${this.#prefix}snap-${snapshotId}-1-${uuidv7(nowMs)}.avro`
    this.written.push(location)
    await writeManifestList(this.#io, { location, snapshotId, parentSnapshotId, sequenceNumber, manifests })
    return location
  }
}

function carried(manifest: ManifestFile): Unit {
  const { content, partitionSpecId: specId, manifestLength: sizeBytes } = manifest
  return { content, specId, sizeBytes, files: manifest.addedFilesCount + manifest.existingFilesCount, manifest }
}

class Tally {
  readonly #counts: SnapshotCounts = {
    addedDataFiles: 0,
    deletedDataFiles: 0,
    addedDeleteFiles: 0,
    removedDeleteFiles: 0,
    addedRecords: 0,
    deletedRecords: 0,
    addedPositionDeletes: 0,
    removedPositionDeletes: 0,
    addedFilesSizeBytes: 0,
    removedFilesSizeBytes: 0,
    changedPartitionCount: 0,
  }
  readonly #partitions = new Set<string>()

  added(file: DataFile): void {
    const counts = this.#counts
    this.#partitions.add(partitionId(file))
    counts.addedFilesSizeBytes += file.fileSizeBytes
    if (file.content === 'data') {
      counts.addedDataFiles += 1
      counts.addedRecords += file.recordCount
    } else {
      counts.addedDeleteFiles += 1
      if (file.content === 'position-deletes') counts.addedPositionDeletes += file.recordCount
    }
  }

  removed(file: DataFile): void {
    const counts = this.#counts
    this.#partitions.add(partitionId(file))
    counts.removedFilesSizeBytes += file.fileSizeBytes
    if (file.content === 'data') {
      counts.deletedDataFiles += 1
      counts.deletedRecords += file.recordCount
    } else {
      counts.removedDeleteFiles += 1
      if (file.content === 'position-deletes') counts.removedPositionDeletes += file.recordCount
    }
  }

  counts(): SnapshotCounts {
    return { ...this.#counts, changedPartitionCount: this.#partitions.size }
  }
}
