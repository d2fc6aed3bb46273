/** What a file's name says of it. Pure. */
import type { Packing } from './file-bytes.ts'
import type { FilesSettings } from './settings.ts'

export interface FileForm {
  format: 'ndjson' | 'csv' | 'parquet'
  packing: Packing
  /** Between the fields of CSV. */
  delimiter: string
}

const FORMATS: Readonly<Record<string, Pick<FileForm, 'format' | 'delimiter'>>> = {
  ndjson: { format: 'ndjson', delimiter: ',' },
  jsonl: { format: 'ndjson', delimiter: ',' },
  json: { format: 'ndjson', delimiter: ',' },
  csv: { format: 'csv', delimiter: ',' },
  tsv: { format: 'csv', delimiter: '\t' },
  parquet: { format: 'parquet', delimiter: ',' },
}

/** Names that writers give a file until it is whole. */
const UNFINISHED = /(^|\/)\.|(~|\.(tmp|temp|part|partial|crdownload|swp|lock))$/i

/** Null for a file that is not to be taken. */
export function formOf(path: string, settings: Pick<FilesSettings, 'format' | 'match' | 'csv'>): FileForm | null {
  if (UNFINISHED.test(path)) return null
  const name = path.slice(path.lastIndexOf('/') + 1)
  if (settings.match !== undefined && !settings.match.some((pattern) => matches(pattern, name))) return null
  const [, packed] = /\.(gz|zst)$/i.exec(name) ?? []
  const bare = packed === undefined ? name : name.slice(0, -packed.length - 1)
  const known = FORMATS[/\.([a-z]+)$/i.exec(bare)?.[1]?.toLowerCase() ?? '']
  const format = settings.format ?? known?.format
  if (format === undefined) return null
  const packing = packed === undefined ? 'none' : packed.toLowerCase() === 'gz' ? 'gz' : 'zst'
  // Parquet packs its own pages.
  if (format === 'parquet' && packing !== 'none') return null
  return { format, packing, delimiter: settings.csv.delimiter ?? known?.delimiter ?? ',' }
}

/** `*`: any signs, `?`: one. Without backtracking: at most one star is open at a time. */
function matches(pattern: string, name: string): boolean {
  let at = 0
  let place = 0
  let star = -1
  let retry = 0
  while (at < name.length) {
    if (pattern[place] === '*') {
      star = place++
      retry = at
    } else if (place < pattern.length && (pattern[place] === '?' || pattern[place] === name[at])) {
      place++
      at++
    } else if (star >= 0) {
      place = star + 1
      at = ++retry
    } else return false
  }
  while (pattern[place] === '*') place++
  return place === pattern.length
}
