/** Rows of a Parquet file as records, read by DuckDB: a row group at a time, in their order. */
import { unreachable } from '../../../base/assert.ts'
import { Fault, isFault, messageOf } from '../../../base/fault.ts'
import { type Duck, literal } from '../../../duck/duck.ts'
import { streamRows } from '../../../duck/stream.ts'
import { type DuckValue, decodeValue } from '../../../duck/value.ts'
import { formatDate, formatTime, formatTimestamp } from '../../../iceberg/spec/time-text.ts'
import { BadFile } from './file-bytes.ts'
import type { FileRow } from './file-rows.ts'

/** Column of DuckDB's that numbers the rows of a file. */
const PLACE = 'file_row_number'

/**
 * @param from rows before this one, from 1 on, are not read
 * @throws BadFile when it is no Parquet, or is damaged
 */
export async function* readParquet(duck: Duck, path: string, from: number): AsyncGenerator<FileRow[]> {
  const session = await duck.connect()
  try {
    const source = `read_parquet(${literal(path)}, file_row_number = true)`
    const stream = await streamRows(session, `SELECT * FROM ${source} WHERE ${PLACE} >= ${Math.max(0, from - 1)}`)
    const names = stream.columns.map(({ name }) => name)
    const place = names.lastIndexOf(PLACE)
    for (let page = await stream.next(); page !== null; page = await stream.next()) {
      yield page.map((values): FileRow => {
        const members = values.flatMap((value, at) =>
          at === place || value === null ? [] : [`${JSON.stringify(names[at])}:${jsonOf(value)}`],
        )
        return { number: Number(values[place]) + 1, record: { data: Buffer.from(`{${members.join()}}`) } }
      })
    }
  } catch (error) {
    // The machine's trouble passes; the file's does not.
    if (isFault(error) && !/\.parquet|Parquet|parquet/.test(error.message)) throw error
    if (/Out of Memory|No such file|Permission denied|Too many open files/i.test(messageOf(error)))
      throw new Fault('unavailable', `cannot read ${path}: ${messageOf(error)}`, { path }, error)
    throw new BadFile(messageOf(error).split('\n')[0] ?? '')
  } finally {
    session.close()
  }
}

/** A value as streams read values: times as ISO 8601, bytes as base64, numbers with all their digits. */
function jsonOf(value: DuckValue): string {
  const decoded = decodeValue(value)
  switch (decoded.kind) {
    case 'scalar': {
      const { value: scalar } = decoded
      if (typeof scalar === 'bigint') return String(scalar)
      if (typeof scalar === 'number' && !Number.isFinite(scalar)) return JSON.stringify(String(scalar))
      return JSON.stringify(scalar)
    }
    case 'list':
      return `[${decoded.items.map(jsonOf).join()}]`
    case 'struct':
      return `{${decoded.members.map(([name, member]) => `${JSON.stringify(name)}:${jsonOf(member)}`).join()}}`
    case 'map':
      return `{${decoded.entries.map(([key, member]) => `${JSON.stringify(textOf(key))}:${jsonOf(member)}`).join()}}`
    case 'decimal':
      return decimalText(decoded.unscaled, decoded.scale)
    case 'date':
      return JSON.stringify(decoded.infinite === 0 ? formatDate(decoded.days) : infinity(decoded.infinite))
    case 'time':
      return JSON.stringify(formatTime(decoded.micros))
    case 'timestamp': {
      if (decoded.infinite !== 0) return JSON.stringify(infinity(decoded.infinite))
      return JSON.stringify(`${timestampText(decoded.value, decoded.unit)}${decoded.zoned ? 'Z' : ''}`)
    }
    case 'bytes':
      return JSON.stringify(Buffer.from(decoded.bytes).toString('base64'))
    case 'union':
      return jsonOf(decoded.value)
    case 'text':
      return JSON.stringify(decoded.text)
    default:
      return unreachable(decoded)
  }
}

/** Nanoseconds are given only where there are some. */
function timestampText(value: bigint, unit: 'us' | 'ns'): string {
  return unit === 'ns' && value % 1_000n === 0n ? formatTimestamp(value / 1_000n, 'us') : formatTimestamp(value, unit)
}

function textOf(key: DuckValue): string {
  const text = jsonOf(key)
  return text.startsWith('"') ? (JSON.parse(text) as string) : text
}

function infinity(sign: -1 | 0 | 1): string {
  return sign < 0 ? '-infinity' : 'infinity'
}

function decimalText(unscaled: bigint, scale: number): string {
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, '0')
  const whole = digits.slice(0, digits.length - scale)
  return `${unscaled < 0n ? '-' : ''}${whole}${scale === 0 ? '' : `.${digits.slice(-scale)}`}`
}
