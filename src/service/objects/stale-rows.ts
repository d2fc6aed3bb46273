/** Which content rows are to be made anew, as SQL over the content table. Pure. */
import { Fault } from '../../base/fault.ts'
import type { VersionNames } from './version-store.ts'

export interface RedoChoice {
  /** SQL condition over the columns of the content table. */
  where?: string | undefined
  /** Only rows that the present version of this extractor has not made. */
  extractor?: string | undefined
}

type Versions = readonly { name: string; version: number }[]

/**
 * - no choice: rows made by an older version of any extractor that applied to them, and rows that do not say what made them
 * - `extractor`: rows that its present version has not made, those that it never applied to among them
 * - `where`: the rows that it chooses, whatever made them; with `extractor` both must hold
 * @throws Fault `not-found` for an extractor that there is not
 */
export function chosenSql({ where, extractor }: RedoChoice, extractors: Versions): string {
  const chosen = extractors.filter(({ name }) => extractor === undefined || name === extractor)
  if (chosen.length === 0) {
    const names = extractors.map(({ name }) => name).join(', ')
    throw new Fault('not-found', `--extractor: there is no extractor "${extractor}"; there are ${names}`)
  }
  // On a line of its own: it may end in a comment.
  const conditions = where === undefined ? [] : [`(${where}\n)`]
  if (extractor !== undefined) {
    const version = versionSql(extractor)
    conditions.push(`(${version} IS NULL OR ${version} < ${chosen[0]?.version})`)
  } else if (where === undefined) conditions.push(staleSql(extractors))
  return conditions.join(' AND ')
}

/** Rows that an older version of an extractor has made, or that do not say what made them. */
export function staleSql(extractors: Versions): string {
  const older = extractors.map(({ name, version }) => `${versionSql(name)} < ${version}`)
  return `(json_extract(metadata, '$._extractors') IS NULL OR ${older.join(' OR ')})`
}

/** Names are of a-z, 0-9 and dashes. */
function versionSql(name: string): string {
  return `TRY_CAST(json_extract_string(metadata, '$._extractors."${name}"') AS BIGINT)`
}

/** Rows behind one, in the order of their keys. */
export function behindSql(after: VersionNames | null): string {
  if (after === null) return 'true'
  const { bucket, key, versionId } = after
  return `("bucket", "key", "versionId") > (${[bucket, key, versionId].map(textSql).join(', ')}) AND "bucket" >= ${textSql(bucket)}`
}

function textSql(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}
