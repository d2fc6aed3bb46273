/**
 * A small, bounded reader of XML for two jobs: the root element of an SVG and the properties of an XMP packet.
 *
 * It never expands an entity other than the five predefined ones and character references, never reads anything outside
 * the bytes it was given, and looks at a bounded number of tokens. Text that needs another entity is reported as tainted,
 * so that its user leaves the value out instead of showing half of it. Not a validator: what it cannot read ends the reading.
 */

/** Tokens looked at before the reader stops. */
export const TOKENS_MAX = 50_000
const ATTRIBUTES_MAX = 256

export interface XmlStart {
  kind: 'start'
  /** As written, with prefix. */
  name: string
  /** Attribute values with references resolved; null where an unknown entity stands in the value. */
  attributes: Map<string, string | null>
  selfClosing: boolean
}
/** `text` is null when it holds an unknown entity. */
export type XmlToken = XmlStart | { kind: 'end'; name: string } | { kind: 'text'; text: string | null }

const PREDEFINED: Record<string, string> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" }

/** Resolves references in character data; null when it holds an entity that is not predefined. */
export function unescapeXml(text: string): string | null {
  if (!text.includes('&')) return text
  let tainted = false
  const out = text.replace(/&(#x[0-9a-fA-F]{1,6}|#[0-9]{1,7}|[^\s;&]{1,64});?/g, (whole, body: string) => {
    if (body.startsWith('#')) {
      const code = body[1] === 'x' ? Number.parseInt(body.slice(2), 16) : Number.parseInt(body.slice(1), 10)
      if (code === 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return '\ufffd'
      return String.fromCodePoint(code)
    }
    const known = Object.hasOwn(PREDEFINED, body) && whole.endsWith(';') ? PREDEFINED[body] : undefined
    if (known === undefined) tainted = true
    return known ?? ''
  })
  return tainted ? null : out
}

const NAME = /[^\s/>=<"'&]+/y
const ATTRIBUTE = /\s+([^\s/>=<"'&]+)\s*=\s*(?:"([^"<]*)"|'([^'<]*)')/y

/** The tokens of a document, in order, until its end, a mistake, or the bound. */
export function* xmlTokens(text: string): Generator<XmlToken> {
  let at = text.charCodeAt(0) === 0xfeff ? 1 : 0
  for (let count = 0; count < TOKENS_MAX && at < text.length; count++) {
    const open = text.indexOf('<', at)
    if (open < 0) {
      yield { kind: 'text', text: unescapeXml(text.slice(at)) }
      return
    }
    if (open > at) yield { kind: 'text', text: unescapeXml(text.slice(at, open)) }
    const next = text.charCodeAt(open + 1)
    if (next === 0x3f /* ? */) at = after(text, '?>', open + 2)
    else if (text.startsWith('<!--', open)) at = after(text, '-->', open + 4)
    else if (text.startsWith('<![CDATA[', open)) {
      const end = text.indexOf(']]>', open + 9)
      yield { kind: 'text', text: text.slice(open + 9, end < 0 ? text.length : end) }
      at = end < 0 ? text.length : end + 3
    } else if (next === 0x21 /* ! */) at = afterDeclaration(text, open + 2)
    else if (next === 0x2f /* / */) {
      const end = text.indexOf('>', open)
      if (end < 0) return
      yield { kind: 'end', name: text.slice(open + 2, end).trim() }
      at = end + 1
    } else {
      const start = readStart(text, open + 1)
      if (start === null) return
      yield start.token
      at = start.end
    }
  }
}

function after(text: string, mark: string, from: number): number {
  const found = text.indexOf(mark, from)
  return found < 0 ? text.length : found + mark.length
}

/** Past a `<!…>` declaration, with its quoted strings, comments and bracketed internal subset. */
function afterDeclaration(text: string, from: number): number {
  let depth = 0
  for (let at = from; at < text.length; at++) {
    const c = text[at]
    if (c === '"' || c === "'") {
      const close = text.indexOf(c, at + 1)
      if (close < 0) return text.length
      at = close
    } else if (c === '<' && text.startsWith('<!--', at)) at = after(text, '-->', at + 4) - 1
    else if (c === '<') depth++
    else if (c === '>') {
      if (depth === 0) return at + 1
      depth--
    }
  }
  return text.length
}

function readStart(text: string, from: number): { token: XmlStart; end: number } | null {
  NAME.lastIndex = from
  const name = NAME.exec(text)?.[0]
  if (name === undefined) return null
  const attributes = new Map<string, string | null>()
  let at = from + name.length
  for (let count = 0; count < ATTRIBUTES_MAX; count++) {
    ATTRIBUTE.lastIndex = at
    const found = ATTRIBUTE.exec(text)
    if (found === null) break
    if (!attributes.has(found[1]!)) attributes.set(found[1]!, unescapeXml(found[2] ?? found[3] ?? ''))
    at = ATTRIBUTE.lastIndex
  }
  const close = text.indexOf('>', at)
  if (close < 0) return null
  return { token: { kind: 'start', name, attributes, selfClosing: text[close - 1] === '/' }, end: close + 1 }
}

/** The part of a qualified name after the prefix. */
export function localName(name: string): string {
  return name.slice(name.indexOf(':') + 1)
}

/** The first element of a document given as UTF-8 (or Latin-1) bytes, or null when none is found. */
export function rootElement(bytes: Uint8Array): { local: string; attributes: Map<string, string | null> } | null {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
  for (const token of xmlTokens(text)) {
    if (token.kind === 'start') return { local: localName(token.name), attributes: token.attributes }
    if (token.kind === 'text' && (token.text === null || token.text.trim() !== '')) return null
    if (token.kind === 'end') return null
  }
  return null
}
