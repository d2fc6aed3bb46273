/**
 * Dates and times as producers write them: `dd/MMM/yyyy:HH:mm:ss Z`, in the pattern letters of Java, Spark and Athena. A pattern
 * becomes one regular expression without repetition, so reading takes time linear in the text. Pure.
 */
import { Fault } from '../../base/fault.ts'
import { civilFromDays, daysFromCivil } from '../../iceberg/spec/time-text.ts'

export interface DateFormat {
  readonly pattern: string
  readonly expression: RegExp
  readonly parts: readonly Part[]
}

type Part =
  | 'year'
  | 'year2'
  | 'month'
  | 'monthName'
  | 'day'
  | 'hour'
  | 'hour12'
  | 'minute'
  | 'second'
  | 'fraction'
  | 'half'
  | 'zone'

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const LONG_MONTHS = [
  'january',
  'february',
  'march',
  'april',
  'may',
  'june',
  'july',
  'august',
  'september',
  'october',
  'november',
  'december',
]
const OFFSET = '(Z|[+-]\\d\\d:?\\d\\d)'

/** Letters of a pattern → what they stand for, and the text that they take. */
const LETTERS: Readonly<Record<string, readonly [Part, string]>> = {
  yyyy: ['year', '(\\d{4})'],
  uuuu: ['year', '(\\d{4})'],
  yy: ['year2', '(\\d\\d)'],
  MMMM: ['monthName', `(${LONG_MONTHS.join('|')})`],
  MMM: ['monthName', `(${MONTHS.join('|')})`],
  MM: ['month', '(\\d\\d)'],
  M: ['month', '(\\d\\d?)'],
  dd: ['day', '(\\d\\d)'],
  d: ['day', '(\\d\\d?)'],
  HH: ['hour', '(\\d\\d)'],
  H: ['hour', '(\\d\\d?)'],
  hh: ['hour12', '(\\d\\d)'],
  h: ['hour12', '(\\d\\d?)'],
  mm: ['minute', '(\\d\\d)'],
  m: ['minute', '(\\d\\d?)'],
  ss: ['second', '(\\d\\d)'],
  s: ['second', '(\\d\\d?)'],
  a: ['half', '(am|pm)'],
  Z: ['zone', OFFSET],
  X: ['zone', OFFSET],
}

/**
 * Pattern → format. Letters: `yyyy yy MMMM MMM MM M dd d HH H hh h mm m ss s S… a Z X`; `X` may be written up to three times; text stands in `'quotes'`.
 * @throws Fault `invalid` naming the letters that are not known, or what is missing
 */
export function compileDateFormat(pattern: string): DateFormat {
  const parts: Part[] = []
  let source = ''
  for (const [piece] of pattern.matchAll(/'(?:[^']|'')*'|([A-Za-z])\1*|[^A-Za-z']+|'/g)) {
    if (piece.startsWith("'")) {
      source += literalSource(pattern, piece)
    } else if (/^S{1,6}$/.test(piece)) {
      parts.push('fraction')
      source += `(\\d{${piece.length}})`
    } else if (/^[A-Za-z]/.test(piece)) {
      const known = LETTERS[piece.replace(/^X+$/, 'X')]
      if (known === undefined) {
        throw new Fault(
          'invalid',
          `date format "${pattern}": expected letters such as yyyy, MM, dd, HH, mm, ss, got "${piece}"`,
        )
      }
      if (parts.includes(known[0]))
        throw new Fault('invalid', `date format "${pattern}": "${piece}" says the ${known[0]} again`)
      parts.push(known[0])
      source += known[1]
    } else source += escaped(piece)
  }
  const has = (...names: Part[]) => names.some((name) => parts.includes(name))
  if (!has('year', 'year2') || !has('month', 'monthName') || !has('day')) {
    throw new Fault('invalid', `date format "${pattern}": expected a year, a month and a day in it`)
  }
  if (has('hour12') !== has('half')) throw new Fault('invalid', `date format "${pattern}": expected hh and a, or HH`)
  return { pattern, parts, expression: new RegExp(`^${source}$`, 'i') }
}

/** Microseconds since 1970 in UTC by the first format that takes the text; null when none does. */
export function parseWithFormats(text: string, formats: readonly DateFormat[]): bigint | null {
  for (const format of formats) {
    const micros = parseWith(text, format)
    if (micros !== null) return micros
  }
  return null
}

function parseWith(text: string, { expression, parts }: DateFormat): bigint | null {
  const match = text.length > 100 ? null : expression.exec(text)
  if (match === null) return null
  const said = (part: Part): string | undefined => {
    const at = parts.indexOf(part)
    return at < 0 ? undefined : match[at + 1]
  }
  const number = (part: Part): number => Number(said(part) ?? '0')
  const name = said('monthName')?.slice(0, 3).toLowerCase()
  const date = {
    // Two digits as POSIX has them: 69 to 99 are the last century's.
    year: said('year') === undefined ? number('year2') + (number('year2') < 69 ? 2000 : 1900) : number('year'),
    month: name === undefined ? number('month') : MONTHS.indexOf(name) + 1,
    day: number('day'),
  }
  const days = daysFromCivil(date)
  const back = civilFromDays(days)
  if (date.year < 1 || back.month !== date.month || back.day !== date.day) return null
  const hour = hourOf(number('hour'), said('hour12'), said('half'))
  const [minute, second] = [number('minute'), number('second')]
  if (hour === null || hour > 23 || minute > 59 || second > 59) return null
  const seconds = BigInt(days) * 86_400n + BigInt(hour * 3600 + minute * 60 + second) - offsetSeconds(said('zone'))
  return seconds * 1_000_000n + BigInt((said('fraction') ?? '').padEnd(6, '0'))
}

function hourOf(hour: number, hour12: string | undefined, half: string | undefined): number | null {
  if (hour12 === undefined) return hour
  const said = Number(hour12)
  if (said < 1 || said > 12) return null
  return (said % 12) + (half?.toLowerCase() === 'pm' ? 12 : 0)
}

function offsetSeconds(zone: string | undefined): bigint {
  if (zone === undefined || zone.toUpperCase() === 'Z') return 0n
  const digits = zone.slice(1).replace(':', '')
  const seconds = BigInt(Number(digits.slice(0, 2)) * 3600 + Number(digits.slice(2)) * 60)
  return zone.startsWith('-') ? -seconds : seconds
}

function literalSource(pattern: string, piece: string): string {
  if (piece.length < 2) throw new Fault('invalid', `date format "${pattern}": a quote is not closed`)
  return escaped(piece === "''" ? "'" : piece.slice(1, -1).replaceAll("''", "'"))
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\/-]/g, '\\$&')
}
