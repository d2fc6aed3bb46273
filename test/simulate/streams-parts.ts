/** The parts that a simulated stream works with: log files, `streams.db`, and tables that keep what they are given. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { Fault } from '../../src/base/fault.ts'
import { readTableChange } from '../../src/change/table-change.ts'
import type { Catalog, LoadedTable } from '../../src/iceberg/catalog/catalog.ts'
import type { Segment } from '../../src/log/log.ts'
import { type LogFile, type LogFs, nodeLogFs } from '../../src/log/log-fs.ts'
import { MemoryFile } from '../../src/service/streams/memory.ts'
import type { CommitReport, TableDefinition } from '../../src/table/table.ts'
import type { TableWriter } from '../../src/table/writer.ts'
import { Killed } from './faulty.ts'
import { type StreamSteps, unavailable } from './streams-steps.ts'

/** The node's own file system; writes may tear. What a machine that falls would lose is `log-crash.test.ts`'s part. */
export function streamLogFs(steps: StreamSteps, opened: Set<LogFile>): LogFs {
  const { life } = steps
  const failure = () => Object.assign(new Error('simulated ENOSPC'), { code: 'ENOSPC' })
  const step = <T>(name: string, work: () => Promise<T>, loses = true): Promise<T> =>
    steps.perform(life, { name: `log: ${name}`, fails: failure, ...(loses ? { loses: failure } : {}) }, work)
  return {
    makeDirectory: (path) => step('make directory', () => nodeLogFs.makeDirectory(path)),
    list: (path) => step('list', () => nodeLogFs.list(path)),
    remove: (path) => step('remove', () => nodeLogFs.remove(path)),
    syncDirectory: () => step('sync directory', async () => {}),
    lock: async () => async () => {},
    open: async (path, mode) => {
      // Not told as failed when done: the handle would be left open.
      const open = async () => {
        const handle = await nodeLogFs.open(path, mode)
        opened.add(handle)
        return handle
      }
      const file = await step('open', open, false)
      return {
        sizeBytes: () => step('size', () => file.sizeBytes()),
        read: (position, length) => step('read', () => file.read(position, length)),
        write: (bytes, position) =>
          step('write', () => file.write(bytes, position)).catch(async (error: unknown) => {
            if (!(error instanceof Killed)) await file.write(bytes.subarray(0, bytes.length >> 1), position)
            throw error
          }),
        truncate: (length) => step('truncate', () => file.truncate(length)),
        sync: () => step('sync', async () => {}),
        close: async () => {
          if (opened.delete(file)) await file.close()
        },
      }
    },
  }
}

/** `streams.db` that is locked or full now and then, and whose writes may be the last thing done. */
export class FaultyMemory extends MemoryFile {
  readonly #steps: StreamSteps
  readonly #life: number

  constructor(path: string, steps: StreamSteps) {
    super(path)
    this.#steps = steps
    this.#life = steps.life
  }

  override run(sql: string, ...values: (string | number | Uint8Array | null)[]): number {
    return this.#now(`memory: ${sql.slice(0, 24)}`, () => super.run(sql, ...values))
  }

  override transaction(work: () => void): void {
    this.#now('memory: transaction', () => super.transaction(work))
  }

  override exec(sql: string): void {
    this.#now('memory: layout', () => super.exec(sql))
  }

  override sync(): Promise<void> {
    return this.#steps.perform(this.#life, { name: 'memory: sync', fails: unavailable('sync') }, async () => {})
  }

  #now<T>(name: string, work: () => T): T {
    return this.#steps.performNow(this.#life, { name, fails: unavailable('database is locked') }, work)
  }
}

/** An entry as a table took it. */
export interface Applied {
  offset: number
  op: string
  id: string
  n: number
}

/** The value that a table refuses although its columns allow it. */
export const POISON = 666_666

/** What is committed: it outlives processes. */
export class FakeTable {
  readonly definition: TableDefinition
  readonly applied: Applied[] = []
  offset = 0

  constructor(definition: TableDefinition) {
    this.definition = definition
  }

  /** Rows as they stand: of a keyed table the last of each key. */
  rows(): Map<string, number> | null {
    if (this.definition.mode === 'append') return null
    const rows = new Map<string, number>()
    for (const { op, id, n } of this.applied) {
      if (op === 'delete') rows.delete(id)
      else rows.set(id, n)
    }
    return rows
  }
}

export type FakeLake = Map<string, FakeTable>

/** Given to a stream in place of `TableWriter.open`: the same promises, kept in memory, at the mercy of the seed. */
export function fakeWriters(
  lake: FakeLake,
  steps: StreamSteps,
  sabotage: { forgetsOffset?: boolean } = {},
): typeof TableWriter.open {
  const { life } = steps
  return async (parts, options) => {
    const name = [...options.definition.ident.namespace, options.definition.ident.name].join('.')
    const fails = unavailable('catalog')
    const table = await steps.perform(life, { name: `create ${name}`, fails, loses: fails }, async () => {
      const known = lake.get(name) ?? new FakeTable(options.definition)
      lake.set(name, known)
      return known
    })
    const writer: Pick<
      TableWriter,
      'name' | 'logName' | 'parts' | 'load' | 'committedOffset' | 'commit' | 'adopt' | 'close'
    > = {
      name,
      logName: options.logName,
      parts,
      load: () => steps.perform(life, { name: `load ${name}`, fails }, async () => loaded(table)),
      adopt: async () => loaded(table),
      committedOffset: () => steps.perform(life, { name: `offset of ${name}`, fails }, async () => table.offset),
      commit: (segments, from, end, entries = end - from) => {
        const loses = () => new Fault('commit-unknown', 'simulated: the reply of the catalog was lost')
        return steps.perform(life, { name: `commit ${name}`, fails, loses }, async () => {
          const report = applyTo(table, name, segments, { from, end, entries })
          if (sabotage.forgetsOffset !== true) table.offset = Math.max(table.offset, end)
          return report
        })
      },
      close: async () => {},
    }
    return writer as unknown as TableWriter
  }
}

/** What else is asked of a catalog: the columns of a table that is there. */
export function fakeCatalog(lake: FakeLake, steps: StreamSteps): Pick<Catalog, 'load'> {
  const { life } = steps
  return {
    load: ({ namespace, name }) =>
      steps.perform(life, { name: 'catalog: load', fails: unavailable('catalog') }, async () => {
        const table = lake.get([...namespace, name].join('.'))
        if (table === undefined) throw new Fault('not-found', `there is no table ${name}`)
        return loaded(table)
      }),
  }
}

function loaded({ definition }: FakeTable): LoadedTable {
  const { schema } = definition
  return {
    metadata: { schemas: [schema], 'current-schema-id': schema['schema-id'] },
  } as unknown as LoadedTable
}

function applyTo(
  table: FakeTable,
  name: string,
  segments: readonly Segment[],
  { from, end, entries }: { from: number; end: number; entries: number },
): CommitReport | null {
  if (table.offset >= end) return null
  const found: Applied[] = []
  let read = 0
  for (const { path } of segments) {
    for (const line of readFileSync(path, 'utf8').split('\n')) {
      if (line === '') continue
      const { offset, op, row, to } = readTableChange(line)
      if (offset < from || offset >= end) continue
      read++
      if (offset < table.offset || op === 'none') continue
      assert.equal(to ?? name, name, `entry ${offset} is for another table`)
      if (Number(row['n']) === POISON) throw new Fault('invalid', 'Conversion Error: simulated: the table refuses it')
      found.push({ offset, op, id: String(row['id']), n: Number(row['n']) })
    }
  }
  // As the writer does: an entry that is not there is damage, and is no reason to go on.
  if (read !== entries)
    throw new Fault('corrupt', `${name}: expected ${entries} entries from ${from} to ${end}, read ${read}`)
  table.applied.push(...found)
  return {
    table: name,
    snapshotId: BigInt(end),
    from,
    end,
    entries,
    rowsWritten: found.length,
    rowsRemoved: 0,
    lateDropped: 0,
    tombstonesForgotten: 0,
    elapsedMs: 0,
  }
}
