/** The streams that were made through the API, for a process that does not hold the home: read beside whoever does. */
import { existsSync } from 'node:fs'
import { Fault, messageOf } from '../../base/fault.ts'
import { DatabaseSync } from '../../base/sqlite.ts'
import { parseStream, type StreamDefinition } from './definition.ts'

const BUSY_MS = 5_000

/**
 * @param path of the file that `StreamMemory` keeps; no such file: no streams
 * @throws Fault `unavailable`
 */
export function storedStreams(path: string): StreamDefinition[] {
  if (!existsSync(path)) return []
  let rows: { name: string; definition: string }[]
  try {
    const db = new DatabaseSync(path, { readOnly: true, timeout: BUSY_MS })
    try {
      const found = db.prepare('SELECT name, definition FROM definitions ORDER BY name').all()
      rows = found.map((row) => ({ name: String(row['name']), definition: String(row['definition']) }))
    } finally {
      db.close()
    }
  } catch (error) {
    throw new Fault('unavailable', `cannot read the streams in ${path}: ${messageOf(error)}`, { path }, error)
  }
  return rows.map(({ name, definition }) => parseStream(name, JSON.parse(definition)))
}
