/** Reading small texts token by token: words, quoted names, numbers, punctuation. Used for types and for terms. */
import { Fault } from '../../base/fault.ts'

export interface Token {
  text: string
  /** Given in quotes: a name, never a keyword. */
  quoted: boolean
  at: number
}

/** Texts longer than this are refused. */
const TEXT_LENGTH_MAX = 100_000

const TOKEN = /\s*(?:"((?:[^"]|"")+)"|`((?:[^`]|``)+)`|([\p{L}\p{N}_$@-]+)|([^\s\p{L}\p{N}]))/uy

export class TextReader {
  readonly #text: string
  readonly #what: string
  readonly #tokens: Token[] = []
  #next = 0

  /** @param what what the text should be, for messages */
  constructor(text: string, what: string) {
    this.#text = text
    this.#what = what
    if (text.length > TEXT_LENGTH_MAX)
      throw new Fault('limit', `expected ${what} of at most ${TEXT_LENGTH_MAX} characters`)
    TOKEN.lastIndex = 0
    const end = text.trimEnd().length
    while (TOKEN.lastIndex < end) {
      const at = TOKEN.lastIndex
      const match = TOKEN.exec(text)
      if (match === null) throw this.#fault('a name or sign', text.slice(at, at + 1), at)
      const start = TOKEN.lastIndex - match[0].trimStart().length
      const quoted = match[1]?.replaceAll('""', '"') ?? match[2]?.replaceAll('``', '`')
      this.#tokens.push({ text: quoted ?? match[3] ?? match[4]!, quoted: quoted !== undefined, at: start })
    }
  }

  get done(): boolean {
    return this.#next >= this.#tokens.length
  }

  /** The token `ahead` of the next one, without taking it. */
  peek(ahead = 0): Token | undefined {
    return this.#tokens[this.#next + ahead]
  }

  /** Takes the next token if it is this sign or keyword (in any case, not quoted). */
  take(text: string): boolean {
    const token = this.peek()
    if (token === undefined || token.quoted || token.text.toLowerCase() !== text) return false
    this.#next++
    return true
  }

  /** @throws Fault `invalid` when the next token is another */
  expect(text: string): void {
    if (!this.take(text)) throw this.wrong(`"${text}"`)
  }

  /** Takes a name or number. */
  word(expected: string): Token {
    const token = this.peek()
    if (token === undefined || !(token.quoted || /^[\p{L}\p{N}_$@-]/u.test(token.text))) throw this.wrong(expected)
    this.#next++
    return token
  }

  /** Takes a whole number from 0. */
  whole(expected: string): number {
    const token = this.word(expected)
    if (token.quoted || !/^\d{1,10}$/.test(token.text)) throw this.#fault(expected, token.text, token.at)
    return Number(token.text)
  }

  /** Takes a name with dots: `a.b."c d"`. */
  path(expected: string): string {
    const parts = [this.word(expected).text]
    while (this.take('.')) parts.push(this.word(expected).text)
    return parts.join('.')
  }

  /** The fault that the next token is not what was expected. */
  wrong(expected: string): Fault {
    const token = this.peek()
    return this.#fault(expected, token?.text, token?.at ?? this.#text.length)
  }

  /** The fault that a token already taken is not what was expected. */
  wrongAt(token: Token, expected: string): Fault {
    return this.#fault(expected, token.text, token.at)
  }

  #fault(expected: string, got: string | undefined, at: number): Fault {
    const shown = got === undefined ? 'the end' : `"${got.slice(0, 40)}"`
    return new Fault(
      'invalid',
      `expected ${expected}, got ${shown} at character ${at + 1} of ${this.#what} "${this.#text.slice(0, 120)}"`,
      { at },
    )
  }
}
