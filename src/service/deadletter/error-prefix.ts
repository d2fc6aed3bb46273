/**
 * The names of objects with refused records: a prefix in which `!{timestamp:yyyy/MM/dd}` (UTC, the letters of Java's DateTimeFormatter)
 * and `!{firehose:error-output-type}` stand for what they say, as delivery streams have it. Pure.
 */
import { Fault } from '../../base/fault.ts'
import { sha256Hex } from '../../base/hash.ts'

/** Why an object's records were refused: before they were rows, or as rows of their table. */
export type ErrorType = 'processing-failed' | 'iceberg-failed'

export interface ErrorObject {
  stream: string
  /** Of the stream's settings. */
  version: number
  type: ErrorType
  /** When its first record failed, ms since 1970. */
  atMs: number
  /** Offset of its first letter. */
  offset: number
}

const EXPRESSION = /!\{([^}]*)\}/g
const TYPE = 'firehose:error-output-type'
const RANDOM = 'firehose:random-string'
const RANDOM_LETTERS = 11

/** @throws Fault `invalid` saying which expression is none */
export function checkErrorPrefix(prefix: string): void {
  errorKey(prefix, { stream: 'stream', version: 1, type: 'processing-failed', atMs: 0, offset: 0 })
  if (prefix.split('/').some((part) => part === '.' || part === '..'))
    throw new Fault('invalid', `expected a prefix without parts "." and "..", got "${prefix.slice(0, 200)}"`)
}

/**
 * The object's key: prefix, stream, version and time, as delivery streams name theirs, and the offset, by which the same letters
 * have the same name whenever they are written. A prefix that tells no type gets it.
 */
export function errorKey(prefix: string, object: ErrorObject): string {
  const { stream, version, type, atMs, offset } = object
  let told = false
  const evaluated = prefix.replace(EXPRESSION, (_, expression: string) => {
    if (expression.startsWith('timestamp:')) return formatTime(expression.slice('timestamp:'.length), atMs)
    if (expression === RANDOM) return sha256Hex(`${stream} ${type} ${offset}`).slice(0, RANDOM_LETTERS)
    if (expression !== TYPE)
      throw new Fault(
        'invalid',
        `expected !{timestamp:…}, !{${TYPE}} or !{${RANDOM}}, got "!{${expression.slice(0, 80)}}"`,
      )
    told = true
    return type
  })
  if (evaluated.includes('!{'))
    throw new Fault('invalid', `expected "}" after "!{", got "${prefix.slice(prefix.lastIndexOf('!{')).slice(0, 80)}"`)
  const folder = told ? evaluated : `${evaluated}${evaluated === '' || evaluated.endsWith('/') ? '' : '/'}${type}/`
  const name = `${stream}-${version}-${formatTime('yyyy-MM-dd-HH-mm-ss', atMs)}-${String(offset).padStart(16, '0')}`
  return `${folder}${name}`.replace(/^\/+/, '').replace(/\/{2,}/g, '/')
}

/** @throws Fault `invalid` for a letter that is not among them */
function formatTime(pattern: string, atMs: number): string {
  const at = new Date(atMs)
  const parts: Record<string, number> = {
    y: at.getUTCFullYear(),
    M: at.getUTCMonth() + 1,
    d: at.getUTCDate(),
    H: at.getUTCHours(),
    m: at.getUTCMinutes(),
    s: at.getUTCSeconds(),
    S: at.getUTCMilliseconds(),
  }
  return pattern.replace(/'([^']*)'|([A-Za-z])\2*/g, (found, quoted: string | undefined, letter = '') => {
    if (quoted !== undefined) return quoted === '' ? "'" : quoted
    const value = parts[letter as string]
    if (value === undefined || found.length > 4)
      throw new Fault('invalid', `!{timestamp:…}: expected yyyy, MM, dd, HH, mm, ss, SSS or 'text', got "${found}"`)
    return letter === 'y' && found.length === 2
      ? String(value % 100).padStart(2, '0')
      : String(value).padStart(found.length, '0')
  })
}
