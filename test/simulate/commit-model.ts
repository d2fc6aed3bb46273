/** What a table should hold, in plain memory: the log's entries applied one by one, and what others did to the table. */
import assert from 'node:assert/strict'
import type { WriteMode } from '../../src/table/table.ts'

export interface Row {
  k: string
  n: number | null
  part: string | null
  /** A column added later. */
  x: string | null
}

export interface Entry {
  op: 'upsert' | 'delete'
  row: Row
  /** Does not fit the table: it is passed over. */
  bad: boolean
}

/** Of a snapshot as it becomes visible. */
export interface SeenSnapshot {
  id: bigint
  parent: bigint | null
  operation: string
  /** What it says to hold of the log; null: not by the writer. */
  offset: number | null
}

/** What somebody else's commit does to the rows. */
export type Effect = (rows: readonly Row[]) => Row[]

export class Model {
  readonly mode: WriteMode
  /** The log, by offset, as far as it was acknowledged or seen. */
  readonly entries: Entry[] = []
  /** Entries told to be durable. */
  acknowledged = 0
  /** Entries before it are in a snapshot that was visible once. */
  consumed = 0
  /** Where the writer goes on: beyond `consumed` when entries changed nothing or were passed over. */
  position = 0
  readonly #states = new Map<bigint, readonly Row[]>()

  constructor(mode: WriteMode) {
    this.mode = mode
  }

  /** Snapshots ever visible. */
  get snapshots(): number {
    return this.#states.size
  }

  has(snapshotId: bigint): boolean {
    return this.#states.has(snapshotId)
  }

  rowsAt(snapshotId: bigint | null): readonly Row[] {
    if (snapshotId === null) return []
    const rows = this.#states.get(snapshotId)
    assert.ok(rows, `snapshot ${snapshotId} was never seen to become visible`)
    return rows
  }

  /** Takes in a snapshot of somebody else's, or of the writer's. */
  see(snapshot: SeenSnapshot, effect: Effect | null): void {
    const before = this.rowsAt(snapshot.parent)
    if (effect !== null) {
      assert.equal(snapshot.offset, null, 'only the writer names offsets')
      this.#states.set(snapshot.id, effect(before))
    } else if (snapshot.operation === 'replace') {
      this.#states.set(snapshot.id, before)
    } else {
      assert.ok(snapshot.offset !== null, 'every commit of the writer names an offset')
      assert.ok(
        snapshot.offset > this.consumed,
        `entries up to ${this.consumed} were committed, and now a snapshot up to ${snapshot.offset}: some are applied twice`,
      )
      assert.ok(snapshot.offset <= this.entries.length, 'a snapshot holds entries that nobody appended')
      const from = Math.max(this.position, this.consumed)
      this.#states.set(snapshot.id, this.applied(before, this.entries.slice(from, snapshot.offset)))
      this.consumed = snapshot.offset
    }
  }

  /** `entries` one after another, as the mode says. */
  applied(before: readonly Row[], entries: readonly Entry[]): Row[] {
    let rows = [...before]
    for (const { op, row, bad } of entries) {
      if (bad) continue
      switch (this.mode) {
        case 'append':
          if (op === 'upsert') rows.push(row)
          break
        case 'insert-once':
          if (op === 'upsert' && !rows.some((old) => old.k === row.k)) rows.push(row)
          break
        case 'upsert':
          rows = rows.filter((old) => old.k !== row.k)
          if (op === 'upsert') rows.push(row)
      }
    }
    return rows
  }
}

/** Rows as sorted text, to compare tables that have no order. */
export function asText(rows: readonly Row[]): string[] {
  return rows.map(({ k, n, part, x }) => `${k} n=${n} part=${part} x=${x}`).sort()
}
