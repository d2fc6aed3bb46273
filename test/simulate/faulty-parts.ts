/** The parts that a writer works with, each of their calls a step (`faulty.ts`): store, catalog rows, DuckDB session, log files. */
import type { DuckDBValue } from '@duckdb/node-api'
import { Fault } from '../../src/base/fault.ts'
import { type DuckRow, DuckSession } from '../../src/duck/duck.ts'
import type { Rows } from '../../src/iceberg/catalog/rows.ts'
import { type LogFile, type LogFs, nodeLogFs } from '../../src/log/log-fs.ts'
import type { ObjectInfo, Store } from '../../src/store/store.ts'
import { ioFault, Killed, type Steps } from './faulty.ts'
import type { Random } from './random.ts'

export function faultyStore(store: Store, steps: Steps): Store {
  const { life } = steps
  const step = <T>(name: string, key: string, work: () => Promise<T>): Promise<T> => {
    const what = `${name} ${key.slice(key.lastIndexOf('/') + 1)}`
    return steps.perform(life, { name: `store: ${what}`, fails: ioFault(what), loses: ioFault(what) }, work)
  }
  return {
    name: store.name,
    head: (key, options) => step('head', key, () => store.head(key, options)),
    get: (key, options) => step('get', key, () => store.get(key, options)),
    put: (key, bytes) => step('put', key, () => store.put(key, bytes)),
    putIfAbsent: (key, bytes) => step('put if absent', key, () => store.putIfAbsent(key, bytes)),
    copy: (from, to) => step('copy', to, () => store.copy(from, to)),
    async *list(prefix) {
      const all: ObjectInfo[] = []
      await step('list', prefix ?? '', async () => {
        for await (const info of store.list(prefix)) all.push(info)
      })
      yield* all
    },
    // One by one: any of them may be the last.
    delete: async (keys) => {
      for (const key of keys) await step('delete', key, () => store.delete([key]))
    },
    putFile: (key, path) => step('put file', key, () => store.putFile(key, path)),
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

export function faultyRows(rows: Rows, steps: Steps): Rows {
  const { life } = steps
  const fails = ioFault('catalog')
  const loses = () => new Fault('commit-unknown', 'simulated: the reply of the catalog was lost')
  const read = <T>(name: string, work: () => Promise<T>) =>
    steps.perform(life, { name: `catalog: ${name}`, fails }, work)
  const write = <T>(name: string, work: () => Promise<T>) =>
    steps.perform(life, { name: `catalog: ${name}`, fails: Math.random() < 0.5 ? fails : loses, loses }, work)
  return {
    namespaces: () => read('namespaces', () => rows.namespaces()),
    insertNamespace: (namespace, properties) =>
      read('insert namespace', () => rows.insertNamespace(namespace, properties)),
    deleteNamespace: (namespace) => write('delete namespace', () => rows.deleteNamespace(namespace)),
    tables: (namespace) => read('tables', () => rows.tables(namespace)),
    get: (namespace, name) => read('get', () => rows.get(namespace, name)),
    insert: (namespace, name, location) => write('insert', () => rows.insert(namespace, name, location)),
    swap: (namespace, name, from, to) => write('swap', () => rows.swap(namespace, name, from, to)),
    delete: (namespace, name) => write('delete', () => rows.delete(namespace, name)),
    rename: (from, to) => write('rename', () => rows.rename(from, to)),
    close: async () => {},
  }
}

/** A connection each of whose statements is a step. A statement that ran and was told as failed cannot be: it is in-process. */
export class FaultySession extends DuckSession {
  readonly #steps: Steps
  readonly #life: number

  constructor(session: DuckSession, steps: Steps) {
    super(session.raw)
    this.#steps = steps
    this.#life = steps.life
  }

  override run(sql: string, params: DuckDBValue[] = []): Promise<void> {
    return this.#step(sql, () => super.run(sql, params))
  }

  override rows(sql: string, params: DuckDBValue[] = []): Promise<DuckRow[]> {
    return this.#step(sql, () => super.rows(sql, params))
  }

  #step<T>(sql: string, work: () => Promise<T>): Promise<T> {
    const name = `duckdb: ${sql.replaceAll(/\s+/g, ' ').slice(0, 70)}`
    // DETACH and ROLLBACK do not fail but by the end of the process.
    const may = /^(DETACH|ROLLBACK)/.test(sql) ? {} : { fails: ioFault('duckdb') }
    return this.#steps.perform(this.#life, { name, ...may }, work)
  }
}

/** The node's own file system; writes may tear. Files left open by a process that died stay in `opened`. What a machine that falls would lose is `log-crash.test.ts`'s part. */
export function faultyLogFs(steps: Steps, random: Random, opened: Set<LogFile>): LogFs {
  const { life } = steps
  const failure = () => Object.assign(new Error('simulated ENOSPC'), { code: 'ENOSPC' })
  const step = <T>(name: string, work: () => Promise<T>, fails = true): Promise<T> =>
    steps.perform(life, { name: `log: ${name}`, ...(fails ? { fails: failure, loses: failure } : {}) }, work)
  return {
    makeDirectory: (path) => step('make directory', () => nodeLogFs.makeDirectory(path)),
    list: (path) => step('list', () => nodeLogFs.list(path)),
    remove: (path) => step('remove', () => nodeLogFs.remove(path)),
    syncDirectory: () => step('sync directory', async () => {}),
    lock: async () => async () => {},
    open: async (path, mode) => {
      // Not told as failed when done: the handle would be left open.
      const file = await steps.perform(life, { name: 'log: open', fails: failure }, async () => {
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

  function tearing(file: LogFile, bytes: Uint8Array, position: number): Promise<void> {
    return step('write', () => file.write(bytes, position)).catch(async (error: unknown) => {
      if (!(error instanceof Killed)) await file.write(bytes.subarray(0, random.below(bytes.length + 1)), position)
      throw error
    })
  }
}
