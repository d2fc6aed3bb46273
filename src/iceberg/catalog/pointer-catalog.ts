/**
 * A catalog over rows that point to metadata files: all that `sqlite` and `memory` have in common.
 *
 * Invariant: a table is what the metadata file says that its row points to. A commit writes a new file under a name
 * that nobody else uses, then moves the pointer from exactly the file it was based on; that one statement is the commit.
 * Crash story: killed before the swap, a metadata file is left that nothing points to (upkeep removes it as an orphan);
 * killed after it, the commit happened. A file of our own is deleted only when the swap certainly failed.
 */
import type { Clock } from '../../base/clock.ts'
import { Fault, isFault } from '../../base/fault.ts'
import { uuidv7 } from '../../base/ids.ts'
import type { FileIO } from '../file/file.ts'
import { newTableMetadata } from '../spec/create.ts'
import { serializeMetadata, withoutTrailingSlash } from '../spec/metadata-json.ts'
import type { TableChange, TableMetadata } from '../spec/table-metadata.ts'
import { applyChange } from '../spec/update.ts'
import { type Catalog, type CreateTable, formatIdent, type LoadedTable, type TableIdent } from './catalog.ts'
import { freeze, MetadataFiles, metadataLocation, metadataVersion } from './metadata-file.ts'
import { droppedFromLog, MetadataTrim } from './metadata-trim.ts'
import { namespaceParts, namespaceText, rowName, withAncestors } from './names.ts'
import { type Outcome, outcomeOf } from './outcome.ts'
import type { Rows } from './rows.ts'

/** How often `load` follows a pointer that moved on while its file was trimmed. */
const loadAttemptsMax = 5

export interface PointerCatalogOptions {
  name: string
  /** URI under which tables without a location of their own are created. */
  warehouse: string
  io: FileIO
  clock: Clock
  rows: Rows
  /** How long a metadata file stays after it was replaced, in ms. Default `limits.metadataGraceMs`. */
  metadataGraceMs: number | undefined
}

export class PointerCatalog implements Catalog {
  readonly name: string
  readonly #warehouse: string
  readonly #io: FileIO
  readonly #clock: Clock
  readonly #rows: Rows
  readonly #files: MetadataFiles
  readonly #trimming: MetadataTrim

  constructor(options: PointerCatalogOptions) {
    this.name = options.name
    this.#warehouse = withoutTrailingSlash(options.warehouse)
    this.#io = options.io
    this.#clock = options.clock
    this.#rows = options.rows
    this.#files = new MetadataFiles(options.io)
    this.#trimming = new MetadataTrim(options.metadataGraceMs)
  }

  async listNamespaces(): Promise<string[][]> {
    return withAncestors(await this.#rows.namespaces())
  }

  async createNamespace(namespace: readonly string[], properties: Record<string, string> = {}): Promise<void> {
    await this.#rows.insertNamespace(namespaceText(namespace), properties)
  }

  async dropNamespace(namespace: readonly string[]): Promise<void> {
    const text = namespaceText(namespace)
    const result = await this.#rows.deleteNamespace(text)
    if (result === 'missing') await this.#requireNamespace(text)
    if (result === 'deleted') return
    const facts = { namespace: text, catalog: this.name }
    throw new Fault('conflict', `namespace "${text}" is not empty: what is in it must be dropped first`, facts)
  }

  async listTables(namespace: readonly string[]): Promise<TableIdent[]> {
    const text = namespaceText(namespace)
    const names = await this.#rows.tables(text)
    if (names.length === 0) await this.#requireNamespace(text)
    return names.sort().map((name) => ({ namespace: namespaceParts(text), name }))
  }

  async load(ident: TableIdent): Promise<LoadedTable> {
    const row = rowName(ident)
    for (let attempt = 1, before = ''; attempt <= loadAttemptsMax; attempt++) {
      const location = await this.#rows.get(row.namespace, row.name)
      if (location === null) throw this.#missing(ident)
      const metadata = await this.#files.read(location)
      if (metadata) return { ident, metadataLocation: location, metadata }
      if (location === before) break
      before = location
    }
    throw new Fault(
      'corrupt',
      `the metadata file of table ${formatIdent(ident)} is missing: catalog ${this.name} points to a file that is not ` +
        'there; restore the file, or point the row at the newest one that is',
      { table: formatIdent(ident) },
    )
  }

  async create(ident: TableIdent, table: CreateTable): Promise<LoadedTable> {
    const { namespace, name } = rowName(ident)
    await this.#requireNamespace(namespace)
    if ((await this.#rows.get(namespace, name)) !== null) throw this.#taken(ident)
    const nowMs = this.#clock.nowMs()
    const uuid = uuidv7(nowMs)
    const location =
      table.location ?? (await this.#ownLocation([this.#warehouse, ...ident.namespace, name].join('/'), uuid))
    const metadata = newTableMetadata({ ...table, location, uuid, nowMs })
    const created = await this.#write(ident, metadata, 0)
    let inserted: boolean
    try {
      inserted = await this.#rows.insert(namespace, name, created.metadataLocation)
    } catch (error) {
      if (!isFault(error, 'commit-unknown')) {
        await this.#discard(created)
        throw error
      }
      // A look that fails tells nothing: then the outcome stays unknown.
      const now = await this.#rows.get(namespace, name).catch(() => Promise.reject(error))
      // Taken by somebody whose file may follow ours.
      if (now !== null && now !== created.metadataLocation) throw error
      inserted = now !== null
      if (!inserted) {
        await this.#discard(created)
        throw new Fault('unavailable', `table ${formatIdent(ident)} was not created: ${error.message}`, {}, error)
      }
    }
    if (inserted) return created
    await this.#discard(created)
    throw this.#taken(ident)
  }

  /** Files of a table that was renamed or dropped, or of another catalog, must not mingle with those of a new one. */
  async #ownLocation(wanted: string, uuid: string): Promise<string> {
    for await (const _file of this.#io.list(`${wanted}/metadata`)) return `${wanted}-${uuid.slice(-12)}`
    return wanted
  }

  async commit(base: LoadedTable, change: TableChange): Promise<LoadedTable> {
    const { namespace, name } = rowName(base.ident)
    const now = await this.#rows.get(namespace, name)
    if (now === null) throw this.#missing(base.ident)
    if (now !== base.metadataLocation) throw this.#movedOn(base, now)
    const metadata = applyChange(base.metadata, change, {
      nowMs: this.#clock.nowMs(),
      metadataLocation: base.metadataLocation,
    })
    if (metadata === base.metadata) return base

    const next = await this.#write(base.ident, metadata, metadataVersion(base.metadataLocation) + 1)
    const outcome = await this.#swap(base, next)
    const winner = outcome === 'committed' ? next.metadataLocation : await this.#rows.get(namespace, name)
    // The row decides, not what a statement was said to have changed.
    if (winner === next.metadataLocation) {
      await this.#trim(base.metadata, next)
      return next
    }
    await this.#discard(next)
    throw winner === null ? this.#missing(base.ident) : this.#movedOn(base, winner)
  }

  async drop(ident: TableIdent): Promise<void> {
    const { namespace, name } = rowName(ident)
    if (!(await this.#rows.delete(namespace, name))) throw this.#missing(ident)
  }

  async rename(from: TableIdent, to: TableIdent): Promise<void> {
    const target = rowName(to)
    await this.#requireNamespace(target.namespace)
    const result = await this.#rows.rename(rowName(from), target)
    if (result === 'missing') throw this.#missing(from)
    if (result === 'taken') throw this.#taken(to)
  }

  close(): Promise<void> {
    return this.#rows.close()
  }

  /** Writes `metadata` to a file of its own. Nothing points to it yet. */
  async #write(ident: TableIdent, metadata: TableMetadata, version: number): Promise<LoadedTable> {
    const location = metadataLocation(metadata, version, uuidv7(this.#clock.nowMs()))
    const bytes = new TextEncoder().encode(serializeMetadata(metadata))
    await this.#io.write(location, bytes)
    this.#files.remember(location, freeze(metadata), bytes.length)
    return { ident, metadataLocation: location, metadata }
  }

  /** Moves the pointer. @throws Fault `commit-unknown`, or `unavailable` when nobody moved it */
  async #swap(base: LoadedTable, next: LoadedTable): Promise<'committed' | 'lost'> {
    const { namespace, name } = rowName(base.ident)
    try {
      const swapped = await this.#rows.swap(namespace, name, base.metadataLocation, next.metadataLocation)
      return swapped ? 'committed' : 'lost'
    } catch (error) {
      if (!isFault(error, 'commit-unknown')) {
        await this.#discard(next)
        throw error
      }
      const outcome = await this.#lookUp(base, next)
      if (outcome === 'unknown') throw error
      if (outcome === 'undone') {
        await this.#discard(next)
        const table = formatIdent(base.ident)
        throw new Fault('unavailable', `the commit of ${table} was undone: ${error.message}`, error.facts, error)
      }
      return outcome
    }
  }

  /** What became of a swap whose reply was lost. */
  async #lookUp(base: LoadedTable, next: LoadedTable): Promise<Outcome> {
    try {
      const { metadataLocation: location, metadata } = await this.load(base.ident)
      return outcomeOf(base.metadataLocation, next.metadataLocation, { location, metadata })
    } catch (error) {
      if (error instanceof Fault) return 'unknown'
      throw error
    }
  }

  /** Removes a metadata file that certainly nothing points to. That it may stay behind is no error. */
  async #discard(table: LoadedTable): Promise<void> {
    this.#files.forget(table.metadataLocation)
    await this.#deleteQuietly([table.metadataLocation])
  }

  /** Removes metadata files that fell out of the log, unless the table says that they stay. */
  async #trim(base: TableMetadata, next: LoadedTable): Promise<void> {
    if (next.metadata.properties['write.metadata.delete-after-commit.enabled'] === 'false') return
    const dropped = droppedFromLog(base, next.metadata, next.metadataLocation)
    for (const { location } of dropped) this.#files.forget(location)
    await this.#deleteQuietly(this.#trimming.due(dropped, this.#clock.nowMs()))
  }

  /** The commit stands whatever becomes of old files: a fault of theirs must not look like one of its own. */
  async #deleteQuietly(locations: readonly string[]): Promise<void> {
    if (locations.length === 0) return
    try {
      await this.#io.delete(locations)
    } catch (error) {
      if (!(error instanceof Fault)) throw error
    }
  }

  async #requireNamespace(namespace: string): Promise<void> {
    const known = withAncestors(await this.#rows.namespaces()).map((parts) => parts.join('.'))
    if (known.includes(namespace)) return
    throw new Fault('not-found', `there is no namespace "${namespace}" in catalog ${this.name}; create it first`, {
      namespace,
      catalog: this.name,
    })
  }

  #missing(ident: TableIdent): Fault {
    const table = formatIdent(ident)
    return new Fault('not-found', `there is no table ${table} in catalog ${this.name}`, { table, catalog: this.name })
  }

  #taken(ident: TableIdent): Fault {
    const table = formatIdent(ident)
    return new Fault('conflict', `the name ${table} is taken in catalog ${this.name}`, { table, catalog: this.name })
  }

  #movedOn(base: LoadedTable, now: string): Fault {
    const table = formatIdent(base.ident)
    return new Fault(
      'conflict',
      `table ${table} was changed by somebody else: expected it at ${base.metadataLocation}, but it is at ${now}; ` +
        'load it and plan again',
      { table, expected: base.metadataLocation, got: now },
    )
  }
}
