/**
 * SQL text as tokens: only what splitting, classifying and splicing need. DuckDB's parser stays the judge of the text;
 * a difference between the two can refuse a statement, never let one through, because DuckDB's tree is what is checked.
 */
import { Fault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { ident } from '../duck/duck.ts'

export type TokenKind = 'word' | 'quoted' | 'string' | 'number' | 'symbol'

export interface Token {
  kind: TokenKind
  /** As it is to be sent to DuckDB. */
  text: string
  /** Words in upper case, quoted names unquoted, strings without quotes (escapes of `e'…'` undecoded), symbols as they are. */
  value: string
  /** White space before the token, plain spaces and line ends; comments become one space. */
  space: string
}

const SPACE = /[\s\u0085\u180e\u200b\u2060\ufeff]/
const WORD_START = /[\p{L}_\u0080-\uffff]/u
const WORD_REST = /[\p{L}\p{N}_$\u0080-\uffff]/u
const SYMBOLS = ['->>', '::', '=>', ':=', '->', '<=', '>=', '<>', '!=', '==', '||', '//', '**']

/** A token and where it stands in the text: [at, end) in UTF-16 units. */
export interface PlacedToken extends Token {
  at: number
  end: number
}

/** @throws Fault `invalid` (an unclosed quote or comment), `limit` (text too long) */
export function tokenize(text: string): Token[] {
  return placeTokens(text).map(({ kind, text: own, value, space }) => ({ kind, text: own, value, space }))
}

/** As `tokenize`, with places. @throws as `tokenize` */
export function placeTokens(text: string): PlacedToken[] {
  const sizeBytes = Buffer.byteLength(text)
  if (sizeBytes > limits.queryTextBytesMax) {
    throw new Fault('limit', `a statement may have ${limits.queryTextBytesMax} bytes of text, got ${sizeBytes}`)
  }
  if (text.includes('\0')) throw new Fault('invalid', 'a statement cannot hold a NUL character')
  if (!text.isWellFormed()) throw new Fault('invalid', 'the statement is not well-formed Unicode text')
  const tokens: PlacedToken[] = []
  let at = 0
  let space = ''
  while (at < text.length) {
    const char = text[at]!
    if (SPACE.test(char)) {
      space += char === '\n' ? '\n' : ' '
      at += 1
    } else if (text.startsWith('--', at)) {
      const end = text.slice(at).search(/[\r\n]/)
      at = end < 0 ? text.length : at + end
    } else if (text.startsWith('/*', at)) {
      at = commentEnd(text, at)
      space += ' '
    } else {
      const [token, end] = scan(text, at)
      tokens.push({ ...token, space, at, end })
      space = ''
      at = end
    }
  }
  return tokens
}

type Scanned = [Omit<Token, 'space'>, number]

function scan(text: string, at: number): Scanned {
  const char = text[at]!
  if (char === "'") return string(text, at, at, false)
  if (/[eE]/.test(char) && text[at + 1] === "'") return string(text, at, at + 1, true)
  if (/[bBxX]/.test(char) && text[at + 1] === "'") return string(text, at, at + 1, false)
  if (/^[uU]&['"]/.test(text.slice(at, at + 3))) {
    throw new Fault('invalid', `U& escapes are not read (at "${excerpt(text, at)}"); write the characters themselves`)
  }
  if (char === '"' || char === '`') {
    const end = quoteEnd(text, at, char, false)
    const value = text.slice(at + 1, end - 1).replaceAll(char + char, char)
    return [{ kind: 'quoted', text: ident(value), value }, end]
  }
  if (char === '$') {
    const tag = /^\$(?:[\p{L}_][\p{L}\p{N}_]*)?\$/u.exec(text.slice(at, at + 80))?.[0]
    if (tag !== undefined) {
      const end = text.indexOf(tag, at + tag.length)
      if (end < 0) throw unclosed(text, at, tag)
      const whole = text.slice(at, end + tag.length)
      return [{ kind: 'string', text: whole, value: whole.slice(tag.length, -tag.length) }, end + tag.length]
    }
  }
  const number = /^(?:\d[\d_]*(?:\.\d[\d_]*|\.(?![\d.]))?|\.\d[\d_]*)(?:[eE][+-]?\d+)?/.exec(
    text.slice(at, at + 400),
  )?.[0]
  if (number !== undefined) return [{ kind: 'number', text: number, value: number }, at + number.length]
  if (WORD_START.test(char)) {
    let end = at + 1
    while (end < text.length && WORD_REST.test(text[end]!) && !SPACE.test(text[end]!)) end += 1
    const word = text.slice(at, end)
    return [{ kind: 'word', text: word, value: word.toUpperCase() }, end]
  }
  const symbol = SYMBOLS.find((candidate) => text.startsWith(candidate, at)) ?? char
  return [{ kind: 'symbol', text: symbol, value: symbol }, at + symbol.length]
}

function string(text: string, start: number, quote: number, escapes: boolean): Scanned {
  const end = quoteEnd(text, quote, "'", escapes)
  const body = text.slice(quote + 1, end - 1)
  return [{ kind: 'string', text: text.slice(start, end), value: escapes ? body : body.replaceAll("''", "'") }, end]
}

/** Index after the closing quote; a doubled quote is part of the content. */
function quoteEnd(text: string, start: number, quote: string, escapes: boolean): number {
  for (let at = start + 1; at < text.length; at += 1) {
    if (escapes && text[at] === '\\') at += 1
    else if (text[at] === quote) {
      if (text[at + 1] !== quote) return at + 1
      at += 1
    }
  }
  throw unclosed(text, start, quote)
}

/** Block comments nest, as in PostgreSQL. */
function commentEnd(text: string, start: number): number {
  let depth = 0
  for (let at = start; at < text.length; at += 1) {
    if (text.startsWith('/*', at)) {
      depth += 1
      at += 1
    } else if (text.startsWith('*/', at)) {
      depth -= 1
      at += 1
      if (depth === 0) return at + 1
    }
  }
  throw unclosed(text, start, '/*')
}

function unclosed(text: string, at: number, what: string): Fault {
  return new Fault('invalid', `the ${what} that begins at "${excerpt(text, at)}" is never closed`)
}

function excerpt(text: string, at: number): string {
  return text.slice(at, at + 30).replaceAll(/\s+/g, ' ')
}

/** Tokens as text again. */
export function untokenize(tokens: readonly Token[]): string {
  return tokens.map((token) => token.space + token.text).join('')
}

/** True when the token is this unquoted word (given in upper case). */
export function isWord(token: Token | undefined, ...words: string[]): boolean {
  return token !== undefined && token.kind === 'word' && words.includes(token.value)
}

export function isSymbol(token: Token | undefined, symbol: string): boolean {
  return token !== undefined && token.kind === 'symbol' && token.value === symbol
}

/** True for what can be a part of a name. */
export function isName(token: Token | undefined): boolean {
  return token !== undefined && (token.kind === 'word' || token.kind === 'quoted')
}

/** The name as written, without quotes. */
export function nameOf(token: Token): string {
  return token.kind === 'quoted' ? token.value : token.text
}

/** Index after the bracket that closes the one at `start`, or the end of the tokens. */
export function closing(tokens: readonly Token[], start: number): number {
  let depth = 0
  for (let at = start; at < tokens.length; at += 1) {
    const token = tokens[at]!
    if (token.kind !== 'symbol') continue
    if (token.value === '(' || token.value === '[' || token.value === '{') depth += 1
    if (token.value === ')' || token.value === ']' || token.value === '}') depth -= 1
    if (depth === 0) return at + 1
  }
  return tokens.length
}
