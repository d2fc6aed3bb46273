/**
 * Somebody else who works on the same table, as Spark or PyIceberg would: appends rows, deletes some by position, rewrites
 * files, merges deletes, expires snapshots, rolls back, adds columns. It fails too, at any of its writes, and leaves what it had
 * begun; it tells the model what it did to the rows.
 */
import type { Clock } from '../../src/base/clock.ts'
import type { DuckSession } from '../../src/duck/duck.ts'
import { literal } from '../../src/duck/duck.ts'
import { evolveSchema } from '../../src/iceberg/action/evolve-schema.ts'
import { expireSnapshots } from '../../src/iceberg/action/expire.ts'
import { setProperties } from '../../src/iceberg/action/set-properties.ts'
import { rollbackToSnapshot } from '../../src/iceberg/action/set-ref.ts'
import type { Catalog, LoadedTable, TableIdent } from '../../src/iceberg/catalog/catalog.ts'
import { writeDataFiles } from '../../src/iceberg/file/data-writer.ts'
import { writePositionDeletes } from '../../src/iceberg/file/delete-writer.ts'
import type { FileIO } from '../../src/iceberg/file/file.ts'
import { planScan } from '../../src/iceberg/scan/plan.ts'
import { scanRelation } from '../../src/iceberg/scan/relation.ts'
import type { ScanTask } from '../../src/iceberg/scan/scan.ts'
import { ancestors } from '../../src/iceberg/spec/history.ts'
import type { DataFile } from '../../src/iceberg/spec/manifest.ts'
import { currentSchema, currentSpec } from '../../src/iceberg/spec/schema.ts'
import type { TableChange } from '../../src/iceberg/spec/table-metadata.ts'
import { reachableFiles } from '../../src/table/reachable.ts'
import { planSnapshot } from '../../src/table/snapshot-plan.ts'
import { asText, type Effect, type Row } from './commit-model.ts'
import type { Random } from './random.ts'

export interface OutsiderParts {
  catalog: Catalog
  io: FileIO
  session: DuckSession
  clock: Clock
  random: Random
  ident: TableIdent
  /** Told before each commit of a snapshot. */
  expect: (effect: Effect | null) => void
  /** How likely each of its writes fails; half of its commits that fail have taken effect. */
  failureChance: number
  /** It takes less from its first file to its commit: what orphans are given. */
  slowestMs: number
}

interface Begun {
  files: DataFile[]
  rows: Row[]
  sinceMs: number
}

export class Outsider {
  readonly #parts: OutsiderParts
  #begun: Begun[] = []
  readonly counts = new Map<string, number>()

  constructor(parts: OutsiderParts) {
    const { random, failureChance } = parts
    const fails = () => random.chance(failureChance)
    this.#parts = { ...parts, io: failingIo(parts.io, fails), catalog: failingCatalog(parts.catalog, fails) }
  }

  /** One thing, chosen at random; nothing when the table is not there yet. Returns what it did. */
  async act(): Promise<string> {
    const { catalog, random, ident } = this.#parts
    let table: LoadedTable
    try {
      table = await catalog.load(ident)
    } catch {
      return 'nothing: no table'
    }
    const chosen = random.pick([
      'append',
      'begin',
      'finish',
      'finish',
      'delete',
      'delete',
      'rewrite',
      'merge deletes',
      'expire',
      'rollback',
      'column',
      'property',
    ] as const)
    const what = await this.#quietly(async () =>
      (await this.#do(chosen, table)) ? chosen : `${chosen}: nothing to do`,
    )
    this.#count(what)
    return what
  }

  async #do(what: string, table: LoadedTable): Promise<boolean> {
    switch (what) {
      case 'append':
        return this.#begin(table).then(() => this.#finish(table))
      case 'begin':
        return this.#begin(table)
      case 'finish':
        return this.#finish(table)
      case 'delete':
        return this.#delete(table)
      case 'rewrite':
        return this.#rewrite(table)
      case 'merge deletes':
        return this.#mergeDeletes(table)
      case 'expire':
        return this.expire(table, 1 + this.#parts.random.below(3))
      case 'rollback':
        return this.#rollback(table)
      case 'column': {
        const known = currentSchema(table.metadata).fields.some((field) => field.name === 'other')
        if (known) return false
        return this.#change(table, evolveSchema(table.metadata, [{ edit: 'add', name: 'other', type: 'long' }]))
      }
      default:
        return this.#change(
          table,
          setProperties(table.metadata, { updates: { note: String(table.metadata['last-updated-ms']) } }),
        )
    }
  }

  /** Writes the files of an append. Somebody commits them later, or never. */
  async #begin({ metadata }: LoadedTable): Promise<boolean> {
    const { session, io, clock, random } = this.#parts
    const rows = Array.from({ length: 1 + random.below(3) }, (): Row => {
      return { k: `k${random.below(12)}`, n: -1 - random.below(99), part: random.pick(['p', 'q', null]), x: null }
    })
    const text = (value: string | null) => (value === null ? 'NULL' : literal(value))
    const values = rows.map(({ k, n, part }) => `(${text(k)}, ${n}, ${text(part)})`)
    const schema = currentSchema(metadata)
    const columns = schema.fields.map(({ name }) => (['k', 'n', 'part'].includes(name) ? name : `NULL AS ${name}`))
    const files = await writeDataFiles(session, io, {
      relationSql: `SELECT ${columns.join(', ')} FROM (VALUES ${values.join(', ')}) AS v(k, n, part)`,
      schema,
      spec: currentSpec(metadata),
      location: metadata.location,
      nowMs: clock.nowMs(),
    })
    this.#begun.push({ files, rows, sinceMs: clock.nowMs() })
    return true
  }

  /** When it began what it can still commit and has the least time left for. */
  get begunMs(): number | null {
    const { clock, slowestMs } = this.#parts
    this.#begun = this.#begun.filter(({ sinceMs }) => clock.nowMs() - sinceMs < slowestMs)
    return this.#begun[0]?.sinceMs ?? null
  }

  /** Writes the files of an append that it may commit later. */
  async begin(): Promise<void> {
    await this.#quietly(async () => {
      await this.#begin(await this.#parts.catalog.load(this.#parts.ident))
      return 'begin'
    })
  }

  /** Commits what it began first, however long ago. Returns what it did. */
  async finishFirst(): Promise<string> {
    const begun = this.#begun.shift()
    if (begun !== undefined) this.#begun.push({ ...begun, sinceMs: this.#parts.clock.nowMs() })
    const what = await this.#quietly(async () => {
      const table = await this.#parts.catalog.load(this.#parts.ident)
      return (await this.#finish(table)) ? 'finish at the last moment' : 'finish: nothing left'
    })
    this.#count(what)
    return what
  }

  #count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1)
  }

  async #quietly(work: () => Promise<string>): Promise<string> {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof OutsiderFails)) throw error
      return 'failed'
    }
  }

  async #finish(table: LoadedTable): Promise<boolean> {
    const begun = this.#begun.pop()
    if (begun === undefined || this.#parts.clock.nowMs() - begun.sinceMs >= this.#parts.slowestMs) return false
    return this.#snapshot(table, { dataFiles: begun.files }, (rows) => [...rows, ...begun.rows])
  }

  async #delete(table: LoadedTable): Promise<boolean> {
    const { session, io, clock, random } = this.#parts
    const { metadata } = table
    const plan = await planScan(io, metadata)
    const { sql } = await scanRelation(session, io, plan, { withPosition: true })
    const all = await session.rows(`SELECT * FROM (${sql}) ORDER BY _file, _pos`)
    const marked = all.filter(() => random.chance(0.3))
    if (marked.length === 0) return false
    const positions = marked.map((row) => `(${literal(String(row['_file']))}, ${row['_pos']})`)
    const deleteFiles = await writePositionDeletes(session, io, {
      relationSql: `SELECT * FROM (VALUES ${positions.join(', ')}) AS v(file_path, pos)`,
      dataFiles: new Map(plan.tasks.map((task) => [task.file.filePath, task.file])),
      schema: currentSchema(metadata),
      specs: metadata['partition-specs'],
      location: metadata.location,
      nowMs: clock.nowMs(),
    })
    const gone = marked.map((row) => {
      const of = (name: string) => (row[name] == null ? null : String(row[name]))
      return asText([
        { k: String(row['k']), n: of('n') === null ? null : Number(row['n']), part: of('part'), x: of('x') },
      ])[0]
    })
    return this.#snapshot(table, { deleteFiles }, (rows) => {
      const left = [...gone]
      return rows.filter((row) => {
        const at = left.indexOf(asText([row])[0])
        if (at >= 0) left.splice(at, 1)
        return at < 0
      })
    })
  }

  async #rewrite(table: LoadedTable): Promise<boolean> {
    const { session, io, clock, random } = this.#parts
    const { metadata } = table
    const plan = await planScan(io, metadata)
    const chosen = plan.tasks.filter(() => random.chance(0.5))
    if (chosen.length === 0) return false
    const schema = currentSchema(metadata)
    const { sql } = await scanRelation(session, io, { ...plan, schema, tasks: chosen })
    const dataFiles = await writeDataFiles(session, io, {
      relationSql: sql,
      schema,
      spec: currentSpec(metadata),
      location: metadata.location,
      nowMs: clock.nowMs(),
    })
    const removedPaths = new Set(chosen.map((task) => task.file.filePath))
    return this.#snapshot(table, { dataFiles, removedPaths }, (rows) => [...rows])
  }

  async #mergeDeletes(table: LoadedTable): Promise<boolean> {
    const { session, io, clock } = this.#parts
    const { metadata } = table
    const { tasks } = await planScan(io, metadata)
    const merge = [...new Set(tasks.flatMap((task) => task.deletes.map((file) => file.filePath)))]
    if (merge.length < 2) return false
    const live = new Map(tasks.map((task: ScanTask) => [task.file.filePath, task.file]))
    const local = await Promise.all(merge.map((path) => io.localFile(path)))
    const deleteFiles = await writePositionDeletes(session, io, {
      relationSql: `SELECT file_path, pos FROM read_parquet([${local.map(literal).join(', ')}]) WHERE file_path IN (${[...live.keys()].map(literal).join(', ')})`,
      dataFiles: live,
      schema: currentSchema(metadata),
      specs: metadata['partition-specs'],
      location: metadata.location,
      nowMs: clock.nowMs(),
    })
    return this.#snapshot(table, { deleteFiles, removedPaths: new Set(merge) }, (rows) => [...rows])
  }

  /** As other engines do it: the snapshots go, then the files that only they had. */
  async expire(before: LoadedTable, keep: number): Promise<boolean> {
    const { catalog, io, clock } = this.#parts
    const { change, snapshotIds } = expireSnapshots(before.metadata, {
      nowMs: clock.nowMs(),
      olderThanMs: clock.nowMs(),
      keepMin: keep,
      keepMax: keep,
    })
    if (snapshotIds.length === 0) return false
    const { metadata } = await catalog.commit(before, change)
    const kept = await reachableFiles(io, metadata, metadata.snapshots)
    const expired = before.metadata.snapshots.filter((snapshot) => snapshotIds.includes(snapshot['snapshot-id']))
    const gone = await reachableFiles(io, before.metadata, expired)
    await io.delete([...gone].filter((file) => !kept.has(file)))
    return true
  }

  async #rollback(table: LoadedTable): Promise<boolean> {
    const { metadata } = table
    const line = ancestors(metadata, metadata['current-snapshot-id']).slice(1, 4)
    if (line.length === 0) return false
    return this.#change(table, rollbackToSnapshot(metadata, this.#parts.random.pick(line)['snapshot-id']))
  }

  async #snapshot(
    table: LoadedTable,
    files: { dataFiles?: DataFile[]; deleteFiles?: DataFile[]; removedPaths?: Set<string> },
    effect: Effect,
  ): Promise<boolean> {
    const { io, clock, expect } = this.#parts
    const change = await planSnapshot(io, table.metadata, {
      dataFiles: files.dataFiles ?? [],
      deleteFiles: files.deleteFiles ?? [],
      removedPaths: files.removedPaths ?? new Set(),
      sameRows: files.removedPaths !== undefined,
      nowMs: clock.nowMs(),
      summary: {},
    })
    expect(effect)
    try {
      return await this.#change(table, change)
    } finally {
      expect(null)
    }
  }

  async #change(table: LoadedTable, change: TableChange): Promise<boolean> {
    await this.#parts.catalog.commit(table, change)
    return true
  }
}

class OutsiderFails extends Error {}

function failingIo(io: FileIO, fails: () => boolean): FileIO {
  const check = (what: string) => {
    if (fails()) throw new OutsiderFails(what)
  }
  return {
    read: (location) => io.read(location),
    exists: (location) => io.exists(location),
    sizeOf: (location) => io.sizeOf(location),
    localBytesMax: io.localBytesMax,
    localFile: (location) => io.localFile(location),
    scratch: (suffix) => io.scratch(suffix),
    list: (location) => io.list(location),
    write: async (location, bytes) => {
      check('write')
      await io.write(location, bytes)
    },
    putFile: async (location, path) => {
      check('put file')
      return io.putFile(location, path)
    },
    delete: async (locations) => {
      for (const location of locations) {
        check('delete')
        await io.delete([location])
      }
    },
  }
}

function failingCatalog(catalog: Catalog, fails: () => boolean): Catalog {
  return {
    name: catalog.name,
    listNamespaces: () => catalog.listNamespaces(),
    createNamespace: (namespace, properties) => catalog.createNamespace(namespace, properties),
    dropNamespace: (namespace) => catalog.dropNamespace(namespace),
    listTables: (namespace) => catalog.listTables(namespace),
    load: (ident) => catalog.load(ident),
    create: (ident, table) => catalog.create(ident, table),
    drop: (ident) => catalog.drop(ident),
    rename: (from, to) => catalog.rename(from, to),
    close: () => catalog.close(),
    commit: async (base, change) => {
      if (fails()) throw new OutsiderFails('commit')
      const table = await catalog.commit(base, change)
      if (fails()) throw new OutsiderFails('the reply of the commit')
      return table
    },
  }
}
