/** The parts that only read: catalog, files, DuckDB. Any number of processes may hold them at once. */
import { availableParallelism } from 'node:os'
import { unreachable } from '../base/assert.ts'
import type { Clock } from '../base/clock.ts'
import { systemClock } from '../base/clock.ts'
import { Duck } from '../duck/duck.ts'
import type { Catalog } from '../iceberg/catalog/catalog.ts'
import { openSqliteCatalog } from '../iceberg/catalog/sqlite.ts'
import type { FileIO } from '../iceberg/file/file.ts'
import type { Config } from './config.ts'
import { CATALOG_NAME, type Home, makeHome, prepareHome, requireHome, requireNoLoss } from './home.ts'
import { openWarehouse, type SentRequest, warehouseUri } from './warehouse.ts'

export interface Reader {
  home: Home
  config: Config
  clock: Clock
  duck: Duck
  catalog: Catalog
  io: FileIO
  /** Told of every request to S3, whoever makes it. */
  onRequest: (request: SentRequest) => void
  close(): Promise<void>
}

/**
 * - `read`: reading never makes a home
 * - `change`: makes one; others may hold it, and what they have there is not touched
 * - `own`: the one process that writes rows; makes one, and empties the scratch folder first
 */
export type HomeUse = 'read' | 'change' | 'own'

/** @throws Fault `not-found` when it only reads and the home holds nothing yet, `corrupt` when its catalog was lost */
export async function openReader(
  home: Home,
  config: Config,
  use: HomeUse = 'read',
  onRequest: (request: SentRequest) => void = () => undefined,
): Promise<Reader> {
  const clock = systemClock
  await prepare(home, use)
  const io = await openWarehouse({ home, config, create: use !== 'read', onRequest })
  const catalog = await openSqliteCatalog({
    path: home.catalogPath,
    name: CATALOG_NAME,
    warehouse: warehouseUri(home, config),
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
    onRequest,
    close: async () => {
      await catalog.close()
      duck.close()
    },
  }
}

function prepare(home: Home, use: HomeUse): Promise<void> {
  switch (use) {
    case 'read':
      return requireHome(home)
    case 'change':
      return requireNoLoss(home).then(() => makeHome(home))
    case 'own':
      return prepareHome(home)
    default:
      return unreachable(use)
  }
}
