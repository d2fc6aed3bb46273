/**
 * Looks at a home and says what it finds: what is installed, where state is, whether tables, logs, indexes and what is known
 * of objects agree. It changes nothing but what every start does (a torn end of a log is cut). `repair.ts` mends.
 */
import { access, readdir, stat, statfs } from 'node:fs/promises'
import path from 'node:path'
import { isFault, messageOf } from '../base/fault.ts'
import type { DuckSession } from '../duck/duck.ts'
import { formatIdent, type LoadedTable } from '../iceberg/catalog/catalog.ts'
import type { Log } from '../log/log.ts'
import { openSegmentLog } from '../log/segments.ts'
import { deadLetterTable } from '../service/deadletter/deadletter.ts'
import { differences } from '../service/objects/compare.ts'
import { openVersionStore, type VersionStore } from '../service/objects/version-store.ts'
import { examineIndex } from '../table/index-upkeep.ts'
import type { TableDefinition } from '../table/table.ts'
import { committedOffset } from '../table/writer.ts'
import type { Config } from './config.ts'
import { examineStreams } from './doctor-streams.ts'
import { catalogLoss, type Home, heldBy, homeExists } from './home.ts'
import { tablesByLog } from './object-tables.ts'
import { openReader, type Reader } from './reader.ts'
import { s3Notes } from './s3-connections.ts'
import { examineSideFiles } from './side-files.ts'
import { damageOf, stateTrouble } from './state-trouble.ts'
import { examineFiles, snapshotWithout } from './table-files.ts'
import { warehouseUri } from './warehouse.ts'

export interface Finding {
  subject: string
  /** `note`: for information. `mended`: it was wrong and is not any more. `problem`: something disagrees or is damaged. */
  level: 'ok' | 'note' | 'mended' | 'problem'
  message: string
}

/** What to do about anything that `repair.ts` mends. */
const REPAIR = 'tidewater doctor --repair'
const DISK_FREE_MIN_BYTES = 1024 ** 3
/** Bad files of a table that are named one by one. */
const BAD_FILES_TOLD = 5

export async function examine(home: Home, config: Config): Promise<Finding[]> {
  const findings: Finding[] = [{ subject: 'node', level: 'ok', message: process.version }]
  const add: Add = (subject, level, message) => findings.push({ subject, level, message })
  for (const note of s3Notes(config.s3)) add('s3', 'note', note)
  const loss = await catalogLoss(home)
  if (loss !== null) {
    add('catalog', 'problem', loss)
    return findings
  }
  if (!(await homeExists(home))) {
    add('home', 'note', `${home.dir} holds no tables yet; tidewater quickstart or tidewater ingest makes them`)
    return findings
  }
  const disk = await statfs(home.dir)
  const freeBytes = disk.bavail * disk.bsize
  const room = `${home.dir}, ${Math.round(freeBytes / 1024 ** 2)} MiB free`
  if (freeBytes >= DISK_FREE_MIN_BYTES) add('home', 'ok', room)
  else add('home', 'problem', `${room}: make room, or move the folder to a larger disk`)
  const closers: (() => Promise<void> | void)[] = []
  try {
    const reader = await openReader(home, config)
    closers.push(() => reader.close())
    if (config.warehouse.location !== undefined) add('warehouse', 'ok', warehouseUri(home, config))
    const session = await reader.duck.connect()
    closers.push(() => session.close())
    add('duckdb', 'ok', String(await session.value('SELECT version()')))
    const { tables, damaged } = await examineTables(reader, session, add)
    const logs = await openLogs(home, add)
    closers.push(async () => {
      for (const log of logs?.values() ?? []) await log?.close()
    })
    if (logs !== null) {
      await examineOwned({ home, reader, session, tables, damaged, logs, definitions: tablesByLog(config) }, add)
      await examineStreams({ home, config, reader, session, tables, remedy: REPAIR }, add)
      const letters = logs.get('dead-letters')
      await examineSideFiles(home, letters === null ? null : (letters?.end ?? 0), REPAIR, add)
    }
  } catch (error) {
    add('catalog', 'problem', messageOf(error))
  } finally {
    for (const close of closers.reverse()) await close()
  }
  return findings
}

type Add = (subject: string, level: Finding['level'], message: string) => void

interface TablesFound {
  /** By name. */
  tables: Map<string, LoadedTable>
  /** Names of those that cannot be read as they are. */
  damaged: Set<string>
}

/** Every file that the current snapshot of each table needs is there, and has the length and the footer that it should have. */
async function examineTables({ catalog, io }: Reader, session: DuckSession, add: Add): Promise<TablesFound> {
  const found: TablesFound = { tables: new Map(), damaged: new Set() }
  for (const namespace of await catalog.listNamespaces()) {
    for (const ident of await catalog.listTables(namespace)) {
      const name = formatIdent(ident)
      try {
        const table = await catalog.load(ident)
        found.tables.set(name, table)
        const { files, bad } = await examineFiles({ session, io }, table)
        if (bad.length === 0) {
          add(name, 'ok', `${files} files, ${table.metadata.snapshots.length} snapshots`)
          continue
        }
        found.damaged.add(name)
        const without = await snapshotWithout(io, table, bad)
        for (const { location, why } of bad.slice(0, BAD_FILES_TOLD)) add(name, 'problem', `${location} ${why}`)
        const more = bad.length > BAD_FILES_TOLD ? `, of which ${BAD_FILES_TOLD} are named here` : ''
        const back =
          without === null
            ? ''
            : `, or give up what was committed since and go back to the newest snapshot that needs none of them: tidewater table rollback ${name} ${without}`
        add(name, 'problem', `${bad.length} of ${files} files cannot be read${more}: restore them from a copy${back}`)
      } catch (error) {
        found.damaged.add(name)
        add(name, 'problem', messageOf(error))
      }
    }
  }
  return found
}

/** The logs that are there and can be opened; null when another process holds them. */
async function openLogs(home: Home, add: Add): Promise<Map<string, Log | null> | null> {
  const logs = new Map<string, Log | null>()
  for (const name of ['objects', 'journal', 'inventory', 'content', 'dead-letters']) {
    if (!(await isThere(path.join(home.logsDir, name)))) continue
    try {
      logs.set(name, await openSegmentLog({ dir: home.logsDir, name }))
    } catch (error) {
      if (isFault(error, 'conflict')) {
        for (const log of logs.values()) await log?.close()
        add(
          'logs',
          'note',
          `${heldBy(error)} Only the tables were looked at; with that one stopped, doctor looks at the logs and the state too`,
        )
        return null
      }
      logs.set(name, null)
      const remedy = isFault(error, 'corrupt')
        ? `; ${REPAIR} sets it aside and goes on behind what the tables hold`
        : ''
      add(`log ${name}`, 'problem', `${messageOf(error)}${remedy}`)
    }
  }
  return logs
}

interface Owned {
  home: Home
  reader: Reader
  session: DuckSession
  tables: ReadonlyMap<string, LoadedTable>
  /** Names of tables that cannot be read: nothing is compared with them. */
  damaged: ReadonlySet<string>
  logs: ReadonlyMap<string, Log | null>
  definitions: ReadonlyMap<string, TableDefinition>
}

/** What can be looked at only while nobody writes. */
async function examineOwned(owned: Owned, add: Add): Promise<void> {
  const { home, logs, definitions, tables } = owned
  let quiet = true
  for (const [name, log] of logs) quiet = (await isReadable(name, log, add)) && quiet
  for (const [name, definition] of definitions) {
    quiet = examinePosition(owned, name, definition, add) && quiet
    await examineTableIndex(owned, name, definition, add)
  }
  const left = await filesIn(path.join(home.dir, 'tmp'))
  if (left > 0) add('tmp', 'note', `${left} files of a process that was ended; the next start removes them`)
  const statePath = home.statePath('objects.db')
  if (!(await isThere(statePath))) {
    const lost = [...definitions].some(([name, definition]) => {
      const table = tables.get(formatIdent(definition.ident))
      return table !== undefined && definition !== deadLetterTable && committedOffset(table.metadata, name) > 0
    })
    if (lost)
      add(
        'state',
        'problem',
        `${statePath} is not there, but the tables hold objects; ${REPAIR} makes it anew from the journal`,
      )
    return
  }
  let versions: VersionStore
  try {
    versions = openVersionStore({ path: statePath })
  } catch (error) {
    add('state', 'problem', `${messageOf(error)}; ${REPAIR} makes it anew from the journal`)
    return
  }
  try {
    if (examineState(owned, versions, add) && quiet) await examineAgreement(owned, versions, add)
  } finally {
    versions.close()
  }
}

/** Reads all of a log. */
async function isReadable(name: string, log: Log | null, add: Add): Promise<boolean> {
  if (log === null) return false
  const damage = await damageOf(log)
  if (damage !== null) {
    add(`log ${name}`, 'problem', `${damage} ${REPAIR} sets it aside and goes on behind what the tables hold.`)
  }
  return damage === null
}

/** True when the table holds everything in its log. */
function examinePosition({ tables, logs }: Owned, name: string, { ident }: TableDefinition, add: Add): boolean {
  const table = tables.get(formatIdent(ident))
  const log = logs.get(name)
  if (table === undefined || log === null) return table === undefined && log === undefined
  const held = committedOffset(table.metadata, name)
  const end = log?.end ?? 0
  const start = log?.start ?? 0
  const subject = `log ${name}`
  if (held > end) {
    add(
      subject,
      'problem',
      `ends at offset ${end}, but ${formatIdent(ident)} holds it up to ${held}: the log was lost or replaced; ${REPAIR} lets it go on there`,
    )
    return false
  }
  const behind = end - Math.max(held, start)
  if (behind > 0)
    add(subject, 'note', `${behind} entries wait to be committed to ${formatIdent(ident)} by the next run`)
  else add(subject, 'ok', `committed up to offset ${end}`)
  return behind === 0
}

async function examineTableIndex(
  { home, reader, session, tables, damaged }: Owned,
  name: string,
  definition: TableDefinition,
  add: Add,
): Promise<void> {
  const table = tables.get(formatIdent(definition.ident))
  if (table === undefined || definition.key.length === 0) return
  const subject = `index ${name}`
  if (!(await isThere(home.indexPath(name)))) {
    add(subject, 'note', 'is not there; the next start builds it')
    return
  }
  if (damaged.has(formatIdent(definition.ident))) {
    add(subject, 'note', 'was not compared with the table, which cannot be read')
    return
  }
  const state = await examineIndex({ session, io: reader.io }, table, definition, home.indexPath(name))
  switch (state.kind) {
    case 'agrees':
      return add(subject, 'ok', 'agrees with the table')
    case 'behind':
      return add(subject, 'note', 'describes another snapshot; the next start catches up')
    case 'unusable':
      return add(subject, 'problem', `${home.indexPath(name)} ${state.why}; ${REPAIR} builds it anew`)
  }
}

/** True when everything in the objects log has been passed on. */
function examineState({ home, logs, tables, definitions }: Owned, versions: VersionStore, add: Add): boolean {
  const log = logs.get('objects')
  if (log === null) return false
  const { start, end } = log ?? { start: 0, end: 0 }
  const { applied, emitted } = versions
  const journal = definitions.get('journal')
  const held = journal === undefined ? undefined : tables.get(formatIdent(journal.ident))
  const trouble = stateTrouble({
    applied,
    start,
    end,
    journalHeld: held === undefined ? 0 : committedOffset(held.metadata, 'journal'),
  })
  if (trouble !== null) {
    add('state', 'problem', `${home.statePath('objects.db')} ${trouble}; ${REPAIR} mends it`)
    return false
  }
  const { objects, markers, absent } = versions.counts()
  const waiting = end - Math.max(emitted, start)
  add('state', 'ok', `${objects} objects, ${markers} delete markers, ${absent} versions that are gone`)
  if (waiting > 0) add('log objects', 'note', `${waiting} events wait to be passed on by the next run`)
  return waiting === 0
}

/** What is known of objects and what the tables hold of them. */
async function examineAgreement(
  { reader, session, tables, damaged, definitions }: Owned,
  versions: VersionStore,
  add: Add,
): Promise<void> {
  const table = (name: string) => {
    const definition = definitions.get(name)
    const found = definition === undefined ? '' : formatIdent(definition.ident)
    return damaged.has(found) ? undefined : tables.get(found)
  }
  const [journal, inventory, content] = [table('journal'), table('inventory'), table('content')]
  if (journal === undefined || inventory === undefined || content === undefined) return
  const counts = { known: 0, unknown: 0 }
  let first = ''
  for await (const page of differences({ session, io: reader.io, versions, journal, inventory, content })) {
    for (const { known, bucket, key, versionId } of page) {
      if (known) counts.known++
      else counts.unknown++
      if (first === '') first = `${bucket}/${key}@${versionId}`
    }
  }
  if (counts.unknown > 0)
    add(
      'objects',
      'note',
      `${counts.unknown} object versions in the tables were never told of here, the first may be ${first}`,
    )
  if (counts.known > 0) {
    add(
      'objects',
      'problem',
      `the tables say something else of ${counts.known} object versions than is known, the first is ${first}; ${REPAIR} passes them on again, unless the tables refused them (tidewater deadletter list)`,
    )
  } else if (counts.unknown === 0) add('objects', 'ok', 'the tables hold what is known of every object version')
}

function isThere(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  )
}

/** Files in a folder and those below it; 0 when it is not there. */
export async function filesIn(dir: string): Promise<number> {
  const names = await readdir(dir, { recursive: true }).catch(() => [])
  const stats = await Promise.all(names.map((name) => stat(path.join(dir, name)).catch(() => null)))
  return stats.filter((each) => each?.isFile() === true).length
}
