/**
 * The common properties of an XMP packet (ISO 16684-1), by namespace and not by prefix. No entity is expanded and nothing
 * outside the packet is read; a property whose text needs an unknown entity is left out.
 */
import type { Json } from '../base/json.ts'
import { limits } from '../base/limits.ts'
import { cut, trimBlanks } from './text.ts'
import { localName, type XmlStart, xmlTokens } from './xml.ts'

const RDF = 'http://www.w3.org/1999/02/22-rdf-syntax-ns#'
const DC = 'http://purl.org/dc/elements/1.1/'
const XMP = 'http://ns.adobe.com/xap/1.0/'
const PHOTOSHOP = 'http://ns.adobe.com/photoshop/1.0/'
const IPTC_CORE = 'http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/'
const IPTC_EXT = 'http://iptc.org/std/Iptc4xmpExt/2008-02-29/'
const RIGHTS = 'http://ns.adobe.com/xap/1.0/rights/'
const MEDIA = 'http://ns.adobe.com/xap/1.0/mm/'
const LIGHTROOM = 'http://ns.adobe.com/lightroom/1.0/'

type Shape = 'text' | 'list' | 'number' | 'boolean'

/** namespace + local name → the fact's name and shape. */
const PROPERTIES: ReadonlyMap<string, { name: string; shape: Shape }> = new Map(
  (
    [
      [DC, 'title', 'title', 'text'],
      [DC, 'description', 'description', 'text'],
      [DC, 'subject', 'subject', 'list'],
      [DC, 'creator', 'creator', 'list'],
      [DC, 'rights', 'rights', 'text'],
      [DC, 'format', 'format', 'text'],
      [XMP, 'Rating', 'rating', 'number'],
      [XMP, 'CreateDate', 'created', 'text'],
      [XMP, 'ModifyDate', 'modified', 'text'],
      [XMP, 'MetadataDate', 'metadata_date', 'text'],
      [XMP, 'CreatorTool', 'creator_tool', 'text'],
      [XMP, 'Label', 'label', 'text'],
      [PHOTOSHOP, 'Headline', 'headline', 'text'],
      [PHOTOSHOP, 'City', 'city', 'text'],
      [PHOTOSHOP, 'State', 'state', 'text'],
      [PHOTOSHOP, 'Country', 'country', 'text'],
      [PHOTOSHOP, 'Credit', 'credit', 'text'],
      [PHOTOSHOP, 'Source', 'source', 'text'],
      [PHOTOSHOP, 'DateCreated', 'date_created', 'text'],
      [PHOTOSHOP, 'AuthorsPosition', 'creator_position', 'text'],
      [PHOTOSHOP, 'CaptionWriter', 'caption_writer', 'text'],
      [PHOTOSHOP, 'Instructions', 'instructions', 'text'],
      [PHOTOSHOP, 'TransmissionReference', 'transmission_reference', 'text'],
      [PHOTOSHOP, 'Category', 'category', 'text'],
      [PHOTOSHOP, 'Urgency', 'urgency', 'number'],
      [IPTC_CORE, 'Location', 'location', 'text'],
      [IPTC_CORE, 'CountryCode', 'country_code', 'text'],
      [IPTC_CORE, 'IntellectualGenre', 'genre', 'text'],
      [IPTC_CORE, 'Scene', 'scene', 'list'],
      [IPTC_CORE, 'SubjectCode', 'subject_code', 'list'],
      [IPTC_CORE, 'AltTextAccessibility', 'alt_text', 'text'],
      [IPTC_EXT, 'PersonInImage', 'person', 'list'],
      [IPTC_EXT, 'Event', 'event', 'text'],
      [RIGHTS, 'Marked', 'rights_marked', 'boolean'],
      [RIGHTS, 'UsageTerms', 'usage_terms', 'text'],
      [RIGHTS, 'WebStatement', 'web_statement', 'text'],
      [MEDIA, 'DocumentID', 'document_id', 'text'],
      [MEDIA, 'InstanceID', 'instance_id', 'text'],
      [MEDIA, 'OriginalDocumentID', 'original_document_id', 'text'],
      [LIGHTROOM, 'hierarchicalSubject', 'hierarchical_subject', 'list'],
    ] as [string, string, string, Shape][]
  ).map(([space, local, name, shape]) => [space + local, { name, shape }]),
)

const DEPTH_MAX = 64

interface Frame {
  /** namespace + local name. */
  name: string
  spaces: Map<string, string>
  /** Text of this element alone. Null once it holds an unknown entity. */
  text: string | null
  language: string | null
}

/** The properties in a packet; null when it holds none that is known. */
export function readXmp(bytes: Uint8Array): { [key: string]: Json } | null {
  const reader = new XmpReader()
  const text = decode(bytes)
  for (const token of xmlTokens(text)) {
    if (token.kind === 'start') {
      if (!reader.start(token)) break
    } else if (token.kind === 'text') reader.text(token.text)
    else reader.end()
  }
  return reader.found ? reader.facts : null
}

function decode(bytes: Uint8Array): string {
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return new TextDecoder('utf-16be').decode(bytes)
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return new TextDecoder('utf-16le').decode(bytes)
  return new TextDecoder('utf-8').decode(bytes)
}

class XmpReader {
  readonly facts: { [key: string]: Json } = {}
  found = false
  readonly #stack: Frame[] = []
  /** The property being read: its depth, and what its items gave. */
  #open: {
    depth: number
    name: string
    shape: Shape
    items: string[]
    byDefault: string | null
    tainted: boolean
  } | null = null

  /** False when the document nests too deep to go on. */
  start(token: XmlStart): boolean {
    if (this.#stack.length >= DEPTH_MAX) return false
    const outer = this.#stack.at(-1)?.spaces
    let spaces = outer ?? new Map<string, string>()
    for (const [key, value] of token.attributes) {
      if (!key.startsWith('xmlns:') || value === null) continue
      if (spaces === outer || this.#stack.length === 0) spaces = new Map(spaces)
      if (spaces.size < 64) spaces.set(key.slice(6), value)
    }
    const name = resolve(token.name, spaces)
    this.#stack.push({ name, spaces, text: '', language: token.attributes.get('xml:lang') ?? null })
    if (this.#open === null) {
      const property = PROPERTIES.get(name)
      if (property !== undefined) {
        this.#open = { depth: this.#stack.length, ...property, items: [], byDefault: null, tainted: false }
      } else if (name === `${RDF}Description`) this.#attributes(token, spaces)
    }
    if (token.selfClosing) this.end()
    return true
  }

  /** RDF's short form: simple properties as attributes of the description. */
  #attributes(token: XmlStart, spaces: ReadonlyMap<string, string>): void {
    for (const [key, value] of token.attributes) {
      const property = PROPERTIES.get(resolve(key, spaces))
      if (property !== undefined && value !== null)
        this.#keep(property.name, property.shape, [trimBlanks(value.trim())], null)
    }
  }

  text(text: string | null): void {
    const frame = this.#stack.at(-1)
    if (frame === undefined || this.#open === null) return
    if (text === null) frame.text = null
    else if (frame.text !== null && frame.text.length <= limits.metadataTextMax) frame.text += text
  }

  end(): void {
    const frame = this.#stack.pop()
    const open = this.#open
    if (frame === undefined || open === null) return
    const depth = this.#stack.length + 1
    const isItem = frame.name === `${RDF}li`
    if (frame.text === null && (isItem || depth === open.depth)) open.tainted = true
    if (isItem && frame.text !== null && open.items.length < limits.metadataItemsMax) {
      const text = frame.text.trim()
      if (frame.language === 'x-default') open.byDefault ??= text
      if (text !== '') open.items.push(text)
    }
    if (depth > open.depth) return
    this.#open = null
    if (open.items.length === 0 && frame.text !== null && frame.text.trim() !== '') open.items.push(frame.text.trim())
    if (!open.tainted) this.#keep(open.name, open.shape, open.items, open.byDefault)
  }

  #keep(name: string, shape: Shape, items: string[], byDefault: string | null): void {
    if (Object.hasOwn(this.facts, name)) return
    const first = byDefault ?? items[0]
    if (first === undefined || first === '') return
    const value = shaped(shape, first, items)
    if (value === null) return
    this.facts[name] = value
    this.found = true
  }
}

function shaped(shape: Shape, first: string, items: string[]): Json {
  switch (shape) {
    case 'text':
      return cut(first, limits.metadataTextMax)
    case 'list':
      return items.map((item) => cut(item, limits.metadataTextMax))
    case 'number': {
      const number = Number(first)
      return Number.isFinite(number) ? number : null
    }
    case 'boolean':
      return /^true$/i.test(first) ? true : /^false$/i.test(first) ? false : null
  }
}

function resolve(name: string, spaces: ReadonlyMap<string, string>): string {
  const colon = name.indexOf(':')
  if (colon < 0) return name
  return `${spaces.get(name.slice(0, colon)) ?? ''}${localName(name)}`
}
