/**
 * The id of an event that came without one: a UUID made of its content, so that the same event sent again has the same id and a
 * unique key can be told. Two events are the same when all that is taken into account is: give them a time, or a number. Pure.
 */
import { createHash } from 'node:crypto'
import { NumberText, type RecordObject, type RecordValue } from '../record.ts'

/**
 * SHA-256 as a UUID of version 8. The order of members and the blanks between them do not matter; numbers count as they stand
 * in the text.
 * @param fields members that count; undefined: all
 * @param client whose event it is: equal events of two clients are two
 */
export function mintEventId(record: RecordObject, fields: readonly string[] | undefined, client: RecordValue): string {
  const names = fields ?? Object.keys(record).toSorted()
  const content = names.map((name) => [name, Object.hasOwn(record, name) ? canonical(record[name]!) : null])
  const hash = createHash('sha256')
    .update(JSON.stringify([canonical(client), content]))
    .digest()
  hash[6] = (hash[6]! & 0x0f) | 0x80
  hash[8] = (hash[8]! & 0x3f) | 0x80
  return hash.toString('hex', 0, 16).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

/** Tells values of each kind apart, `1` and `"1"` too. */
function canonical(value: RecordValue): unknown {
  if (value instanceof NumberText) return { n: value.text }
  if (Array.isArray(value)) return value.map(canonical)
  if (typeof value !== 'object' || value === null) return value
  return {
    o: Object.keys(value)
      .toSorted()
      .map((name) => [name, canonical(value[name]!)]),
  }
}
