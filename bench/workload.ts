/**
 * The rows of the benches, from a seed: about 100 bytes each, keys uniform or skewed.
 */
import { tableChangeText } from '../src/change/table-change.ts'
import type { TableDefinition } from '../src/table/table.ts'
import { Random } from '../test/simulate/random.ts'

export type Skew = 'uniform' | 'skewed'

export function definition(name: string, mode: TableDefinition['mode']): TableDefinition {
  return {
    ident: { namespace: ['bench'], name },
    mode,
    key: mode === 'append' ? [] : ['id'],
    schema: {
      type: 'struct',
      'schema-id': 0,
      fields: [
        { id: 1, name: 'id', required: true, type: 'long' },
        { id: 2, name: 'name', required: false, type: 'string' },
        { id: 3, name: 'amount', required: false, type: 'double' },
        { id: 4, name: 'ts', required: false, type: 'timestamp' },
        { id: 5, name: 'note', required: false, type: 'string' },
      ],
    },
  }
}

/** Ids in [0, keys). Skewed is Zipf's law with exponent 1 (the k-th key comes 1/k as often), ranks scattered over the ids. */
export class Ids {
  readonly #random: Random
  readonly #keys: number
  readonly #skew: Skew

  constructor(seed: number, keys: number, skew: Skew) {
    this.#random = new Random(seed)
    this.#keys = keys
    this.#skew = skew
  }

  next(): number {
    if (this.#skew === 'uniform') return this.#random.below(this.#keys)
    const rank = Math.min(this.#keys - 1, Math.floor(this.#keys ** this.#random.next()) - 1)
    // 7,919 shares no factor with powers of ten: every rank has an id of its own.
    return (rank * 7919) % this.#keys
  }
}

/** The change that gives `id` its `version`-th row. */
export function changeText(id: number, version: number): string {
  return tableChangeText({
    input: 0,
    op: 'upsert',
    row: {
      id,
      name: `name-${id % 100_000}`,
      amount: id / 7 + version,
      ts: `2024-05-01 10:00:00.${String(id % 1_000_000).padStart(6, '0')}`,
      note: `a note of some thirty characters ${version % 1000}`,
    },
  })
}
