/** The `meta` box of HEIF: items, where their bytes are, what they refer to and which properties they have. */
import { latin1, tag4, untilNul } from './text.ts'

export interface Box {
  type: string
  body: Uint8Array
  /** Offset of the body within the bytes that were searched. */
  at: number
}

export interface Item {
  id: number
  type: string
  contentType: string | null
  /** 0: offsets in the file, 1: in `idat`, 2: in another item. */
  method: number
  extents: { offset: number; length: number }[]
  /** 1-based indexes of its properties. */
  properties: number[]
  /** Items that this one describes (`cdsc`), and those that it is auxiliary to (`auxl`). */
  describes: number[]
  auxiliaryOf: number[]
}

export interface Meta {
  primary: number
  items: Map<number, Item>
  properties: Box[]
  /** Offset of the `idat` box's body in the file; -1 without one. */
  idatAt: number
}

const ITEMS_MAX = 4_096
const BOXES_MAX = 4_096

/** The boxes in `bytes` from `from`, at most `max`; a box that reaches past the end is cut there. */
export function boxes(bytes: Uint8Array, from: number, max = BOXES_MAX): Box[] {
  const found: Box[] = []
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = from; at + 8 <= bytes.length && found.length < max; ) {
    let size = view.getUint32(at)
    let head = 8
    if (size === 1 && at + 16 <= bytes.length) {
      size = Number(view.getBigUint64(at + 8))
      head = 16
    } else if (size === 0) size = bytes.length - at
    if (size < head) break
    found.push({
      type: tag4(bytes, at + 4),
      body: bytes.subarray(at + head, Math.min(at + size, bytes.length)),
      at: at + head,
    })
    at += size
  }
  return found
}

/** Reads big-endian numbers in a row; past the end it gives zeros, and `done` turns true. */
class Cursor {
  readonly #bytes: Uint8Array
  #at = 0
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }
  get done(): boolean {
    return this.#at >= this.#bytes.length
  }
  uint(length: number): number {
    let value = 0
    for (let i = 0; i < length; i++) value = value * 256 + (this.#bytes[this.#at++] ?? 0)
    return value
  }
  text4(): string {
    this.#at += 4
    return tag4(this.#bytes, this.#at - 4)
  }
  rest(): Uint8Array {
    return this.#bytes.subarray(this.#at)
  }
}

/** @param meta body of the `meta` box; @param metaAt its offset in the file */
export function parseMeta(meta: Uint8Array, metaAt: number): Meta {
  const result: Meta = { primary: -1, items: new Map(), properties: [], idatAt: -1 }
  // Four bytes of version and flags come before the boxes.
  for (const box of boxes(meta, 4)) {
    if (box.type === 'pitm') {
      const cursor = new Cursor(box.body)
      const version = cursor.uint(4) >>> 24
      result.primary = cursor.uint(version === 0 ? 2 : 4)
    } else if (box.type === 'iinf') itemInfos(box.body, result.items)
    else if (box.type === 'iloc') itemLocations(box.body, result.items)
    else if (box.type === 'iref') itemReferences(box.body, result.items)
    else if (box.type === 'idat') result.idatAt = metaAt + box.at
    else if (box.type === 'iprp') itemProperties(box.body, result)
  }
  return result
}

function itemOf(items: Map<number, Item>, id: number): Item | null {
  const known = items.get(id)
  if (known !== undefined) return known
  if (items.size >= ITEMS_MAX) return null
  const item: Item = {
    id,
    type: '',
    contentType: null,
    method: 0,
    extents: [],
    properties: [],
    describes: [],
    auxiliaryOf: [],
  }
  items.set(id, item)
  return item
}

function itemInfos(body: Uint8Array, items: Map<number, Item>): void {
  const version = body[0] ?? 0
  for (const box of boxes(body, version === 0 ? 6 : 8)) {
    if (box.type !== 'infe') continue
    const cursor = new Cursor(box.body)
    const entryVersion = cursor.uint(4) >>> 24
    if (entryVersion < 2) continue
    const item = itemOf(items, cursor.uint(entryVersion === 2 ? 2 : 4))
    cursor.uint(2)
    if (item === null) return
    item.type = cursor.text4()
    if (item.type !== 'mime') continue
    // Name, NUL, content type, NUL.
    const texts = latin1(cursor.rest().subarray(0, 512))
    const nul = texts.indexOf('\0')
    if (nul >= 0) item.contentType = untilNul(texts.slice(nul + 1))
  }
}

function itemLocations(body: Uint8Array, items: Map<number, Item>): void {
  const cursor = new Cursor(body)
  const version = cursor.uint(4) >>> 24
  const sizes = cursor.uint(2)
  const [offsetBytes, lengthBytes, baseBytes] = [(sizes >> 12) & 15, (sizes >> 8) & 15, (sizes >> 4) & 15]
  const indexBytes = version === 0 ? 0 : sizes & 15
  const count = Math.min(cursor.uint(version < 2 ? 2 : 4), ITEMS_MAX)
  for (let i = 0; i < count && !cursor.done; i++) {
    const item = itemOf(items, cursor.uint(version < 2 ? 2 : 4))
    const method = version === 0 ? 0 : cursor.uint(2) & 15
    cursor.uint(2)
    const base = cursor.uint(baseBytes)
    const extents = cursor.uint(2)
    for (let e = 0; e < extents && !cursor.done; e++) {
      cursor.uint(indexBytes)
      const offset = base + cursor.uint(offsetBytes)
      const length = cursor.uint(lengthBytes)
      if (item !== null && item.extents.length < 64) item.extents.push({ offset, length })
    }
    if (item !== null) item.method = method
  }
}

function itemReferences(body: Uint8Array, items: Map<number, Item>): void {
  const idBytes = (body[0] ?? 0) === 0 ? 2 : 4
  for (const box of boxes(body, 4)) {
    if (box.type !== 'cdsc' && box.type !== 'auxl') continue
    const cursor = new Cursor(box.body)
    const item = itemOf(items, cursor.uint(idBytes))
    const count = cursor.uint(2)
    if (item === null) return
    const into = box.type === 'cdsc' ? item.describes : item.auxiliaryOf
    for (let i = 0; i < count && !cursor.done && into.length < ITEMS_MAX; i++) into.push(cursor.uint(idBytes))
  }
}

function itemProperties(body: Uint8Array, meta: Meta): void {
  for (const box of boxes(body, 0)) {
    if (box.type === 'ipco') meta.properties.push(...boxes(box.body, 0))
    if (box.type !== 'ipma') continue
    const cursor = new Cursor(box.body)
    const versionAndFlags = cursor.uint(4)
    const wide = (versionAndFlags & 1) === 1
    const count = Math.min(cursor.uint(4), ITEMS_MAX)
    for (let i = 0; i < count && !cursor.done; i++) {
      const item = itemOf(meta.items, cursor.uint(versionAndFlags >>> 24 === 0 ? 2 : 4))
      const associations = cursor.uint(1)
      for (let a = 0; a < associations && !cursor.done; a++) {
        // The top bit says whether a reader must know the property.
        const index = cursor.uint(wide ? 2 : 1) & (wide ? 0x7fff : 0x7f)
        if (item !== null && item.properties.length < 256) item.properties.push(index)
      }
    }
  }
}
