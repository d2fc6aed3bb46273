/** Real tables for a simulated stream: DuckDB, writer, catalog and store. A commit is one step: what fails within it is `commit-crash.test.ts`'s part. */
import path from 'node:path'
import type { Clock } from '../../src/base/clock.ts'
import { Fault } from '../../src/base/fault.ts'
import { Duck } from '../../src/duck/duck.ts'
import { PointerCatalog } from '../../src/iceberg/catalog/pointer-catalog.ts'
import { storeIo } from '../../src/iceberg/file/store-io.ts'
import { planScan } from '../../src/iceberg/scan/plan.ts'
import { scanRelation } from '../../src/iceberg/scan/relation.ts'
import { currentSchema } from '../../src/iceberg/spec/schema.ts'
import { openMemoryStore } from '../../src/store/memory.ts'
import { TableWriter } from '../../src/table/writer.ts'
import { SharedRows } from './faulty-parts.ts'
import { type FakeLake, FakeTable } from './streams-parts.ts'
import { type StreamSteps, unavailable } from './streams-steps.ts'

const ROOT = 'memory://lake'

export class RealTables {
  readonly #duck: Duck
  readonly #parts: ReturnType<typeof partsOf>

  private constructor(duck: Duck, parts: ReturnType<typeof partsOf>) {
    this.#duck = duck
    this.#parts = parts
  }

  static async open(dir: string, clock: Clock): Promise<RealTables> {
    return new RealTables(await Duck.open({ memoryMiB: 256, threads: 1 }), partsOf(dir, clock))
  }

  /** What a process works with. */
  of(steps: StreamSteps) {
    const { io, catalog } = this.#parts
    return { duck: this.#duck, io, catalog, openWriter: realWriters(steps) }
  }

  /** The rows that are there now. */
  async rows(): Promise<FakeLake> {
    const { io, catalog } = this.#parts
    const lake: FakeLake = new Map()
    const session = await this.#duck.connect()
    for (const ident of await catalog.listTables(['demo'])) {
      const { metadata } = await catalog.load(ident)
      const table = new FakeTable({ ident, mode: 'upsert', key: ['id'], schema: currentSchema(metadata) })
      const plan = await planScan(io, metadata)
      const { sql } = await scanRelation(session, io, plan)
      for (const row of await session.rows(`SELECT id, n FROM (${sql})`))
        table.applied.push({ offset: 0, op: 'upsert', id: String(row['id']), n: Number(row['n']) })
      lake.set(`demo.${ident.name}`, table)
    }
    session.close()
    return lake
  }

  async close(): Promise<void> {
    this.#duck.close()
    await this.#parts.store.close()
  }
}

function partsOf(dir: string, clock: Clock) {
  const store = openMemoryStore({ name: ROOT, clock })
  const io = storeIo(store, { root: ROOT, scratchDir: path.join(dir, 'real-scratch') })
  const rows = new SharedRows(async () => undefined)
  const catalog = new PointerCatalog({ name: 'real', warehouse: ROOT, io, clock, rows, metadataGraceMs: undefined })
  return { store, io, catalog }
}

function realWriters(steps: StreamSteps): typeof TableWriter.open {
  const { life } = steps
  return async (parts, options) => {
    const fails = unavailable('catalog')
    const loses = () => new Fault('commit-unknown', 'simulated: the reply was lost')
    const writer = await steps.perform(life, { name: 'create', fails }, () => TableWriter.open(parts, options))
    const commit = writer.commit.bind(writer)
    writer.commit = (...asked) =>
      steps.perform(life, { name: `commit ${writer.name}`, fails, loses }, () => commit(...asked))
    return writer
  }
}
