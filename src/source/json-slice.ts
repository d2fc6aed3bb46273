/**
 * Finds where a value stands in a JSON text, so that a problem can carry the sender's own bytes: parsing and writing
 * again would lose long numbers, repeated names and spacing. Loops instead of recursion: depth is the sender's choice.
 */
import { assert } from '../base/assert.ts'

/**
 * One JSON text whose values are asked for. What was found is remembered, so that asking for the elements of a list in
 * order costs one pass in all: a document of nothing but bad records must not cost the square of its length.
 */
export class JsonSlices {
  readonly #text: string
  /** Where a list's element was last found, by where the list begins. */
  readonly #elements = new Map<number, { index: number; at: number }>()
  /** Where members begin, by where their object begins and their name. */
  readonly #members = new Map<string, number>()

  /** @param text must be JSON */
  constructor(text: string) {
    this.#text = text
  }

  /** The text of the value at `path` (names and indexes), which must be there. */
  at(path: readonly (string | number)[]): string {
    let start = skipSpace(this.#text, 0)
    for (const step of path) {
      start = typeof step === 'number' ? this.#elementAt(start, step) : this.#memberAt(start, step)
    }
    return this.#text.slice(start, endOfValue(this.#text, start))
  }

  #elementAt(start: number, index: number): number {
    const text = this.#text
    const last = this.#elements.get(start)
    let { index: i, at } =
      last !== undefined && last.index <= index ? last : { index: 0, at: skipSpace(text, start + 1) }
    for (; i < index; i++) at = skipSpace(text, skipSpace(text, endOfValue(text, at)) + 1)
    this.#elements.set(start, { index, at })
    return at
  }

  /** The last member of that name, which is the one that `JSON.parse` keeps. */
  #memberAt(start: number, name: string): number {
    const remembered = this.#members.get(`${start} ${name}`)
    if (remembered !== undefined) return remembered
    const text = this.#text
    let found = -1
    let at = skipSpace(text, start + 1)
    while (text[at] === '"') {
      const nameEnd = endOfString(text, at)
      const value = skipSpace(text, skipSpace(text, nameEnd) + 1)
      if (JSON.parse(text.slice(at, nameEnd)) === name) found = value
      at = skipSpace(text, skipSpace(text, endOfValue(text, value)) + 1)
    }
    assert(found >= 0, `the JSON text has a member ${name}`)
    this.#members.set(`${start} ${name}`, found)
    return found
  }
}

function skipSpace(text: string, at: number): number {
  while (at < text.length && ' \t\r\n\ufeff'.includes(text[at]!)) at++
  return at
}

/** Behind the closing quote of the string that opens at `at`. */
function endOfString(text: string, at: number): number {
  for (let i = at + 1; i < text.length; i++) {
    const letter = text[i]
    if (letter === '\\') i++
    else if (letter === '"') return i + 1
  }
  return text.length
}

function endOfValue(text: string, at: number): number {
  const first = text[at]
  if (first === '"') return endOfString(text, at)
  if (first !== '{' && first !== '[') {
    let end = at
    while (end < text.length && !',]} \t\r\n'.includes(text[end]!)) end++
    return end
  }
  let depth = 0
  for (let i = at; i < text.length; i++) {
    const letter = text[i]
    if (letter === '"') i = endOfString(text, i) - 1
    else if (letter === '{' || letter === '[') depth++
    else if (letter === '}' || letter === ']') {
      depth--
      if (depth === 0) return i + 1
    }
  }
  return text.length
}
