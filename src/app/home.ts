/**
 * The state folder: where everything that Tidewater keeps on this machine is.
 *
 *     catalog.db     SQLite catalog (catalog name `tidewater`)
 *     warehouse/     table files, by namespace and table
 *     logs/          one folder per log
 *     index/         one row index per keyed table (caches)
 *     state/         object versions known so far
 *     tmp/           scratch files; emptied at start
 */
import { mkdir, rm } from 'node:fs/promises'
import path from 'node:path'

export const CATALOG_NAME = 'tidewater'
export const HOME_DEFAULT = '.tidewater'

export interface Home {
  dir: string
  catalogPath: string
  /** `file:///…/warehouse` without a slash at the end. */
  warehouseUri: string
  warehouseDir: string
  logsDir: string
  indexPath(table: string): string
  statePath(name: string): string
  scratchDir: string
  spillDir: string
}

/** @param dir `--home`, else `TIDEWATER_HOME`, else `.tidewater` in the working directory */
export function homeAt(dir: string | undefined, env: Readonly<Record<string, string | undefined>> = process.env): Home {
  const root = path.resolve(dir ?? env['TIDEWATER_HOME'] ?? HOME_DEFAULT)
  const warehouseDir = path.join(root, 'warehouse')
  return {
    dir: root,
    catalogPath: path.join(root, 'catalog.db'),
    warehouseDir,
    // Not percent-encoded: engines take the text of a location as it is.
    warehouseUri: `file://${warehouseDir}`,
    logsDir: path.join(root, 'logs'),
    indexPath: (table) => path.join(root, 'index', `${table}.duckdb`),
    statePath: (name) => path.join(root, 'state', name),
    scratchDir: path.join(root, 'tmp', 'scratch'),
    spillDir: path.join(root, 'tmp', 'spill'),
  }
}

/** Makes the folders. Scratch files of an earlier run are removed only with `clean`, by the process that owns the home. */
export async function prepareHome(home: Home, options: { clean: boolean }): Promise<void> {
  if (options.clean) await rm(path.join(home.dir, 'tmp'), { recursive: true, force: true })
  for (const dir of [
    home.warehouseDir,
    path.join(home.dir, 'logs'),
    path.join(home.dir, 'index'),
    path.join(home.dir, 'state'),
    home.scratchDir,
    home.spillDir,
  ]) {
    await mkdir(dir, { recursive: true })
  }
}
