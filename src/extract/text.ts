/** Bytes to text by the rules of image metadata. What comes out holds no U+0000 and no lone surrogate. */

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const utf16le = new TextDecoder('utf-16le')
const utf16be = new TextDecoder('utf-16be')

function view(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** Each byte as one character (ISO 8859-1). */
export function latin1(bytes: Uint8Array): string {
  return view(bytes).toString('latin1')
}

/** UTF-8 when the bytes are valid UTF-8, otherwise Latin-1: cameras write either into fields that call themselves ASCII. */
export function utf8OrLatin1(bytes: Uint8Array): string {
  if (isAscii(bytes)) return latin1(bytes)
  try {
    return utf8.decode(bytes)
  } catch {
    return latin1(bytes)
  }
}

function isAscii(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) if (bytes[i]! > 0x7f) return false
  return true
}

/** UTF-16 up to the first NUL; a lone surrogate becomes U+FFFD, an odd last byte is left out. */
export function utf16(bytes: Uint8Array, bigEndian: boolean): string {
  const even = bytes.subarray(0, bytes.length & ~1)
  return untilNul((bigEndian ? utf16be : utf16le).decode(even))
}

/** The part before the first NUL. */
export function untilNul(text: string): string {
  const nul = text.indexOf('\0')
  return nul < 0 ? text : text.slice(0, nul)
}

/** Without blanks (U+0020 only) at the end. */
export function trimBlanks(text: string): string {
  let end = text.length
  while (end > 0 && text.charCodeAt(end - 1) === 0x20) end--
  return end === text.length ? text : text.slice(0, end)
}

/** At most `max` UTF-16 units, never half of a surrogate pair. */
export function cut(text: string, max: number): string {
  return text.length <= max
    ? text
    : text
        .slice(0, max)
        .toWellFormed()
        .replace(/\ufffd$/, '')
}

/** Four (or more) characters of ASCII at an offset, for chunk types and brands; bytes past the end count as NUL. */
export function tag4(bytes: Uint8Array, at: number): string {
  return String.fromCharCode(bytes[at] ?? 0, bytes[at + 1] ?? 0, bytes[at + 2] ?? 0, bytes[at + 3] ?? 0)
}

/** True when `bytes` hold the ASCII text `text` at `at`. */
export function hasAscii(bytes: Uint8Array, at: number, text: string): boolean {
  if (at < 0 || at + text.length > bytes.length) return false
  for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text.charCodeAt(i)) return false
  return true
}
