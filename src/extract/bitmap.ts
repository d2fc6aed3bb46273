/** BMP (Windows and OS/2 headers) and ICO: fixed headers, nothing to follow. */
import { type Draft, invalid, setSize, truncated, type Window } from './image-head.ts'
import { hasAscii } from './text.ts'

export async function walkBmp(window: Window, draft: Draft): Promise<void> {
  const head = await window.bytes(0, 138)
  if (head.length < 26) throw truncated('the BMP header is cut off')
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength)
  const headerBytes = view.getUint32(14, true)
  const isOs2 = headerBytes === 12
  if (!isOs2 && headerBytes < 40) throw invalid(`a BMP header of ${headerBytes} bytes`)
  if (!isOs2 && head.length < 54) throw truncated('the BMP header is cut off')
  const width = isOs2 ? view.getUint16(18, true) : view.getInt32(18, true)
  const height = isOs2 ? view.getUint16(20, true) : view.getInt32(22, true)
  if (width < 0) throw invalid(`a BMP of width ${width}`)
  // A negative height only says that the rows go from top to bottom.
  setSize(draft, width, Math.abs(height))
  const bits = isOs2 ? view.getUint16(24, true) : view.getUint16(28, true)
  const alphaMask = headerBytes >= 56 && head.length >= 70 ? view.getUint32(66, true) : 0
  draft.hasAlpha = bits === 32 && alphaMask !== 0
  draft.mode = bits === 1 ? '1' : bits <= 8 ? 'P' : draft.hasAlpha ? 'RGBA' : 'RGB'
  draft.bitDepth = bits <= 8 ? bits : bits === 16 ? 5 : 8
}

/** Entries of an icon directory that are looked at. */
const ICONS_MAX = 256

/** The largest icon counts; on equal sizes the one with more colours. */
export async function walkIco(window: Window, draft: Draft): Promise<void> {
  const head = await window.bytes(0, 6)
  if (head.length < 6) throw truncated('the ICO header is cut off')
  const count = Math.min(head[4]! | (head[5]! << 8), ICONS_MAX)
  const entries = await window.bytes(6, count * 16)
  if (count === 0 || entries.length < 16) throw truncated('the ICO directory is cut off')
  const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength)
  let best = { width: 0, height: 0, bits: 0, offset: 0 }
  for (let at = 0; at + 16 <= entries.length; at += 16) {
    const icon = {
      width: entries[at]! || 256,
      height: entries[at + 1]! || 256,
      bits: view.getUint16(at + 6, true),
      offset: view.getUint32(at + 12, true),
    }
    const wins = icon.width * icon.height - best.width * best.height || icon.bits - best.bits
    if (wins > 0) best = icon
  }
  const inside = await window.bytes(best.offset, 24)
  // A PNG inside knows its own size, which the directory's single bytes may not be able to say.
  if (hasAscii(inside, 0, '\x89PNG') && inside.length === 24) {
    const png = new DataView(inside.buffer, inside.byteOffset, inside.byteLength)
    setSize(draft, png.getUint32(16), png.getUint32(20))
  } else setSize(draft, best.width, best.height)
  draft.mode = 'RGBA'
  draft.hasAlpha = true
  draft.bitDepth = 8
}
