/** The parts that only read: catalog, files, DuckDB. Any number of processes may hold them at once. */
import { availableParallelism } from 'node:os'
import type { Clock } from '../base/clock.ts'
import { systemClock } from '../base/clock.ts'
import { Duck } from '../duck/duck.ts'
import type { Catalog } from '../iceberg/catalog/catalog.ts'
import { openSqliteCatalog } from '../iceberg/catalog/sqlite.ts'
import type { FileIO } from '../iceberg/file/file.ts'
import { storeIo } from '../iceberg/file/store-io.ts'
import { openFileStore } from '../store/file.ts'
import type { Config } from './config.ts'
import { CATALOG_NAME, type Home, prepareHome, requireHome } from './home.ts'

export interface Reader {
  home: Home
  config: Config
  clock: Clock
  duck: Duck
  catalog: Catalog
  io: FileIO
  close(): Promise<void>
}

/**
 * @param owner true for the one process that writes: it makes the folders, and empties the scratch folder first
 * @throws Fault `not-found` when not the owner and the home holds nothing yet: reading never makes a home
 */
export async function openReader(home: Home, config: Config, owner = false): Promise<Reader> {
  const clock = systemClock
  if (owner) await prepareHome(home)
  else await requireHome(home)
  const warehouse = await openFileStore({ root: home.warehouseDir, create: owner })
  const io = storeIo(warehouse, { root: home.warehouseUri, scratchDir: home.scratchDir })
  const catalog = await openSqliteCatalog({
    path: home.catalogPath,
    name: CATALOG_NAME,
    warehouse: home.warehouseUri,
    io,
    clock,
  })
  const duck = await Duck.open({
    memoryMiB: config.limits.memoryMiB,
    threads: config.limits.threads ?? availableParallelism(),
    spillDir: home.spillDir,
  })
  return {
    home,
    config,
    clock,
    duck,
    catalog,
    io,
    close: async () => {
      await catalog.close()
      duck.close()
    },
  }
}
