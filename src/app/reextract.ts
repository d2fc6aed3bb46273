/**
 * Content rows made anew by the extractors of now: chosen by SQL over the table, or by the versions that made them.
 *
 * The rows are gone through in the order of their keys, a page of them at a time, while the engine follows its logs or stands still.
 * How far a run has come stands in `state/reextract.json` after each few rows. A run of the same choice goes on there: rows behind
 * that place may have been passed on and not be committed yet, and are not read twice for it.
 *
 * Invariant: the file names a place only when every row before it is durable in the content log, or was told as one that could not
 * be read. Crash story: the rows since the last place are made again, with the same result.
 */
import { readFile, rm } from 'node:fs/promises'
import path from 'node:path'
import { must } from '../base/assert.ts'
import { Fault, systemCode } from '../base/fault.ts'
import { sha256Hex } from '../base/hash.ts'
import { type Json, parseJson } from '../base/json.ts'
import { limits } from '../base/limits.ts'
import { formatIdent } from '../iceberg/catalog/catalog.ts'
import type { QuerySession } from '../query/query.ts'
import type { KeptFacts } from '../service/objects/redo.ts'
import { behindSql, chosenSql, type RedoChoice, staleSql } from '../service/objects/stale-rows.ts'
import type { VersionNames } from '../service/objects/version-store.ts'
import { openFileStore } from '../store/file.ts'
import type { Store } from '../store/store.ts'
import type { Engine } from './engine.ts'
import { objectTables } from './object-tables.ts'
import { openSql } from './sql.ts'

export interface ReextractRequest extends RedoChoice {
  /** Only count the rows. */
  dryRun?: boolean | undefined
  /** Forget how far an earlier run of the same choice has come. */
  restart?: boolean | undefined
}

export interface ReextractCounts {
  /** Rows made anew. */
  done: number
  /** Those of them in which an extractor failed: the row says which, and a dead letter. */
  faults: number
  /** Rows whose object could not be read: they stay as they were. */
  unread: number
  /** Rows whose object is gone or was replaced meanwhile: its own event makes its row. */
  overtaken: number
}

export interface ReextractPart extends ReextractCounts {
  /** Rows that the run is about: counted when it began. */
  rows: number
  /** Rows that it has gone past, in earlier parts and runs too. */
  passed: number
  /** Nothing is left. */
  isDone: boolean
  /** Some of the rows that could not be read in this part, and why. */
  examples: { subject: string; message: string }[]
}

interface Place {
  /** What is chosen, and by what versions: of another choice the place says nothing. */
  choice: string
  after: VersionNames | null
  rows: number
  passed: number
}

interface Page {
  choice: string
  rows: { version: VersionNames; kept?: KeptFacts }[]
  /** No row is behind this page. */
  isLast: boolean
}

const FILE = 'reextract.json'
/** The metadata of all rows may have to be looked at for one page of them. */
const BOUNDS = { timeMs: limits.reextractStatementMs }
const EXAMPLES_MAX = 5
const running = new WeakSet<Engine>()
const pages = new WeakMap<Engine, Page>()

/**
 * The next part of a run: a bounded number of rows, or a bounded time.
 * @throws Fault `invalid` (condition), `not-found` (extractor), `conflict` (another run is under way)
 */
export async function reextractPart(engine: Engine, request: ReextractRequest): Promise<ReextractPart> {
  if (running.has(engine))
    throw new Fault('conflict', 'rows are being made anew already; ask again when that is done, or end it there')
  running.add(engine)
  try {
    const session = await openSql(engine, undefined, BOUNDS)
    try {
      return await new Run(engine, session, await openFileStore({ root: engine.home.stateDir }), request).part()
    } finally {
      await session.close()
    }
  } finally {
    running.delete(engine)
  }
}

/** All rows that are chosen, by a process that holds the home; in between `signal` ends it, and the next run goes on there. */
export async function reextractAll(
  engine: Engine,
  request: ReextractRequest,
  onPart: (sum: ReextractPart) => void,
  signal?: AbortSignal,
): Promise<ReextractPart> {
  // What an interrupted run left in the logs comes first.
  await engine.drain()
  let sum: ReextractPart | null = null
  do {
    const part = await reextractPart(engine, { ...request, restart: request.restart === true && sum === null })
    sum = sum === null ? part : addedTo(sum, part)
    onPart(sum)
  } while (!sum.isDone && signal?.aborted !== true)
  await engine.drain()
  return sum
}

/** Counts of a run's parts together. */
export function addedTo(sum: ReextractPart, part: ReextractPart): ReextractPart {
  return {
    rows: part.rows,
    passed: part.passed,
    done: sum.done + part.done,
    faults: sum.faults + part.faults,
    unread: sum.unread + part.unread,
    overtaken: sum.overtaken + part.overtaken,
    isDone: part.isDone,
    examples: [...sum.examples, ...part.examples].slice(0, EXAMPLES_MAX),
  }
}

class Run {
  readonly #engine: Engine
  readonly #session: QuerySession
  readonly #state: Store
  readonly #request: ReextractRequest
  readonly #where: string
  readonly #choice: string
  readonly #hasRaw: boolean
  readonly #counts: ReextractCounts = { done: 0, faults: 0, unread: 0, overtaken: 0 }
  readonly #examples: ReextractPart['examples'] = []

  constructor(engine: Engine, session: QuerySession, state: Store, request: ReextractRequest) {
    this.#engine = engine
    this.#session = session
    this.#state = state
    this.#request = request
    const { extractors } = engine.buckets
    this.#hasRaw = engine.config.objects.content.includeRawMetadata
    if (!this.#hasRaw && (request.where === undefined || request.extractor !== undefined))
      throw new Fault(
        'invalid',
        'the rows do not say what made them, since raw metadata is not kept (objects.content.includeRawMetadata): choose rows by --where alone, e.g. --where true',
      )
    this.#where = chosenSql(request, extractors)
    this.#choice = sha256Hex(JSON.stringify([request.where, request.extractor, extractors])).slice(0, 32)
  }

  async part(): Promise<ReextractPart> {
    if (this.#request.dryRun === true) {
      return this.#report({ choice: this.#choice, after: null, rows: await this.#count(this.#where), passed: 0 }, true)
    }
    let place = await this.#begin()
    const untilMs = performance.now() + limits.reextractPartMs
    for (let left: number = limits.reextractPartRows; left > 0 && performance.now() < untilMs; ) {
      const page = await this.#page(place)
      const rows = page.rows.splice(0, limits.reextractAtOnce)
      const last = rows.at(-1)
      if (last === undefined) {
        await rm(this.#file, { force: true })
        pages.delete(this.#engine)
        return this.#report(place, true)
      }
      await Promise.all(rows.map(({ version, kept }) => this.#redo(version, kept)))
      place = { ...place, after: last.version, passed: place.passed + rows.length }
      await this.#save(place)
      left -= rows.length
      await this.#waitForCommits()
    }
    return this.#report(place, false)
  }

  /** Where an earlier run of the same choice ended, or before all rows. */
  async #begin(): Promise<Place> {
    if (this.#request.restart !== true) {
      const found = await readPlace(this.#file)
      if (found?.choice === this.#choice) return found
    }
    pages.delete(this.#engine)
    const place = { choice: this.#choice, after: null, rows: await this.#count(this.#where), passed: 0 }
    await this.#save(place)
    return place
  }

  async #redo(version: VersionNames, kept: KeptFacts | undefined): Promise<void> {
    const redone = await this.#engine.objects.redo(version, { kept })
    switch (redone.kind) {
      case 'done':
        this.#counts.done++
        if (redone.letters.length > 0) this.#counts.faults++
        return
      case 'unread':
        this.#counts.unread++
        if (this.#examples.length < EXAMPLES_MAX) {
          const { bucket, key, versionId } = version
          this.#examples.push({ subject: `${bucket}/${key}@${versionId}`, message: redone.message })
        }
        return
      case 'gone':
      case 'overtaken':
        this.#counts.overtaken++
        return
    }
  }

  /** The rows at hand, or the next of them. */
  async #page({ after }: Place): Promise<Page> {
    const known = pages.get(this.#engine)
    if (known?.choice === this.#choice && (known.rows.length > 0 || known.isLast)) return known
    const keys = '"bucket", "key", "versionId"'
    // Members that cost much to make: few and small.
    const kept = this.#hasRaw
      ? `, "etag", "sequencer", json_object('facts', json_object(${KEPT.map((name) => `'${name}', json_extract(metadata, '$.${name}')`).join(', ')}), 'extractors', json_extract(metadata, '$._extractors'))`
      : ''
    const { rows } = await this.#session.run(
      `SELECT ${keys}${kept} FROM ${this.#table} WHERE ${this.#where} AND ${behindSql(after)} ORDER BY ${keys} LIMIT ${limits.reextractPageRows}`,
    )
    const page: Page = {
      choice: this.#choice,
      isLast: rows.length < limits.reextractPageRows,
      rows: rows.map(([bucket, key, versionId, etag, sequencer, json]) => ({
        version: { bucket: String(bucket), key: String(key), versionId: String(versionId) },
        ...(typeof json === 'string' ? { kept: keptOf(etag ?? null, sequencer ?? null, json) } : {}),
      })),
    }
    pages.set(this.#engine, page)
    return page
  }

  async #count(where: string): Promise<number> {
    const { rows } = await this.#session.run(`SELECT count(*) FROM ${this.#table} WHERE ${where}`)
    return Number(rows[0]?.[0] ?? 0)
  }

  /** Rows wait in the log for their commit; that must not grow without end. */
  async #waitForCommits(): Promise<void> {
    const log = must(this.#engine.logs.get('content'), 'the content log')
    const feed = must(this.#engine.feeds.get('content'), 'the feed of the content table')
    if (log.end - feed.position >= limits.reextractWaitingMax) await feed.drain()
  }

  #report(place: Place, isDone: boolean): ReextractPart {
    return { rows: place.rows, passed: place.passed, ...this.#counts, isDone, examples: this.#examples }
  }

  get #table(): string {
    return formatIdent(objectTables(this.#engine.config).content.ident)
  }

  get #file(): string {
    return path.join(this.#engine.home.stateDir, FILE)
  }

  async #save(place: Place): Promise<void> {
    await this.#state.put(FILE, Buffer.from(`${JSON.stringify(place)}\n`))
  }
}

/** How many rows older versions have made, by extractor; for telling what a run would be about. */
export async function countStale(engine: Engine): Promise<Record<string, number>> {
  const { extractors } = engine.buckets
  const session = await openSql(engine, undefined, BOUNDS)
  try {
    const counts = extractors.map((each) => `count(*) FILTER (${staleSql([each])})`)
    const table = formatIdent(objectTables(engine.config).content.ident)
    const { rows } = await session.run(`SELECT ${counts.join(', ')} FROM ${table}`)
    return Object.fromEntries(extractors.map(({ name }, at) => [name, Number(rows[0]?.[at] ?? 0)]))
  } finally {
    await session.close()
  }
}

/** Members of the metadata that are not made anew when that costs money. */
const KEPT = ['labels', 'label_model'] as const

function keptOf(etag: unknown, sequencer: unknown, json: string): KeptFacts {
  const { facts, extractors } = parseJson(json) as { facts: { [member: string]: Json }; extractors: Json }
  return {
    etag: etag === null ? null : String(etag),
    sequencer: sequencer === null ? null : String(sequencer),
    facts: Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== null)),
    extractors: (typeof extractors === 'object' && extractors !== null ? extractors : {}) as Record<string, number>,
  }
}

async function readPlace(file: string): Promise<Place | null> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Place
  } catch (error) {
    // Of a place that cannot be read, the rows are gone through from the first.
    if (systemCode(error) === 'ENOENT' || error instanceof SyntaxError) return null
    throw new Fault('unavailable', `${file} cannot be read`, { path: file }, error)
  }
}
