/** The tables of `state/streams.db`. */
import type { DatabaseSync } from 'node:sqlite'

export const MEMORY_LAYOUT = 2

const CREATE = `
CREATE TABLE IF NOT EXISTS definitions (name TEXT PRIMARY KEY, definition TEXT NOT NULL, created_ms INTEGER NOT NULL) STRICT;
CREATE TABLE notes (stream TEXT PRIMARY KEY, version INTEGER NOT NULL, paused INTEGER NOT NULL, tags TEXT NOT NULL) STRICT;
CREATE TABLE destinations (stream TEXT NOT NULL, name TEXT NOT NULL, settings TEXT NOT NULL, PRIMARY KEY (stream, name)) STRICT, WITHOUT ROWID;
CREATE TABLE age (id INTEGER PRIMARY KEY CHECK (id = 1), running_ms INTEGER NOT NULL) STRICT;
CREATE TABLE streams (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, applied INTEGER NOT NULL) STRICT;
PRAGMA user_version = ${MEMORY_LAYOUT};
`

/** Layout 1 remembered the last 100,000 requests in other tables. What the log still holds of them is read from there again. */
const FROM_1 = 'DROP TABLE applied; DROP TABLE producers; DROP TABLE requests;'

/**
 * The tables of one stream. Requests are in the order in which they came, with a small index: a day of them is some 100 bytes
 * each. `hash` is a part of `key`, which is SHA-256 of the key.
 */
export function createForStream(id: number): string {
  return `
CREATE TABLE IF NOT EXISTS producers_${id} (name TEXT PRIMARY KEY, epoch INTEGER NOT NULL, sequence INTEGER NOT NULL,
  seen INTEGER NOT NULL, run INTEGER NOT NULL, at_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS producers_${id}_at ON producers_${id} (at_ms);
CREATE TABLE IF NOT EXISTS requests_${id} (n INTEGER PRIMARY KEY, hash INTEGER NOT NULL, key BLOB NOT NULL, digest BLOB NOT NULL,
  seen INTEGER NOT NULL, at_ms INTEGER NOT NULL, count INTEGER NOT NULL, rest TEXT) STRICT;
CREATE INDEX IF NOT EXISTS requests_${id}_hash ON requests_${id} (hash);
CREATE TABLE IF NOT EXISTS letters_${id} (id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
`
}

export function dropForStream(id: number): string {
  return `DROP TABLE IF EXISTS producers_${id}; DROP TABLE IF EXISTS requests_${id}; DROP TABLE IF EXISTS letters_${id};`
}

/** Makes or changes the tables to this layout. @throws Error when they have one that is not known */
export function prepareLayout(db: DatabaseSync): void {
  const version = Number(db.prepare('PRAGMA user_version').get()?.['user_version'])
  if (version === MEMORY_LAYOUT) return
  if (version > 1) throw new Error(`expected layout ${MEMORY_LAYOUT}, got ${version}`)
  db.exec(`BEGIN; ${version === 1 ? FROM_1 : ''} ${CREATE} COMMIT`)
}
