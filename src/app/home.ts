/**
 * The state folder: where everything that Tidewater keeps on this machine is.
 *
 *     catalog.db     SQLite catalog (catalog name `tidewater`)
 *     warehouse/     table files, by namespace and table
 *     logs/          one folder per log
 *     index/         one row index per keyed table (caches)
 *     state/         object versions known so far, and what else is remembered
 *     error-output/  refused records as objects, of streams that name no other folder
 *     cache/         local copies of files on S3, if the warehouse is there (a cache)
 *     tmp/           scratch/ and spill/, emptied at start
 */
import { mkdir, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { Fault, isFault, messageOf, systemCode } from '../base/fault.ts'

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
  stateDir: string
  statePath(name: string): string
  scratchDir: string
  spillDir: string
  /** Local copies of files that are elsewhere; made when needed. */
  cacheDir: string
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
    stateDir: path.join(root, 'state'),
    statePath: (name) => path.join(root, 'state', name),
    scratchDir: path.join(root, 'tmp', 'scratch'),
    spillDir: path.join(root, 'tmp', 'spill'),
    cacheDir: path.join(root, 'cache'),
  }
}

/** Is there a catalog in the home? @throws Fault `invalid` when the home is no folder, `unavailable` when it cannot be looked into */
export async function homeExists(home: Home): Promise<boolean> {
  const isFolder = await look(home, home.dir, (stats) => stats.isDirectory())
  if (isFolder === false) {
    throw new Fault('invalid', `expected a folder for the state, got the file ${home.dir}; name another with --home`)
  }
  return (await look(home, home.catalogPath, (stats) => stats.isFile())) === true
}

/**
 * Why a home without a catalog is no new one; null when it is new, or has its catalog. With a new catalog the tables would
 * stay empty: what is known of the objects says that nothing changed.
 */
export async function catalogLoss(home: Home): Promise<string | null> {
  if (await homeExists(home)) return null
  const known = home.statePath('objects.db')
  if ((await look(home, known, (stats) => stats.isFile())) !== true) return null
  return `${home.catalogPath} is not there, but ${known} is: the catalog was lost. Restore it from a copy; or move ${home.dir} away and ingest everything anew`
}

/** For what only reads. @throws Fault `not-found` when there is nothing in the home yet, `corrupt` when its catalog was lost */
export async function requireHome(home: Home): Promise<void> {
  if (await homeExists(home)) return
  await requireNoLoss(home)
  throw new Fault(
    'not-found',
    `${home.dir} holds no tables yet: tidewater quickstart or tidewater ingest makes them there, --home names another folder`,
    { home: home.dir },
  )
}

/** @throws Fault `corrupt` when the home had a catalog */
export async function requireNoLoss(home: Home): Promise<void> {
  const loss = await catalogLoss(home)
  if (loss !== null) throw new Fault('corrupt', loss, { path: home.catalogPath })
}

/** By whom a log is held, for who only looks: nothing is to be moved or stopped for that. */
export function heldBy({ facts }: Fault): string {
  return `in use by ${String(facts['owner'] ?? 'another process')}.`
}

/** What a log says that another process owns, in words on the home: that is what a user gave, and can change. */
export function heldHome(home: Home, error: unknown): unknown {
  if (!isFault(error, 'conflict')) return error
  const owner = String(error.facts['owner'] ?? 'another process')
  return new Fault(
    'conflict',
    `the state folder ${home.dir} is in use by ${owner}: a server, or another command that writes. Go through a server by --api-url (tidewater stream, deadletter replay and reextract have it), stop that one, or name another folder with --home`,
    { home: home.dir, owner },
    error,
  )
}

async function look<T>(
  home: Home,
  file: string,
  at: (stats: { isDirectory(): boolean; isFile(): boolean }) => T,
): Promise<T | null> {
  try {
    return at(await stat(file))
  } catch (error) {
    const code = systemCode(error)
    if (code === 'ENOENT') return null
    if (code === 'ENOTDIR') {
      throw new Fault(
        'invalid',
        `${home.dir} cannot be a folder: a part of the path is a file; name another with --home`,
      )
    }
    throw new Fault('unavailable', `cannot look into ${file}: ${messageOf(error)}`, { path: file }, error)
  }
}

/**
 * Makes the folders and empties those for scratch, for the process that owns the home. Nothing else is removed: a home may be
 * a folder that holds files of its user's, by mistake or not.
 * @throws Fault `invalid` (the home is a file), `unavailable` (it cannot be written)
 */
export async function prepareHome(home: Home): Promise<void> {
  await makeHome(home, async () => {
    for (const dir of [home.scratchDir, home.spillDir]) await rm(dir, { recursive: true, force: true })
  })
}

/**
 * Makes the folders that are missing; what others hold there is not touched.
 * @param first done before
 * @throws as `prepareHome`
 */
export async function makeHome(home: Home, first = async (): Promise<void> => undefined): Promise<void> {
  await homeExists(home)
  try {
    await first()
    for (const dir of [
      home.warehouseDir,
      home.logsDir,
      path.join(home.dir, 'index'),
      home.stateDir,
      home.scratchDir,
      home.spillDir,
    ]) {
      await mkdir(dir, { recursive: true })
    }
  } catch (error) {
    throw new Fault(
      'unavailable',
      `cannot write into ${home.dir}: ${messageOf(error)}; give it to the user that runs tidewater, or name another folder with --home`,
      { home: home.dir },
      error,
    )
  }
}
