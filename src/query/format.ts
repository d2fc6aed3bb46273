/**
 * Results as text: JSON lines for programs, CSV for spreadsheets, a box for terminals. Nothing is lost in the first two;
 * the box is cut to the terminal's width, cells first, then columns.
 */
import { stringifyJson } from '../base/json.ts'
import type { Column } from './query.ts'
import type { Cell } from './values.ts'

/** What a result needs to have to be shown. */
export interface Rows {
  columns: readonly Column[]
  rows: readonly (readonly Cell[])[]
  /** Were rows left out? */
  truncated?: boolean
}

/**
 * One JSON document per line, ended by a line feed; none for no rows. Whole numbers beyond 2^53 are texts, so that no
 * reader rounds them. A column name that comes twice gets `_2`, `_3`, ….
 */
export function formatJsonLines(result: Rows): string {
  const names = distinctNames(result.columns)
  return result.rows.map((row) => `${JSON.stringify(jsonRow(names, row), safeNumber)}\n`).join('')
}

/** A row as an object by its columns' names. */
function jsonRow(names: readonly string[], row: readonly Cell[]): Record<string, Cell> {
  return Object.fromEntries(names.map((name, index) => [name, row[index] ?? null]))
}

function safeNumber(_key: string, value: unknown): unknown {
  if (typeof value !== 'bigint') return value
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : String(value)
}

/** The columns' names, made different from each other. */
export function distinctNames(columns: readonly Column[]): string[] {
  const taken = new Set<string>()
  return columns.map(({ name }) => {
    let free = name
    for (let count = 2; taken.has(free); count += 1) free = `${name}_${count}`
    taken.add(free)
    return free
  })
}

/**
 * RFC 4180: a header line, lines ended by CR LF, quotes where needed. Null is an empty field, the empty text `""`;
 * lists and objects are their JSON.
 */
export function formatCsv(result: Rows): string {
  const header = result.columns.map(({ name }) => csvText(name)).join(',')
  const lines = result.rows.map((row) => row.map(csvField).join(','))
  return [header, ...lines].map((line) => `${line}\r\n`).join('')
}

function csvField(cell: Cell): string {
  if (cell === null) return ''
  return csvText(typeof cell === 'string' ? cell : plainText(cell))
}

function csvText(text: string): string {
  return text === '' || /[",\r\n]/.test(text) || text !== text.trim() ? `"${text.replaceAll('"', '""')}"` : text
}

export interface TableOptions {
  /** Columns of the terminal. Default: those of standard output, or no bound when it is not a terminal. */
  widthMax?: number
  /** Rows shown; of more, the first and last halves. Default 1,000. */
  rowsMax?: number
  /** Characters of a cell before it is cut, with `…`. Default 200. */
  cellMax?: number
}

/** Narrowest column when a table is too wide for the terminal. */
const COLUMN_MIN = 6

/** A box with a header, numbers to the right; a last line says how many rows there are. */
export function formatTable(result: Rows, options: TableOptions = {}): string {
  if (isPlan(result))
    return result.rows.map((row) => `${String(row[1]).split('\n').map(oneLine).join('\n')}\n`).join('')
  const rowsMax = options.rowsMax ?? 1_000
  const cellMax = options.cellMax ?? 200
  const widthMax =
    options.widthMax ?? (process.stdout.isTTY ? process.stdout.columns : undefined) ?? Number.POSITIVE_INFINITY
  const { shown, hiddenAt, hidden } = chooseRows(result.rows, rowsMax)
  const allCells = shown.map((row) => row.map((cell) => cutText(oneLine(cell), cellMax)))
  const allNames = result.columns.map(({ name }) => cutText(oneLine(name), cellMax))
  const allWidths = allNames.map((name, index) =>
    allCells.reduce((width, row) => Math.max(width, textWidth(row[index]!)), textWidth(name)),
  )
  const places = chooseColumns(allWidths, widthMax)
  const pick = <T>(values: readonly T[], gap: T): T[] => places.map((at) => (at === null ? gap : values[at]!))
  const cells = allCells.map((row) => pick(row, '…'))
  const names = pick(allNames, '…')
  const widths = fitWidths(pick(allWidths, 1), widthMax)
  const right = pick(
    result.columns.map((_, index) => shown.every((row) => isNumber(row[index]!)) && shown.length > 0),
    false,
  )
  const line = (texts: readonly string[], toRight: readonly boolean[]): string =>
    `│ ${texts.map((text, index) => pad(cutText(text, widths[index]!), widths[index]!, toRight[index]!)).join(' │ ')} │`
  const rule = (left: string, middle: string, end: string): string =>
    `${left}${widths.map((width) => '─'.repeat(width + 2)).join(middle)}${end}`
  const out: string[] = []
  if (names.length > 0) {
    out.push(rule('┌', '┬', '┐'), line(names, right), rule('├', '┼', '┤'))
    for (const [index, row] of cells.entries()) {
      if (index === hiddenAt)
        out.push(
          line(
            names.map(() => '…'),
            right,
          ),
        )
      out.push(line(row, right))
    }
    out.push(rule('└', '┴', '┘'))
  }
  out.push(footer(result, hidden, places.includes(null) ? allNames.length - places.length + 1 : 0))
  return `${out.join('\n')}\n`
}

/** What EXPLAIN gives is a drawing of its own. */
function isPlan(result: Rows): boolean {
  return result.columns.map(({ name }) => name).join() === 'explain_key,explain_value'
}

function footer(result: Rows, hidden: number, hiddenColumns: number): string {
  const count = result.rows.length
  const rows = `${count.toLocaleString('en')} ${count === 1 ? 'row' : 'rows'}`
  const said = result.truncated
    ? `first ${rows}, there are more`
    : hidden === 0
      ? rows
      : `${rows}, ${hidden.toLocaleString('en')} of them not shown`
  if (hiddenColumns === 0) return said
  return `${said}; ${hiddenColumns} of ${result.columns.length} columns not shown: name those you want, or use --json`
}

/** Places of the columns that fit at their narrowest; where those in the middle are left out, null. */
function chooseColumns(widths: readonly number[], widthMax: number): (number | null)[] {
  const places = widths.map((_, at) => at)
  const narrow = (at: number | null) => (at === null ? 1 : Math.min(widths[at]!, COLUMN_MIN)) + 3
  let least = places.reduce((sum, at) => sum + narrow(at), 1)
  if (least <= widthMax) return places
  least += narrow(null)
  const head = places.splice(0, Math.ceil(places.length / 2))
  while (least > widthMax && head.length + places.length > 1) {
    const gone = head.length > places.length ? head.pop() : places.shift()
    least -= narrow(gone ?? null)
  }
  return [...head, null, ...places]
}

function chooseRows<T>(rows: readonly T[], rowsMax: number): { shown: readonly T[]; hiddenAt: number; hidden: number } {
  if (rows.length <= rowsMax) return { shown: rows, hiddenAt: -1, hidden: 0 }
  const head = Math.ceil(rowsMax / 2)
  const tail = rowsMax - head
  const shown = [...rows.slice(0, head), ...(tail === 0 ? [] : rows.slice(-tail))]
  return { shown, hiddenAt: head, hidden: rows.length - rowsMax }
}

/** Takes from the widest columns first, until the table fits or all are at the minimum. */
function fitWidths(widths: readonly number[], widthMax: number): number[] {
  const fitted = [...widths]
  let excess = widths.reduce((sum, width) => sum + width + 3, 1) - widthMax
  while (excess > 0) {
    const widest = Math.max(...fitted)
    const next = Math.max(COLUMN_MIN, ...fitted.filter((width) => width < widest))
    if (widest <= COLUMN_MIN) break
    const columns = fitted.filter((width) => width === widest).length
    const step = Math.max(1, Math.min(widest - next, Math.ceil(excess / columns)))
    for (const [index, width] of fitted.entries()) if (width === widest) fitted[index] = width - step
    excess -= step * columns
  }
  return fitted
}

function isNumber(cell: Cell): boolean {
  return cell === null || typeof cell === 'number' || typeof cell === 'bigint'
}

/** A cell as people read it: texts without quotes, everything else as JSON, with numbers in full. */
function plainText(cell: Cell): string {
  if (typeof cell === 'string') return cell
  if (typeof cell === 'object' && cell !== null) return stringifyJson(cell)
  return String(cell)
}

/** Line ends, tabs and other control characters as visible escapes: a cell is one line and cannot steer the terminal. */
function oneLine(cell: Cell): string {
  const text = cell === null ? 'NULL' : plainText(cell)
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (char) => {
    const short: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }
    return short[char] ?? `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
}

const segmenter = new Intl.Segmenter('en', { granularity: 'grapheme' })
/** East Asian wide forms and emoji take two columns of a terminal. */
const WIDE =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6]|^\p{Emoji_Presentation}|^[\u{20000}-\u{3fffd}]|\ufe0f/u

function textWidth(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length
  let width = 0
  for (const { segment } of segmenter.segment(text)) width += graphemeWidth(segment)
  return width
}

function graphemeWidth(grapheme: string): number {
  if (WIDE.test(grapheme)) return 2
  return /^[\p{Mn}\p{Me}\p{Cf}]+$/u.test(grapheme) ? 0 : 1
}

/** The text in at most `width` columns, ending in `…` when cut. */
function cutText(text: string, width: number): string {
  if (text.length <= width && /^[\x20-\x7e]*$/.test(text)) return text
  if (textWidth(text.slice(0, width * 8 + 8)) <= width && text.length <= width * 8 + 8) return text
  let out = ''
  let used = 0
  for (const { segment } of segmenter.segment(text.slice(0, width * 8 + 8))) {
    const next = graphemeWidth(segment)
    if (used + next > width - 1) break
    out += segment
    used += next
  }
  return `${out}…`
}

function pad(text: string, width: number, right: boolean): string {
  const blank = ' '.repeat(Math.max(0, width - textWidth(text)))
  return right ? blank + text : text + blank
}
