/** Small XML parts of office documents: properties as elements with text, and attributes of certain elements. */
import { limits } from '../base/limits.ts'
import { writtenText } from './fact-text.ts'
import { localName, TOKENS_MAX, xmlTokens } from './xml.ts'

/** Elements by local name, with the texts that stand in them, in order; and all attributes by local name. */
export interface Properties {
  first(name: string): string | undefined
  all(name: string): readonly string[]
  attributes: ReadonlyMap<string, string>
}

/** Different names and texts of one name that are kept. */
const KEPT_MAX = 256

export function propertiesOf(xml: string): Properties {
  const values = new Map<string, string[]>()
  const attributes = new Map<string, string>()
  let open: string | null = null
  let text: string | null = ''
  for (const token of xmlTokens(xml)) {
    if (token.kind === 'start') {
      open = token.selfClosing ? null : localName(token.name)
      text = ''
      for (const [key, value] of token.attributes) {
        const name = localName(key)
        if (value !== null && attributes.size < KEPT_MAX && !attributes.has(name)) attributes.set(name, value)
      }
    } else if (token.kind === 'text') text = token.text === null || text === null ? null : text + token.text
    else {
      // An element that holds others has no text of its own.
      const known = open === null || text === null || text.trim() === '' ? null : (values.get(open) ?? [])
      if (known !== null && known.length < KEPT_MAX && values.size < KEPT_MAX) values.set(open!, [...known, text!])
      open = null
    }
  }
  return {
    first: (name) => values.get(name)?.[0],
    all: (name) => values.get(name) ?? [],
    attributes,
  }
}

/**
 * An attribute of every element of a local name, as texts; an element without it counts as an empty one. Null when the document
 * was not looked at to its end.
 */
export function attributesOf(xml: string, element: string, attribute: string): string[] | null {
  const found: string[] = []
  let tokens = 0
  for (const token of xmlTokens(xml)) {
    if (++tokens === TOKENS_MAX) return null
    if (token.kind !== 'start' || localName(token.name) !== element) continue
    const value = [...token.attributes].find(([key]) => localName(key) === attribute)?.[1]
    found.push(writtenText(value, limits.archiveNameMax) ?? '')
  }
  return found
}

/** Bytes of an XML document as text: UTF-8 unless a mark says UTF-16. */
export function documentText(bytes: Uint8Array): string {
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return new TextDecoder('utf-16be').decode(bytes)
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return new TextDecoder('utf-16le').decode(bytes)
  return new TextDecoder('utf-8').decode(bytes)
}
