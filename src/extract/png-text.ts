/** Text chunks of PNG: plain, squeezed and international. What is squeezed is inflated up to a bound, or left out with a marker. */
import { inflateSync } from 'node:zlib'
import { limits } from '../base/limits.ts'
import { type Draft, takeExif } from './image-head.ts'
import { iptcInPhotoshop } from './iptc.ts'
import { cut, latin1, trimBlanks } from './text.ts'

/** Inflates zlib data; null when it is damaged or would pass `max` bytes. */
export function inflated(bytes: Uint8Array, max: number): Uint8Array | null {
  try {
    return inflateSync(bytes, { maxOutputLength: max })
  } catch {
    return null
  }
}

export function takeText(draft: Draft, type: 'tEXt' | 'zTXt' | 'iTXt', body: Uint8Array): void {
  const nul = body.indexOf(0)
  if (nul < 1 || nul > 79) return
  const keyword = latin1(body.subarray(0, nul))
  const rest = body.subarray(nul + 1)
  if (keyword === 'XML:com.adobe.xmp') {
    takeXmp(draft, type, rest)
    return
  }
  const isRaw = keyword.startsWith('Raw profile type ')
  const max = isRaw ? limits.metadataBlockBytesMax : limits.metadataTextMax * 4
  const bytes = type === 'tEXt' ? rest : type === 'zTXt' ? inflated(rest.subarray(1), max) : international(rest, max)
  const path = `text.${keyword}`
  if (bytes === null) {
    draft.truncated.push(path)
    return
  }
  if (isRaw) takeRawProfile(draft, keyword, bytes)
  if (isRaw || draft.text.has(keyword)) return
  if (draft.text.size >= limits.metadataItemsMax) {
    if (!draft.truncated.includes('text')) draft.truncated.push('text')
    return
  }
  const shown = bytes.subarray(0, limits.metadataTextMax * 4)
  const text = trimBlanks(type === 'iTXt' ? new TextDecoder('utf-8').decode(shown) : latin1(shown))
  if (text.length > limits.metadataTextMax || shown.length < bytes.length) draft.truncated.push(path)
  draft.text.set(keyword, cut(text, limits.metadataTextMax))
}

/** The text's bytes of an iTXt chunk behind its keyword: flag, method, language, translated keyword, text. */
function international(rest: Uint8Array, max: number): Uint8Array | null {
  const isSqueezed = rest[0] === 1
  const afterLanguage = rest.indexOf(0, 2)
  const afterTranslation = afterLanguage < 0 ? -1 : rest.indexOf(0, afterLanguage + 1)
  if (afterTranslation < 0) return null
  const text = rest.subarray(afterTranslation + 1)
  return isSqueezed ? inflated(text, max) : text
}

function takeXmp(draft: Draft, type: 'tEXt' | 'zTXt' | 'iTXt', rest: Uint8Array): void {
  if (draft.xmp !== null || type === 'zTXt') return
  const packet = type === 'tEXt' ? rest : international(rest, limits.metadataBlockBytesMax)
  if (packet === null) draft.truncated.push('xmp')
  else draft.xmp = packet.slice()
}

/** ImageMagick's way of old: a name, a length and hexadecimal digits in a text chunk. */
function takeRawProfile(draft: Draft, keyword: string, bytes: Uint8Array): void {
  const found = /^\s*\S+\s+(\d+)\s+([0-9a-fA-F\s]*)$/.exec(latin1(bytes))
  if (found === null) return
  const raw = Buffer.from(found[2]!.replace(/\s/g, ''), 'hex').subarray(0, Number(found[1]))
  const kind = keyword.slice('Raw profile type '.length).toLowerCase()
  if (kind === 'exif' || kind === 'app1') takeExif(draft, raw)
  else if (kind === 'iptc') draft.iptc ??= iptcInPhotoshop(raw)
}
