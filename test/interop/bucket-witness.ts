/**
 * A reader of the tables that looks all the time while they are written, and what must hold of each look and from one to the next.
 *
 * Tables that follow a bucket may be behind it. They must never say what was never so. At every look, of every key:
 * - each version has been made by the store, under this etag, and a marker is a marker;
 * - at most one version is current, and it is the newest of those that are shown, or none is where that is a marker (where nothing
 *   that was told got lost);
 * - a row of content has the facts of the bytes with its etag, and this version had these bytes;
 * and from one look to the next:
 * - a version goes only after its deletion was begun, and does not come back;
 * - of an object without versions nothing older is shown again, as far as it was not written in the same second.
 */
import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { parseConfig } from '../../src/app/config.ts'
import { homeAt } from '../../src/app/home.ts'
import { openReader, type Reader } from '../../src/app/reader.ts'
import { openSql } from '../../src/app/sql.ts'
import { isFault } from '../../src/base/fault.ts'
import { NULL_VERSION } from '../../src/change/object-event.ts'
import { type SqlRow, TABLES } from '../support/engine-bench.ts'
import type { BucketWriters, KeyHistory, MadeVersion } from './bucket-writers.ts'

const PAUSE_MS = 200
const LOOKS_MAX = 5_000

interface SeenVersion {
  versionId: string
  /** Null: a delete marker. */
  etag: string | null
  isCurrent: boolean
}

interface SeenContent {
  versionId: string
  etag: string
  width: number | null
}

export interface Look {
  /** When it was over. */
  endMs: number
  /** By `bucket/key`. */
  versions: Map<string, SeenVersion[]>
  content: Map<string, SeenContent[]>
}

const LOOK_SQL = `SELECT i."bucket" || '/' || i.key AS name, i.version_id, i.is_delete_marker, i.e_tag,
    coalesce(v.is_current, false) AS is_current
  FROM ${TABLES.inventory} i LEFT JOIN s3_metadata_coalesced v
    ON v."bucket" = i."bucket" AND v.key = i.key AND v.version_id = i.version_id
  ORDER BY name, i.version_id`
const CONTENT_SQL = `SELECT "bucket" || '/' || key AS name, versionId AS version_id, etag, image_width::INT AS width FROM ${TABLES.content}`

/** A home that others write, as one who only reads it. */
export class HomeReader {
  readonly #reader: Reader

  private constructor(reader: Reader) {
    this.#reader = reader
  }

  static async open(home: string): Promise<HomeReader> {
    const config = parseConfig({ limits: { memoryMiB: 256, threads: 1 } }, 'the reader')
    return new HomeReader(await openReader(homeAt(home), config))
  }

  async sql(statement: string): Promise<SqlRow[]> {
    const session = await openSql(this.#reader)
    try {
      const { columns, rows } = await session.run(statement)
      return rows.map((row) => Object.fromEntries(columns.map(({ name }, at) => [name, row[at] ?? null])))
    } finally {
      await session.close()
    }
  }

  close(): Promise<void> {
    return this.#reader.close()
  }
}

export class Witness {
  readonly looks: Look[] = []
  readonly #reader: HomeReader
  readonly #ended: Promise<void>
  #stopped = false

  constructor(reader: HomeReader) {
    this.#reader = reader
    this.#ended = this.#watch()
    this.#ended.catch(() => undefined)
  }

  /** @throws what kept it from looking */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#ended
  }

  async #watch(): Promise<void> {
    while (!this.#stopped && this.looks.length < LOOKS_MAX) {
      await this.look()
      await delay(PAUSE_MS)
    }
  }

  async look(): Promise<void> {
    try {
      const rows = await this.#reader.sql(LOOK_SQL)
      const content = await this.#reader.sql(CONTENT_SQL)
      this.looks.push({
        endMs: Date.now(),
        versions: byName(rows, (row) => ({
          versionId: String(row['version_id']),
          etag: row['is_delete_marker'] === true ? null : String(row['e_tag']),
          isCurrent: row['is_current'] === true,
        })),
        content: byName(content, (row) => ({
          versionId: String(row['version_id']),
          etag: String(row['etag']),
          width: row['width'] === null ? null : Number(row['width']),
        })),
      })
    } catch (error) {
      // Before the first commit there are no tables.
      if (this.looks.length > 0 || !isFault(error, 'not-found')) throw error
    }
  }
}

/** Looks as they would be if the tables were wrong in one way each: every one must be found out. */
export function wrongLooks(looks: readonly Look[]): { what: string; looks: Look[] }[] {
  const last = looks.at(-1)!
  const versions = [...last.versions].map(([name, seen]): [string, SeenVersion[]] => {
    const at = seen.findIndex(({ isCurrent }) => isCurrent)
    return [name, seen.map((one, place) => ({ ...one, isCurrent: at >= 0 && place === (at + 1) % seen.length }))]
  })
  const twice = [...last.versions].map(([name, seen]): [string, SeenVersion[]] => [
    name,
    seen.map((one) => ({ ...one, isCurrent: one.etag !== null })),
  ])
  const content = [...last.content].map(([name, rows]): [string, SeenContent[]] => [
    name,
    rows.map((row) => ({ ...row, width: (row.width ?? 0) + 1 })),
  ])
  const half = looks[looks.length >> 1]!
  return [
    { what: 'another version is current', looks: [...looks, { ...last, versions: new Map(versions) }] },
    { what: 'every version is current', looks: [...looks, { ...last, versions: new Map(twice) }] },
    { what: 'facts are of other bytes', looks: [...looks, { ...last, content: new Map(content) }] },
    { what: 'what was there before is there again', looks: [...looks, { ...half, endMs: last.endMs }] },
    { what: 'nothing is there any more', looks: [...looks, { ...last, versions: new Map() }] },
  ]
}

/**
 * @param orders of keys that many write: version ids in the order in which the store has them, oldest first
 * @returns how many keys were looked at, all looks together, and how many of them showed something new
 */
export function checkLooks(
  looks: readonly Look[],
  writers: BucketWriters,
  orders: ReadonlyMap<string, readonly string[]>,
): { keys: number; changes: number } {
  const counts = { keys: 0, changes: 0 }
  const before = new Map<string, SeenVersion[]>()
  const gone = new Map<string, Set<string>>()
  for (const [at, look] of looks.entries()) {
    const about = (name: string) => `look ${at + 1} of ${looks.length}, ${name}`
    for (const [name, history] of writers.histories) {
      const seen = look.versions.get(name) ?? []
      const last = before.get(name) ?? []
      counts.keys++
      if (JSON.stringify(seen) !== JSON.stringify(last)) counts.changes++
      const left = gone.get(name) ?? new Set()
      gone.set(name, left)
      if (history.bucket.isVersioned) {
        checkVersions(history, seen, orders.get(name), about(name))
        checkGone(history, { last, seen, left, endMs: look.endMs }, about(name))
      } else checkObject(history, last, seen, about(name))
      // What was shown of an object counts also after it was shown to be gone.
      before.set(name, seen.length > 0 || history.bucket.isVersioned ? seen : last)
    }
    for (const name of look.versions.keys()) assert.ok(writers.histories.has(name), `${about(name)}: nobody wrote it`)
    for (const [name, rows] of look.content) checkContent(writers, name, rows, about(name))
  }
  return counts
}

function checkVersions(
  { bucket, versions }: KeyHistory,
  seen: readonly SeenVersion[],
  order: readonly string[] | undefined,
  about: string,
): void {
  const made = new Map(versions.map((version) => [version.versionId, version]))
  const placeOf = ({ versionId, at }: MadeVersion) => (order === undefined ? at : order.indexOf(versionId))
  let newest: MadeVersion | null = null
  for (const { versionId, etag } of seen) {
    const version = made.get(versionId)
    assert.ok(version !== undefined, `${about}: no version ${versionId} was made`)
    assert.equal(etag, version.etag, `${about}: version ${versionId}`)
    if (newest === null || placeOf(version) > placeOf(newest)) newest = version
  }
  const current = seen.filter(({ isCurrent }) => isCurrent).map(({ versionId }) => versionId)
  // MinIO tells the removal of a marker as it tells the laying of one: where the first of the two is lost, the second is taken for it.
  if (!bucket.isToldWhole) {
    assert.ok(current.length <= 1, `${about}: ${current.length} are current`)
    for (const versionId of current) assert.notEqual(made.get(versionId)!.etag, null, `${about}: a marker is current`)
    return
  }
  const expected = newest === null || newest.etag === null ? [] : [newest.versionId]
  assert.deepEqual(current, expected, `${about}: what is current of ${JSON.stringify(seen)}`)
}

function checkGone(
  { versions }: KeyHistory,
  now: { last: readonly SeenVersion[]; seen: readonly SeenVersion[]; left: Set<string>; endMs: number },
  about: string,
): void {
  const { last, seen, left, endMs } = now
  const shown = new Set(seen.map(({ versionId }) => versionId))
  for (const versionId of shown) assert.ok(!left.has(versionId), `${about}: ${versionId} came back`)
  for (const { versionId } of last) {
    if (shown.has(versionId)) continue
    const { goneFromMs } = versions.find((version) => version.versionId === versionId)!
    assert.ok(goneFromMs !== null && goneFromMs <= endMs, `${about}: ${versionId} went, and nobody deleted it`)
    left.add(versionId)
  }
}

function checkObject(
  { versions, isShared }: KeyHistory,
  last: readonly SeenVersion[],
  seen: readonly SeenVersion[],
  about: string,
): void {
  assert.ok(seen.length <= 1, `${about}: one object at most`)
  const [now] = seen
  if (now === undefined) return
  assert.equal(now.versionId, NULL_VERSION, about)
  assert.ok(now.isCurrent, `${about}: the only version is current`)
  const place = versions.findIndex(({ etag }) => etag === now.etag)
  assert.ok(place >= 0, `${about}: it never had the etag ${now.etag}`)
  const [then] = last
  // In which order the store took those of many writers nobody was told.
  if (isShared || then === undefined) return
  const was = versions.findIndex(({ etag }) => etag === then.etag)
  // Of an object without versions a comparison hears the second: what is told later of another write in it may be shown between.
  const isSameSecond = versions[place]!.endedMs >= Math.floor(versions[was]!.beganMs / 1000) * 1000
  assert.ok(
    place >= was || isSameSecond,
    `${about}: ${now.etag} was written before ${then.etag}, which was shown already`,
  )
}

function checkContent(writers: BucketWriters, name: string, rows: readonly SeenContent[], about: string): void {
  const versions = writers.histories.get(name)?.versions ?? []
  for (const { versionId, etag, width } of rows) {
    const had = versions.some((version) => version.versionId === versionId && version.etag === etag)
    assert.ok(had, `${about}: version ${versionId} never had the etag ${etag}`)
    // Null: it was gone, or another, before it could be read.
    if (width !== null) assert.equal(width, writers.widths.get(etag), `${about}: facts of other bytes under ${etag}`)
  }
}

function byName<T>(rows: readonly SqlRow[], read: (row: SqlRow) => T): Map<string, T[]> {
  const found = new Map<string, T[]>()
  for (const row of rows) {
    const name = String(row['name'])
    const list = found.get(name) ?? []
    list.push(read(row))
    found.set(name, list)
  }
  return found
}
