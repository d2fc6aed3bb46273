/**
 * Mends what `doctor` finds and what can be mended from what is left:
 *
 * - a log that is damaged is set aside under another name; what can be read of it goes into its successor
 * - a log that ends before what its table holds goes on there
 * - what is known of objects (`state/objects.db`) is made anew from the journal when it was lost or cannot be read
 * - a row index that disagrees with its table is built anew
 * - logs, indexes and `state/streams.db` of streams likewise, see `repair-streams.ts`
 * - `state/error-output.db` and `state/files.db`, see `side-files.ts`
 * - what the tables lack of what is known is passed on to them again
 * - files of processes that were ended are removed from `tmp/`
 *
 * Table files are never deleted, and damaged files are renamed, not removed.
 */
import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { isFault } from '../base/fault.ts'
import type { Catalog, LoadedTable, TableIdent } from '../iceberg/catalog/catalog.ts'
import { type Difference, differences } from '../service/objects/compare.ts'
import { rebuildVersions } from '../service/objects/rebuild.ts'
import { openVersionStore } from '../service/objects/version-store.ts'
import { compareIndex, examineIndex, rebuild } from '../table/index-upkeep.ts'
import { committedOffset } from '../table/writer.ts'
import type { Config } from './config.ts'
import { type Finding, filesIn } from './doctor.ts'
import { type Engine, openEngine } from './engine.ts'
import { type Home, heldHome, requireHome } from './home.ts'
import { attachDirectory } from './ingest.ts'
import { tablesByLog } from './object-tables.ts'
import { openReader, type Reader } from './reader.ts'
import { before, mendLog, setAside, type Tell } from './repair-logs.ts'
import { mendStreams } from './repair-streams.ts'
import { mendSideFiles } from './side-files.ts'
import { stateTrouble } from './state-trouble.ts'
import { examineFiles } from './table-files.ts'

/** @throws Fault `conflict` when another process holds the home; nothing was changed then */
export async function repair(home: Home, config: Config, configDir: string): Promise<Finding[]> {
  await requireHome(home)
  const findings: Finding[] = []
  const tell: Tell = (subject, message) => findings.push({ subject, level: 'mended', message })
  const left = await filesIn(path.join(home.dir, 'tmp'))
  const reader = await openReader(home, config)
  let indexes: Map<string, string>
  try {
    await mendLogsAndState(reader, tell)
    await mendStreams(reader, tell)
    await mendSideFiles(reader, tell)
    indexes = await unusableIndexes(reader)
  } finally {
    await reader.close()
  }
  const leave = (what: string, error: unknown) => {
    if (!isFault(error, 'corrupt')) throw error
    findings.push({ subject: what, level: 'problem', message: `was left as it is: ${error.message}` })
  }
  let engine: Engine
  try {
    engine = await openEngine({ home, config, configDir })
  } catch (error) {
    leave('home', error)
    return findings
  }
  try {
    if (left > 0) tell('tmp', `${left} files of a process that was ended are removed`)
    await mendIndexes(engine, indexes, tell)
    await attachBuckets(engine)
    // What a damaged table keeps from being mended is mended once its file is restored.
    await engine.drain().catch((error: unknown) => leave('tables', error))
    await mendTables(engine, tell).catch((error: unknown) => leave('objects', error))
  } finally {
    await engine.close()
  }
  return findings
}

interface StateFile {
  applied: number
  emitted: number
}

async function mendLogsAndState(reader: Reader, tell: Tell): Promise<void> {
  const { home, config, clock } = reader
  const tables = new Map<string, LoadedTable>()
  for (const [name, { ident }] of tablesByLog(config)) {
    const table = await tableOrNull(reader.catalog, ident)
    if (table !== null) tables.set(name, table)
  }
  const held = (name: string) => {
    const table = tables.get(name)
    return table === undefined ? 0 : committedOffset(table.metadata, name)
  }
  // The objects log first: while it is held nobody else writes to this home.
  const known = await readState(home)
  const taken = Math.max(known?.applied ?? 0, known?.emitted ?? 0)
  // A state made anew has taken an offset at least (see setTaken), so the log must have given one.
  const floor = taken === 0 && held('journal') > 0 ? 1 : taken
  const mending = { home, clock, name: 'objects', floor, passedOn: before(known?.emitted ?? 0) }
  const objects = await mendLog(mending, tell).catch((error: unknown) => {
    throw heldHome(home, error)
  })
  try {
    for (const name of tables.keys()) {
      const log = await mendLog({ home, clock, name, floor: held(name), passedOn: before(held(name)) }, tell)
      await log.close()
    }
    const facts = { applied: known?.applied ?? 0, start: objects.start, end: objects.end, journalHeld: held('journal') }
    const trouble = stateTrouble(facts)
    if (known !== null && trouble === null) return
    if (known === null) await setAside(home.statePath('objects.db'), clock)
    const [journal, inventory] = [tables.get('journal'), tables.get('inventory')]
    if (journal === undefined || inventory === undefined) return
    const session = await reader.duck.connect()
    const path = home.statePath('objects.db')
    const events = await rebuildVersions({ session, io: reader.io, journal, inventory, path, taken: objects.start })
    session.close()
    tell('state', `${path} was made anew from ${events} events of the journal and the inventory`)
  } finally {
    await objects.close()
  }
}

async function tableOrNull(catalog: Catalog, ident: TableIdent): Promise<LoadedTable | null> {
  try {
    return await catalog.load(ident)
  } catch (error) {
    if (isFault(error, 'not-found')) return null
    throw error
  }
}

/** Null when it is not there, or cannot be read. */
async function readState(home: Home): Promise<StateFile | null> {
  const names = await readdir(path.dirname(home.statePath('objects.db'))).catch((): string[] => [])
  if (!names.includes('objects.db')) return null
  try {
    const versions = openVersionStore({ path: home.statePath('objects.db') })
    const { applied, emitted } = versions
    versions.close()
    return { applied, emitted }
  } catch (error) {
    if (isFault(error, 'corrupt')) return null
    throw error
  }
}

/** What is wrong with row indexes, by the log's name. Missing ones are no trouble: every start builds them. */
async function unusableIndexes({ home, config, catalog, io, duck }: Reader): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  const session = await duck.connect()
  const files = await readdir(path.dirname(home.indexPath('any'))).catch((): string[] => [])
  for (const [name, definition] of tablesByLog(config)) {
    const { ident, key } = definition
    const file = home.indexPath(name)
    if (key.length === 0 || !files.includes(path.basename(file))) continue
    const table = await tableOrNull(catalog, ident)
    if (table === null) continue
    // An index cannot be compared with a table that cannot be read.
    if ((await examineFiles({ session, io }, table)).bad.length > 0) continue
    const state = await examineIndex({ session, io }, table, definition, file)
    if (state.kind === 'unusable') found.set(name, `${file} ${state.why}`)
  }
  session.close()
  return found
}

/** The start has replaced those that could not be opened; the others are built anew here. */
async function mendIndexes(engine: Engine, unusable: ReadonlyMap<string, string>, tell: Tell): Promise<void> {
  for (const [name, writer] of engine.writers) {
    const context = writer.indexContext
    const why = unusable.get(name)
    if (context === null || why === undefined) continue
    const table = await writer.load()
    const { missing, extra } = await compareIndex(context, table)
    if (missing + extra > 0) await rebuild(context, table)
    tell(`index ${name}`, `${why}; it was built anew`)
  }
}

/** Buckets that live in the home itself: their bytes can be read again. */
async function attachBuckets(engine: Engine): Promise<void> {
  const dir = path.join(engine.home.dir, 'buckets')
  const entries = await readdir(dir, { withFileTypes: true }).catch(() => [])
  for (const entry of entries)
    if (entry.isDirectory()) await attachDirectory(engine, path.join(dir, entry.name), entry.name)
}

/** Passes on again what the tables lack. */
async function mendTables(engine: Engine, tell: Tell): Promise<void> {
  const table = async (name: string) => {
    const writer = engine.writers.get(name)
    if (writer === undefined) throw new Error(`${name} is wired`)
    return writer.load()
  }
  const [journal, inventory, content] = [await table('journal'), await table('inventory'), await table('content')]
  const session = await engine.duck.connect()
  const parts = { session, io: engine.io, versions: engine.versions, journal, inventory, content }
  let versions = 0
  let unread = 0
  for await (const page of differences(parts)) {
    const ours: Difference[] = page.filter(({ known }) => known)
    unread += await engine.objects.mend(ours)
    versions += ours.length
  }
  session.close()
  if (versions === 0) return
  await engine.drain()
  tell('objects', `${versions} object versions were passed on to the tables again`)
  if (unread > 0)
    tell(
      'objects',
      `the bytes of ${unread} objects could not be read here; attach them: tidewater deadletter replay --stage extract --directory DIR --bucket NAME`,
    )
}
