/** What a file is, told from its first bytes. Names and declared content types are never asked. */
import { fileTypeFromBuffer } from 'file-type'
import { hasAscii } from './text.ts'
import { textTable } from './text-sample.ts'
import { rootElement } from './xml.ts'

/** How much of the head the type library is shown. */
const SAMPLE_BYTES = 16_384

/**
 * The MIME type that the bytes show, or null for other text and everything unknown.
 * @param sizeBytes of the object, when the head may be a part of it
 * The four commonest image types are told here at once; the rest by `file-type`, SVG by its root element.
 */
export async function sniff(head: Uint8Array, sizeBytes = head.length): Promise<string | null> {
  if (head.length < 3) return null
  if (head[0] === 0xff && head[1] === 0xd8 && head[2] === 0xff) return 'image/jpeg'
  if (hasAscii(head, 0, '\x89PNG\r\n\x1a\n')) return 'image/png'
  if (hasAscii(head, 0, 'GIF8')) return 'image/gif'
  if (hasAscii(head, 0, 'RIFF') && hasAscii(head, 8, 'WEBP')) return 'image/webp'
  if (startsAsMarkup(head)) {
    const root = rootElement(head)
    if (root !== null && root.local === 'svg') return 'image/svg+xml'
  }
  const found = await fileTypeFromBuffer(head.subarray(0, SAMPLE_BYTES))
  // A TIFF's directory, by which the library tells the cameras' raw files apart, often stands at the end of the file.
  return found?.mime ?? (isTiff(head) ? 'image/tiff' : sniffText(head, head.length === sizeBytes))
}

/** Text that is data has no signature; but few other texts have its form. */
function sniffText(head: Uint8Array, isAll: boolean): string | null {
  const table = textTable(head, isAll)
  switch (table?.kind) {
    case 'json':
      return 'application/json'
    case 'ndjson':
      return 'application/x-ndjson'
    case 'csv':
      return table.delimiter === '\t' ? 'text/tab-separated-values' : 'text/csv'
    case undefined:
      return null
  }
}

function isTiff(head: Uint8Array): boolean {
  return ['II*\0', 'MM\0*', 'II+\0', 'MM\0+'].some((mark) => hasAscii(head, 0, mark))
}

/** The first thing after a byte order mark and white space is `<`. */
function startsAsMarkup(head: Uint8Array): boolean {
  let at = head[0] === 0xef && head[1] === 0xbb && head[2] === 0xbf ? 3 : 0
  while (at < head.length && (head[at] === 0x20 || head[at] === 0x09 || head[at] === 0x0a || head[at] === 0x0d)) at++
  return head[at] === 0x3c
}

const IMAGE_NAME = /\.(?:jpe?g|jfif|png|apng|gif|webp|tiff?|bmp|dib|ico|heic|heif|avif|svg)$/i

/** True when a key ends as image files do: then bytes that are no image are a fault, not merely another kind of file. */
export function claimsImage(key: string): boolean {
  return IMAGE_NAME.test(key)
}
