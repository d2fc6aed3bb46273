/** The parts that a writer works with, each of their calls a step (`faulty.ts`): store, catalog rows, DuckDB session, log files. */
import type { DuckDBValue } from '@duckdb/node-api'
import { Fault } from '../../src/base/fault.ts'
import { type DuckRow, DuckSession } from '../../src/duck/duck.ts'
import type { Catalog } from '../../src/iceberg/catalog/catalog.ts'
import type { Rows } from '../../src/iceberg/catalog/rows.ts'
import { type LogFile, type LogFs, nodeLogFs } from '../../src/log/log-fs.ts'
import type { ObjectInfo, Store } from '../../src/store/store.ts'
import { ioFault, type StepKind, type Steps } from './faulty.ts'
import type { Random } from './random.ts'

/** @param onList told before the files of a folder are listed */
export function faultyStore(
  store: Store,
  steps: Steps,
  life: number,
  onList: (prefix: string) => Promise<void>,
): Store {
  const step = <T>(name: string, key: string, work: () => Promise<T>, writes = false): Promise<T> => {
    const what = `${name} ${key.slice(key.lastIndexOf('/') + 1)}`
    return steps.perform(life, { name: `store: ${what}`, fails: ioFault(what), loses: ioFault(what), writes }, work)
  }
  return {
    name: store.name,
    head: (key, options) => step('head', key, () => store.head(key, options)),
    get: (key, options) => step('get', key, () => store.get(key, options)),
    put: (key, bytes) => step('put', key, () => store.put(key, bytes), true),
    putIfAbsent: (key, bytes) => step('put if absent', key, () => store.putIfAbsent(key, bytes), true),
    copy: (from, to) => step('copy', to, () => store.copy(from, to), true),
    async *list(prefix) {
      const all: ObjectInfo[] = []
      await step('list', prefix ?? '', async () => {
        await onList(prefix ?? '')
        for await (const info of store.list(prefix)) all.push(info)
      })
      yield* all
    },
    // One by one: any of them may be the last.
    delete: async (keys) => {
      for (const key of keys) await step('delete', key, () => store.delete([key]))
    },
    putFile: (key, path) => step('put file', key, () => store.putFile(key, path), true),
    localFile: (key) => step('local file', key, () => store.localFile(key)),
  }
}

/** The rows of all processes: names of tables to locations. `onSwap` is told of every one that took effect. */
export class SharedRows implements Rows {
  readonly #namespaces = new Set<string>()
  readonly #tables = new Map<string, string>()
  readonly #onSwap: (location: string) => Promise<void>

  constructor(onSwap: (location: string) => Promise<void>) {
    this.#onSwap = onSwap
  }

  async namespaces(): Promise<string[]> {
    return [...this.#namespaces]
  }

  async insertNamespace(namespace: string): Promise<void> {
    this.#namespaces.add(namespace)
  }

  async deleteNamespace(namespace: string): Promise<'deleted' | 'missing' | 'in-use'> {
    if ((await this.tables(namespace)).length > 0) return 'in-use'
    return this.#namespaces.delete(namespace) ? 'deleted' : 'missing'
  }

  async tables(namespace: string): Promise<string[]> {
    return [...this.#tables.keys()]
      .map((key) => key.split('\0') as [string, string])
      .filter(([of]) => of === namespace)
      .map(([, name]) => name)
  }

  async get(namespace: string, name: string): Promise<string | null> {
    return this.#tables.get(`${namespace}\0${name}`) ?? null
  }

  async insert(namespace: string, name: string, location: string): Promise<boolean> {
    if (this.#tables.has(`${namespace}\0${name}`)) return false
    this.#tables.set(`${namespace}\0${name}`, location)
    await this.#onSwap(location)
    return true
  }

  async swap(namespace: string, name: string, from: string, to: string): Promise<boolean> {
    if (this.#tables.get(`${namespace}\0${name}`) !== from) return false
    this.#tables.set(`${namespace}\0${name}`, to)
    await this.#onSwap(to)
    return true
  }

  async delete(namespace: string, name: string): Promise<boolean> {
    return this.#tables.delete(`${namespace}\0${name}`)
  }

  async rename(): Promise<'missing'> {
    return 'missing'
  }

  async close(): Promise<void> {}
}

const replyLost = () => new Fault('commit-unknown', 'simulated: the reply of the catalog was lost')

export function faultyRows(rows: Rows, steps: Steps, life: number): Rows {
  const fails = ioFault('catalog')
  const kind = { fails, catalog: true }
  const read = <T>(name: string, work: () => Promise<T>) =>
    steps.perform(life, { ...kind, name: `catalog: ${name}` }, work)
  const write = <T>(name: string, work: () => Promise<T>) =>
    steps.perform(life, { ...kind, name: `catalog: ${name}`, loses: replyLost, writes: true }, work)
  return {
    namespaces: () => read('namespaces', () => rows.namespaces()),
    insertNamespace: (namespace, properties) =>
      read('insert namespace', () => rows.insertNamespace(namespace, properties)),
    deleteNamespace: (namespace) => write('delete namespace', () => rows.deleteNamespace(namespace)),
    tables: (namespace) => read('tables', () => rows.tables(namespace)),
    get: (namespace, name) => read('get', () => rows.get(namespace, name)),
    insert: (namespace, name, location) => write('insert', () => rows.insert(namespace, name, location)),
    swap: (namespace, name, from, to) =>
      steps.perform(life, { ...kind, name: 'catalog: swap', loses: replyLost, writes: true, swap: true }, () =>
        rows.swap(namespace, name, from, to),
      ),
    delete: (namespace, name) => write('delete', () => rows.delete(namespace, name)),
    rename: (from, to) => write('rename', () => rows.rename(from, to)),
    close: async () => {},
  }
}

/** A catalog behind a network, as a REST one: it commits on its side, and a lost reply is all that is heard of it. */
export function remoteCatalog(real: Catalog, steps: Steps, life: number): Catalog {
  const read = <T>(name: string, work: () => Promise<T>) =>
    steps.perform(life, { name: `catalog: ${name}`, fails: ioFault('catalog'), catalog: true }, work)
  return {
    name: real.name,
    listNamespaces: () => read('namespaces', () => real.listNamespaces()),
    createNamespace: (namespace, properties) =>
      read('create namespace', () => real.createNamespace(namespace, properties)),
    dropNamespace: (namespace) => read('drop namespace', () => real.dropNamespace(namespace)),
    listTables: (namespace) => read('tables', () => real.listTables(namespace)),
    load: (ident) => read('load', () => real.load(ident)),
    create: (ident, table) => read('create', () => real.create(ident, table)),
    drop: (ident) => read('drop', () => real.drop(ident)),
    rename: (from, to) => read('rename', () => real.rename(from, to)),
    commit: (base, change) =>
      steps.perform(
        life,
        { name: 'catalog: commit', fails: ioFault('catalog'), loses: replyLost, catalog: true, swap: true },
        () => real.commit(base, change),
      ),
    close: async () => {},
  }
}

/** A connection each of whose statements is a step. A statement that ran and was told as failed cannot be: it is in-process. */
export class FaultySession extends DuckSession {
  readonly #steps: Steps
  readonly #life: number

  constructor(session: DuckSession, steps: Steps, life: number) {
    super(session.raw)
    this.#steps = steps
    this.#life = life
  }

  override run(sql: string, params: DuckDBValue[] = []): Promise<void> {
    return this.#step(sql, () => super.run(sql, params))
  }

  override rows(sql: string, params: DuckDBValue[] = []): Promise<DuckRow[]> {
    return this.#step(sql, () => super.rows(sql, params))
  }

  #step<T>(sql: string, work: () => Promise<T>): Promise<T> {
    // Files have other names in every run.
    const name = `duckdb: ${sql
      .replaceAll(/'\/[^']*'/g, 'a file')
      .replaceAll(/\s+/g, ' ')
      .slice(0, 70)}`
    // DETACH and ROLLBACK do not fail but by the end of the process.
    const writes = /^(INSERT|CREATE|COPY|UPDATE|COMMIT)/.test(sql)
    const may = /^(DETACH|ROLLBACK)/.test(sql) ? {} : { fails: ioFault('duckdb'), writes }
    return this.#steps.perform(this.#life, { name, ...may }, work)
  }
}

/** Who has which folder for itself, over all processes. */
export class SimulatedLocks {
  readonly #owners = new Map<string, number>()

  async take(path: string, life: number): Promise<() => Promise<void>> {
    const owner = this.#owners.get(path)
    if (owner !== undefined) throw new Fault('conflict', `simulated: ${path} is in use by process ${owner}`)
    this.#owners.set(path, life)
    return async () => {
      if (this.#owners.get(path) === life) this.#owners.delete(path)
    }
  }

  /** The process is gone, or is taken for gone. */
  free(life: number): void {
    for (const [path, owner] of this.#owners) if (owner === life) this.#owners.delete(path)
  }
}

interface LogParts {
  steps: Steps
  life: number
  random: Random
  locks: SimulatedLocks
  /** Files left open by a process that died stay here. */
  opened: Set<LogFile>
}

/** The node's own file system; writes may tear. What a machine that falls would lose is `log-crash.test.ts`'s part. */
export function faultyLogFs({ steps, life, random, locks, opened }: LogParts): LogFs {
  const failure = () => Object.assign(new Error('simulated ENOSPC'), { code: 'ENOSPC' })
  const step = <T>(name: string, work: () => Promise<T>, more: Partial<StepKind> = {}): Promise<T> =>
    steps.perform(life, { name: `log: ${name}`, log: true, fails: failure, loses: failure, ...more }, work)
  return {
    makeDirectory: (path) => step('make directory', () => nodeLogFs.makeDirectory(path)),
    list: (path) => step('list', () => nodeLogFs.list(path)),
    remove: (path) => step('remove', () => nodeLogFs.remove(path)),
    syncDirectory: () => step('sync directory', async () => {}),
    lock: (path) => locks.take(path, life),
    open: async (path, mode) => {
      // Not told as failed when done: the handle would be left open.
      const file = await steps.perform(life, { name: 'log: open', log: true, fails: failure }, async () => {
        const handle = await nodeLogFs.open(path, mode)
        opened.add(handle)
        return handle
      })
      return {
        sizeBytes: () => step('size', () => file.sizeBytes()),
        read: (position, length) => step('read', () => file.read(position, length)),
        write: (bytes, position) => tearing(file, bytes, position),
        truncate: (length) => step('truncate', () => file.truncate(length)),
        sync: () => step('sync', async () => {}),
        close: async () => {
          if (opened.delete(file)) await file.close()
        },
      }
    },
  }

  async function tearing(file: LogFile, bytes: Uint8Array, position: number): Promise<void> {
    let torn: Uint8Array | null = null
    const fails = () => {
      torn = bytes.subarray(0, random.below(bytes.length + 1))
      return failure()
    }
    try {
      await step('write', () => file.write(bytes, position), { fails, writes: true })
    } catch (error) {
      if (torn !== null) await file.write(torn, position)
      throw error
    }
  }
}
