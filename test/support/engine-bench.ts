/** The engine of a state folder in a temporary place, within this process: told events, stopped, opened again, asked. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { OpenBucket } from '../../src/app/buckets.ts'
import { type ConfigInput, parseConfig } from '../../src/app/config.ts'
import { type Engine, openEngine } from '../../src/app/engine.ts'
import { homeAt } from '../../src/app/home.ts'
import { type IngestCounts, ingestEvents } from '../../src/app/ingest.ts'
import { openSql } from '../../src/app/sql.ts'
import { md5Hex } from '../../src/base/hash.ts'
import { stringifyJson } from '../../src/base/json.ts'
import { NULL_VERSION, OBJECT_EVENT_VERSION, type ObjectEvent } from '../../src/change/object-event.ts'
import type { Cell } from '../../src/query/query.ts'

export type SqlRow = Record<string, Cell>

/** The three tables as sorted lines of JSON, every column. */
export interface TableLines {
  content: string[]
  journal: string[]
  inventory: string[]
}

export const TABLES = {
  content: 'default.s3_content_metadata',
  journal: 'aws_s3_metadata.mdblogs3metadata',
  inventory: 'aws_s3_metadata.inventory',
} as const

/** What the coalesced view says of each version, without what only the journal has. */
export const VERSIONS_SQL =
  'SELECT key, version_id, is_latest_version, is_current FROM s3_metadata_coalesced ORDER BY bucket, key, version_id'

export class EngineBench {
  readonly dir: string
  /** What the engine told of since it was opened last. */
  notices: string[] = []
  /** Opens buckets of object stores that the configuration names; used from the next start on. */
  openBucket: OpenBucket | null = null
  /** Are there recorded objects? Used from the next start on. */
  hasObjects = true
  #config: ConfigInput
  #engine: Engine | null = null

  private constructor(dir: string, config: ConfigInput) {
    this.dir = dir
    this.#config = config
  }

  /** Folders only: the engine is started by `restart`. */
  static async prepare(): Promise<EngineBench> {
    const bench = new EngineBench(await mkdtemp(path.join(tmpdir(), 'tidewater-engine-')), {})
    await mkdir(bench.objectsDir)
    return bench
  }

  /** With one extraction worker, unless the configuration says otherwise. */
  static async open(config: ConfigInput = {}): Promise<EngineBench> {
    return (await EngineBench.prepare()).restart(config)
  }

  get engine(): Engine {
    if (this.#engine === null) throw new Error('the engine is stopped')
    return this.#engine
  }

  /** Where recorded objects are: `<objectsDir>/<bucket>/<key>`. */
  get objectsDir(): string {
    return path.join(this.dir, 'objects')
  }

  async stop(): Promise<void> {
    const engine = this.#engine
    this.#engine = null
    await engine?.close()
  }

  /** Stops the engine as it stands, whatever is under way, and opens it again. */
  async restart(config: ConfigInput = this.#config): Promise<EngineBench> {
    await this.stop()
    this.#config = config
    const home = homeAt(path.join(this.dir, 'home'))
    const parsed = parseConfig({ ...config, objects: { workers: 1, ...config.objects } }, 'the configuration')
    this.notices = []
    const onNotice = (text: string) => void this.notices.push(text)
    const open = this.openBucket === null ? {} : { openBucket: this.openBucket }
    this.#engine = await openEngine({ home, config: parsed, configDir: this.dir, onNotice, ...open })
    if (this.hasObjects) this.#engine.buckets.attachObjects(this.objectsDir)
    return this
  }

  /** Removes a file of the state; the engine is stopped. */
  async removeState(name: string): Promise<void> {
    for (const end of ['', '-wal', '-shm'])
      await rm(path.join(this.dir, 'home', 'state', `${name}${end}`), { force: true })
  }

  /** Puts a recorded object; gives its etag and size as events tell them. */
  async putObject(
    bucket: string,
    key: string,
    bytes: Uint8Array | string,
    versionId: string = NULL_VERSION,
  ): Promise<{ etag: string; sizeBytes: number }> {
    const file = path.join(this.objectsDir, bucket, versionId === NULL_VERSION ? key : `${key}@${versionId}`)
    await mkdir(path.dirname(file), { recursive: true })
    await writeFile(file, bytes)
    return { etag: md5Hex(Buffer.from(bytes)), sizeBytes: Buffer.byteLength(bytes) }
  }

  /** Makes events durable and commits everything accepted so far. */
  async tell(...events: ObjectEvent[]): Promise<void> {
    await this.engine.objects.accept(events)
    await this.engine.drain()
  }

  /** Takes notifications, one document per line, as `tidewater ingest --events` does. */
  ingest(...documents: (string | object)[]): Promise<IngestCounts> {
    const lines = documents.map((document) => (typeof document === 'string' ? document : JSON.stringify(document)))
    return ingestEvents(this.engine, { input: bytesOf(`${lines.join('\n')}\n`), name: 'notifications' })
  }

  /** Rows of the last statement, by column name. */
  async sql(statements: string): Promise<SqlRow[]> {
    const session = await openSql(this.engine)
    try {
      const { columns, rows } = await session.run(statements)
      return rows.map((row) => Object.fromEntries(columns.map(({ name }, at) => [name, row[at] ?? null])))
    } finally {
      await session.close()
    }
  }

  /** All rows of the three tables; `where` chooses buckets. */
  async tables(where = 'true'): Promise<TableLines> {
    const lines = async (table: string) =>
      (await this.sql(`SELECT * FROM ${table} WHERE ${where}`)).map((row) => stringifyJson(sortedMembers(row))).sort()
    return {
      content: await lines(TABLES.content),
      journal: await lines(TABLES.journal),
      inventory: await lines(TABLES.inventory),
    }
  }

  async close(): Promise<void> {
    await this.stop().finally(() => rm(this.dir, { recursive: true, force: true }))
  }
}

/** A bench whose engine finds the buckets of object stores that the configuration names in these stores. */
export async function withBuckets(
  config: ConfigInput,
  openBucket: OpenBucket,
  work: (bench: EngineBench) => Promise<void>,
): Promise<void> {
  const bench = await EngineBench.prepare()
  try {
    bench.openBucket = openBucket
    await work(await bench.restart(config))
  } finally {
    await bench.close()
  }
}

/** A bench for `work`, removed afterwards. */
export async function withEngine(config: ConfigInput, work: (bench: EngineBench) => Promise<void>): Promise<void> {
  const bench = await EngineBench.open(config)
  try {
    await work(bench)
  } finally {
    await bench.close()
  }
}

/** An event with everything that tests seldom care for. */
export function eventOf(event: Partial<ObjectEvent> & Pick<ObjectEvent, 'kind' | 'key' | 'time'>): ObjectEvent {
  const names = {
    create: 'ObjectCreated:Put',
    delete: 'ObjectRemoved:Delete',
    marker: 'ObjectRemoved:DeleteMarkerCreated',
    update: 'ObjectTagging:Put',
  }
  return {
    v: OBJECT_EVENT_VERSION,
    source: 'aws:s3',
    name: names[event.kind],
    bucket: 'photos',
    versionId: NULL_VERSION,
    ...event,
  }
}

/** Members of objects in the order of their names: maps come in any order. */
function sortedMembers(cell: Cell): Cell {
  if (Array.isArray(cell)) return cell.map(sortedMembers)
  if (cell === null || typeof cell !== 'object') return cell
  const names = Object.keys(cell).sort()
  return Object.fromEntries(names.map((name) => [name, sortedMembers(cell[name] ?? null)]))
}

async function* bytesOf(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text)
}
