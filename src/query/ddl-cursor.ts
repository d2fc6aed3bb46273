/** Reading a statement token by token, with faults that name the line and column. */
import { Fault } from '../base/fault.ts'
import type { Type } from '../iceberg/spec/table-metadata.ts'
import { parseTypeText } from '../iceberg/spec/type-text.ts'
import { closing, isName, isSymbol, isWord, nameOf, type PlacedToken } from './tokens.ts'

export class DdlCursor {
  readonly #tokens: readonly PlacedToken[]
  readonly #text: string
  #next = 0

  /** @param text the whole text that the tokens are from: places are told in it */
  constructor(tokens: readonly PlacedToken[], text: string) {
    this.#tokens = tokens
    this.#text = text
  }

  get done(): boolean {
    return this.#next >= this.#tokens.length
  }

  /** Where the next token is, or the end of the statement. */
  get at(): number {
    return this.peek()?.at ?? this.#tokens.at(-1)?.end ?? 0
  }

  peek(ahead = 0): PlacedToken | undefined {
    return this.#tokens[this.#next + ahead]
  }

  peekWord(...words: string[]): boolean {
    return isWord(this.peek(), ...words)
  }

  /** Takes the next token, whatever it is. */
  take(): void {
    this.#next++
  }

  /** Takes the next token if it is one of these unquoted words. */
  word(...words: string[]): boolean {
    return this.#takeIf(this.peekWord(...words))
  }

  /** Takes these words if all of them come next. @throws Fault `invalid` when only the first do */
  words(...words: string[]): boolean {
    if (!this.peekWord(words[0]!)) return false
    this.expectWords(...words)
    return true
  }

  /** @throws Fault `invalid` */
  expectWords(...words: string[]): void {
    for (const word of words) if (!this.word(word)) throw this.wrong(words.join(' '))
  }

  symbol(symbol: string): boolean {
    return this.#takeIf(isSymbol(this.peek(), symbol))
  }

  expectSymbol(symbol: string): void {
    if (!this.symbol(symbol)) throw this.wrong(`"${symbol}"`)
  }

  /** One name, quoted or not. */
  part(expected: string): string {
    const token = this.peek()
    if (token === undefined || !isName(token) || nameOf(token) === '') throw this.wrong(expected)
    this.#next++
    return nameOf(token)
  }

  /** A name with dots, as its parts. */
  name(expected: string): string[] {
    const parts = [this.part(expected)]
    while (this.symbol('.')) parts.push(this.part(expected))
    return parts
  }

  /** A text in quotes; Hive takes double ones too. */
  string(expected: string): string {
    const token = this.peek()
    const quoted = token?.kind === 'string' || (token?.kind === 'quoted' && this.#text[token.at] === '"')
    if (token === undefined || !quoted) throw this.wrong(expected)
    this.#next++
    return token.value
  }

  /** What is between `(` and the `)` that closes it, as it is written but for comments. */
  bracketed(): { text: string; at: number } {
    const open = this.peek()
    this.expectSymbol('(')
    const start = this.#next
    const end = closing(this.#tokens, start - 1)
    const close = this.#tokens[end - 1]
    this.#next = end
    if (!isSymbol(close, ')')) throw this.wrong(`")" for the "(" of ${this.#place(open?.at ?? 0).words}`)
    return start === end - 1 ? { text: '', at: close?.at ?? 0 } : this.#slice(start, end - 1)
  }

  /** A column's type. Ids of its members come from `nextId`. @throws Fault `invalid` with the place inside it */
  type(nextId: () => number): Type {
    const start = this.#next
    if (this.peek()?.kind !== 'word') throw this.wrong('a type')
    this.#next++
    if (isSymbol(this.peek(), '<') || isSymbol(this.peek(), '<>') || isSymbol(this.peek(), '(')) this.#skipBrackets()
    if (this.peekWord('WITH', 'WITHOUT') && isWord(this.peek(1), 'TIME', 'LOCAL')) {
      while (this.word('WITH', 'WITHOUT', 'LOCAL', 'TIME', 'ZONE'));
    }
    const { text, at } = this.#slice(start, this.#next)
    return this.placed(at, () => parseTypeText(text, nextId))
  }

  /** To behind the bracket that closes the next one, or to the end. */
  #skipBrackets(): void {
    let depth = 0
    do {
      const token = this.peek()
      if (token === undefined) return
      if (token.kind === 'symbol')
        for (const sign of token.value) depth += '<('.includes(sign) ? 1 : '>)'.includes(sign) ? -1 : 0
      this.#next++
    } while (depth > 0)
  }

  /** `work` on a text that begins at `at`; what is wrong with it is told with its place in the statement. */
  placed<T>(at: number, work: () => T): T {
    try {
      return work()
    } catch (error) {
      if (!(error instanceof Fault) || 'line' in error.facts) throw error
      const inside = error.facts['at']
      const place = this.#place(at + (typeof inside === 'number' ? inside : 0))
      const { at: _inside, ...facts } = error.facts
      throw new Fault(error.kind, `${error.message}, at ${place.words}`, { ...facts, ...place.facts }, error)
    }
  }

  /** @throws Fault `invalid` when something is left */
  end(): void {
    if (!this.done) throw this.wrong('the end of the statement')
  }

  /** The fault that the next token is not what was expected. */
  wrong(expected: string): Fault {
    const token = this.peek()
    const got = token === undefined ? 'the end of the statement' : this.#text.slice(token.at, token.end).slice(0, 60)
    const place = this.#place(this.at)
    return new Fault('invalid', `expected ${expected}, got ${got} at ${place.words}`, place.facts)
  }

  /** The fault that what comes next is not offered. */
  refusal(why: string): Fault {
    const place = this.#place(this.at)
    return new Fault('unsupported', `${why} (at ${place.words})`, place.facts)
  }

  /** Lines and columns count from 1, columns in characters. */
  #place(at: number): { words: string; facts: { line: number; column: number } } {
    const before = this.#text.slice(0, at)
    const line = before.split('\n').length
    const column = [...before.slice(before.lastIndexOf('\n') + 1)].length + 1
    return { words: `line ${line}, column ${column}`, facts: { line, column } }
  }

  /** Tokens [start, end) as written, with blanks for what is between them, so that places stay true. */
  #slice(start: number, end: number): { text: string; at: number } {
    const tokens = this.#tokens.slice(start, end)
    const at = tokens[0]?.at ?? this.at
    let text = ''
    for (const token of tokens) text = text.padEnd(token.at - at) + this.#text.slice(token.at, token.end)
    return { text, at }
  }

  #takeIf(fits: boolean): boolean {
    if (fits) this.#next++
    return fits
  }
}
