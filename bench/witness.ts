/** A reader of a home's content table beside the process that writes it: looks into each new snapshot. */
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Duck, literal } from '../src/duck/duck.ts'
import { openSqliteCatalog } from '../src/iceberg/catalog/sqlite.ts'
import { storeIo } from '../src/iceberg/file/store-io.ts'
import { planScan } from '../src/iceberg/scan/plan.ts'
import { scanRelation } from '../src/iceberg/scan/relation.ts'
import { openFileStore } from '../src/store/file.ts'

const WAIT_MS = 60_000
const POLL_MS = 5
const TABLE = { namespace: ['default'], name: 's3_content_metadata' }

export interface Witness {
  /** Asks for the table's row until it is there. */
  untilThere(key: string): Promise<void>
  /** Keys that begin so, of the newest snapshot; null: it was looked into already. */
  keys(prefix: string): Promise<string[] | null>
  close(): Promise<void>
}

/** Another reader of the same catalog. */
export async function openWitness(home: string): Promise<Witness> {
  const warehouse = path.join(home, 'warehouse')
  const root = `file://${warehouse}`
  const io = storeIo(await openFileStore({ root: warehouse }), { root, scratchDir: path.join(home, 'witness') })
  const catalog = await openSqliteCatalog({
    path: path.join(home, 'catalog.db'),
    name: 'tidewater',
    warehouse: root,
    io,
  })
  const duck = await Duck.open({ memoryMiB: 256, threads: 1 })
  const session = await duck.connect()
  let looked = ''
  /** What the newest snapshot says; null when it was asked already. */
  const news = async (select: string, where: string) => {
    const { metadata, metadataLocation } = await catalog.load(TABLE)
    if (metadataLocation === looked) return null
    const { sql } = await scanRelation(session, io, await planScan(io, metadata), { columns: ['key'] })
    const rows = await session.rows(`SELECT ${select} AS found FROM (${sql}) WHERE ${where}`)
    looked = metadataLocation
    return rows.map((row) => row['found'])
  }
  return {
    untilThere: async (key) => {
      looked = ''
      for (const started = performance.now(); performance.now() - started < WAIT_MS; await pause(POLL_MS)) {
        const found = await news('count(*)', `key = ${literal(key)}`)
        if (found !== null && Number(found[0]) > 0) return
      }
      throw new Error(`${key} did not become visible in ${WAIT_MS} ms`)
    },
    keys: async (prefix) => {
      const found = await news('key', `starts_with(key, ${literal(prefix)})`)
      return found === null ? null : found.map(String)
    },
    close: async () => {
      await catalog.close()
      duck.close()
    },
  }
}
