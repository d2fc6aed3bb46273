/**
 * A catalog in memory, for tests and simulation. Its rows are as strict as those of `sqlite`, and a test may make any
 * statement fail before or after it took effect.
 */
import { type Clock, systemClock } from '../../base/clock.ts'
import type { FileIO } from '../file/file.ts'
import type { Catalog } from './catalog.ts'
import { PointerCatalog } from './pointer-catalog.ts'
import type { RowName, Rows } from './rows.ts'

export type RowsOperation = Exclude<keyof Rows, 'close'>

export interface MemoryCatalogOptions {
  /** Default `memory`. */
  name?: string
  /** Default `file:///warehouse`. */
  warehouse?: string
  io: FileIO
  clock?: Clock
  /** How long a metadata file that left the log stays after it was replaced. Default `limits.metadataGraceMs`. */
  metadataGraceMs?: number
  /**
   * Called around every statement on the rows. A throw before it keeps it from happening; a throw after it loses its
   * reply. Throw Fault `unavailable` before and `commit-unknown` before or after, as a database would.
   */
  onStatement?: (operation: RowsOperation, when: 'before' | 'after') => void | Promise<void>
}

export function openMemoryCatalog(options: MemoryCatalogOptions): Catalog {
  const onStatement = options.onStatement ?? (() => undefined)
  return new PointerCatalog({
    name: options.name ?? 'memory',
    warehouse: options.warehouse ?? 'file:///warehouse',
    io: options.io,
    clock: options.clock ?? systemClock,
    rows: new MemoryRows(onStatement),
    metadataGraceMs: options.metadataGraceMs,
  })
}

class MemoryRows implements Rows {
  readonly #onStatement: NonNullable<MemoryCatalogOptions['onStatement']>
  readonly #namespaces = new Map<string, Record<string, string>>()
  /** Locations by namespace and name, joined by a NUL, which neither can contain. */
  readonly #tables = new Map<string, string>()

  constructor(onStatement: NonNullable<MemoryCatalogOptions['onStatement']>) {
    this.#onStatement = onStatement
  }

  namespaces(): Promise<string[]> {
    const ofTables = () => [...this.#tables.keys()].map((key) => key.split('\0')[0]!)
    return this.#statement('namespaces', () => [...this.#namespaces.keys(), ...ofTables()])
  }

  insertNamespace(namespace: string, properties: Record<string, string>): Promise<void> {
    return this.#statement('insertNamespace', () => {
      if (!this.#namespaces.has(namespace)) this.#namespaces.set(namespace, { ...properties })
    })
  }

  deleteNamespace(namespace: string): Promise<'deleted' | 'missing' | 'in-use'> {
    return this.#statement('deleteNamespace', () => {
      const below = (other: string) => other.startsWith(`${namespace}.`)
      const ofTables = [...this.#tables.keys()].map((key) => key.split('\0')[0]!)
      if (ofTables.some((of) => of === namespace || below(of)) || [...this.#namespaces.keys()].some(below))
        return 'in-use'
      return this.#namespaces.delete(namespace) ? 'deleted' : 'missing'
    })
  }

  tables(namespace: string): Promise<string[]> {
    return this.#statement('tables', () => {
      const rows = [...this.#tables.keys()].map((key) => key.split('\0') as [string, string])
      return rows.filter(([of]) => of === namespace).map(([, name]) => name)
    })
  }

  get(namespace: string, name: string): Promise<string | null> {
    return this.#statement('get', () => this.#tables.get(keyOf({ namespace, name })) ?? null)
  }

  insert(namespace: string, name: string, location: string): Promise<boolean> {
    return this.#statement('insert', () => {
      if (this.#tables.has(keyOf({ namespace, name }))) return false
      this.#tables.set(keyOf({ namespace, name }), location)
      return true
    })
  }

  swap(namespace: string, name: string, from: string, to: string): Promise<boolean> {
    return this.#statement('swap', () => {
      if (this.#tables.get(keyOf({ namespace, name })) !== from) return false
      this.#tables.set(keyOf({ namespace, name }), to)
      return true
    })
  }

  delete(namespace: string, name: string): Promise<boolean> {
    return this.#statement('delete', () => this.#tables.delete(keyOf({ namespace, name })))
  }

  rename(from: RowName, to: RowName): Promise<'renamed' | 'missing' | 'taken'> {
    return this.#statement('rename', () => {
      const location = this.#tables.get(keyOf(from))
      if (location === undefined) return 'missing'
      if (keyOf(from) === keyOf(to)) return 'renamed'
      if (this.#tables.has(keyOf(to))) return 'taken'
      this.#tables.delete(keyOf(from))
      this.#tables.set(keyOf(to), location)
      return 'renamed'
    })
  }

  async close(): Promise<void> {}

  async #statement<T>(operation: RowsOperation, work: () => T): Promise<T> {
    await this.#onStatement(operation, 'before')
    const result = work()
    await this.#onStatement(operation, 'after')
    return result
  }
}

function keyOf({ namespace, name }: RowName): string {
  return `${namespace}\0${name}`
}
