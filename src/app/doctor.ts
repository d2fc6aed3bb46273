/**
 * Looks at a home and says what it finds: what is installed, where state is, whether tables, indexes and logs agree.
 * Reads only.
 */
import { access, statfs } from 'node:fs/promises'
import { isFault, messageOf } from '../base/fault.ts'
import { type Catalog, formatIdent, type LoadedTable } from '../iceberg/catalog/catalog.ts'
import type { FileIO } from '../iceberg/file/file.ts'
import { planScan } from '../iceberg/scan/plan.ts'
import { catchUp, compareIndex } from '../table/index-upkeep.ts'
import type { Config } from './config.ts'
import { type Engine, openEngine } from './engine.ts'
import type { Home } from './home.ts'
import { openReader } from './reader.ts'

export interface Finding {
  subject: string
  /** `note`: for information. `problem`: something disagrees or is damaged. */
  level: 'ok' | 'note' | 'problem'
  message: string
}

const DISK_FREE_MIN_BYTES = 1024 ** 3

export async function examine(home: Home, config: Config, configDir: string): Promise<Finding[]> {
  const findings: Finding[] = [{ subject: 'node', level: 'ok', message: process.version }]
  const add = (subject: string, level: Finding['level'], message: string) => findings.push({ subject, level, message })
  if (
    await access(home.catalogPath).then(
      () => false,
      () => true,
    )
  ) {
    add('home', 'note', `${home.dir} holds no tables yet; tidewater quickstart or tidewater ingest makes them`)
    return findings
  }
  const disk = await statfs(home.dir)
  const freeBytes = disk.bavail * disk.bsize
  add(
    'home',
    freeBytes < DISK_FREE_MIN_BYTES ? 'problem' : 'ok',
    `${home.dir}, ${Math.round(freeBytes / 1024 ** 2)} MiB free`,
  )
  try {
    const engine = await openEngine({ home, config, configDir })
    try {
      findings.push({ subject: 'duckdb', level: 'ok', message: await duckVersion(engine) })
      findings.push(...(await examineTables(engine.catalog, engine.io)), ...(await examineFeeds(engine)))
    } finally {
      await engine.close()
    }
  } catch (error) {
    if (isFault(error, 'conflict')) {
      add('logs', 'note', `${error.message}; looked only at the tables`)
      const reader = await openReader(home, config)
      findings.push(...(await examineTables(reader.catalog, reader.io)))
      await reader.close()
    } else add('logs', 'problem', messageOf(error))
  }
  return findings
}

async function duckVersion(engine: Engine): Promise<string> {
  const session = await engine.duck.connect()
  const version = await session.value('SELECT version()')
  session.close()
  return String(version)
}

/** Every file that the current snapshot needs is there with its length. */
async function examineTables(catalog: Catalog, io: FileIO): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const namespace of await catalog.listNamespaces()) {
    for (const ident of await catalog.listTables(namespace)) {
      findings.push(
        await examineTable(io, await catalog.load(ident)).catch(
          (error: unknown): Finding => ({ subject: formatIdent(ident), level: 'problem', message: messageOf(error) }),
        ),
      )
    }
  }
  return findings
}

async function examineTable(io: FileIO, table: LoadedTable): Promise<Finding> {
  const subject = formatIdent(table.ident)
  const { tasks } = await planScan(io, table.metadata)
  const files = [
    ...new Set(tasks.flatMap((task) => [task.file.filePath, ...task.deletes.map((file) => file.filePath)])),
  ]
  const missing: string[] = []
  for (const file of files) if (!(await io.exists(file))) missing.push(file)
  if (missing.length > 0)
    return {
      subject,
      level: 'problem',
      message: `${missing.length} of ${files.length} files are missing, the first is ${missing[0]}`,
    }
  return { subject, level: 'ok', message: `${files.length} files, ${table.metadata.snapshots.length} snapshots` }
}

async function examineFeeds(engine: Engine): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const [name, feed] of engine.feeds) {
    const writer = engine.writers.get(name)
    const log = engine.logs.get(name)
    if (writer === undefined || log === undefined) continue
    const behind = log.end - feed.position
    findings.push({
      subject: `log ${name}`,
      level: behind > 0 ? 'note' : 'ok',
      message:
        behind > 0 ? `${behind} entries wait to be committed to ${writer.name}` : `committed up to offset ${log.end}`,
    })
    if (writer.indexContext === null) continue
    const table = await writer.load()
    await catchUp(writer.indexContext, table)
    const { missing, extra } = await compareIndex(writer.indexContext, table)
    findings.push(
      missing + extra === 0
        ? { subject: `index ${name}`, level: 'ok', message: 'agrees with the table' }
        : {
            subject: `index ${name}`,
            level: 'problem',
            message: `${missing} rows of ${writer.name} are missing and ${extra} are too many; delete ${name}.duckdb in the index folder to have it built anew`,
          },
    )
  }
  return findings
}
