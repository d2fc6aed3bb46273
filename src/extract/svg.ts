/** SVG: the size that the root element states, in CSS pixels (96 to the inch). Nothing is rendered, fetched or expanded. */
import { type Draft, invalid, setSize, type Window } from './image-head.ts'
import { rootElement } from './xml.ts'

const PIXELS_PER_UNIT: Record<string, number> = {
  '': 1,
  px: 1,
  in: 96,
  cm: 96 / 2.54,
  mm: 96 / 25.4,
  q: 96 / 101.6,
  pt: 96 / 72,
  pc: 16,
  em: 16,
  rem: 16,
  ex: 8,
}

export async function walkSvg(window: Window, draft: Draft): Promise<void> {
  const root = rootElement(await window.bytes(0, Math.min(window.sizeBytes, 65_536)))
  if (root === null || root.local !== 'svg') throw invalid('an SVG without its root element in the first 64 KB')
  draft.frames = null
  const box = viewBox(root.attributes.get('viewBox'))
  let width = pixels(root.attributes.get('width'))
  let height = pixels(root.attributes.get('height'))
  if (box !== null) {
    if (width === null && height === null) [width, height] = [box.width, box.height]
    else if (width === null && height !== null) width = (height * box.width) / box.height
    else if (width !== null && height === null) height = (width * box.height) / box.width
  }
  if (width === null || height === null) return
  if (width === 0 || height === 0) return setSize(draft, 0, 0)
  setSize(draft, whole(width), whole(height))
}

function whole(value: number): number {
  return Math.min(Number.MAX_SAFE_INTEGER, Math.max(1, Math.round(value)))
}

/** A length in pixels; null for percentages and what is no length. */
function pixels(text: string | null | undefined): number | null {
  const found = /^\s*\+?(\d{1,18}(?:\.\d{0,18})?|\.\d{1,18})(?:[eE]([+-]?\d{1,2}))?\s*([a-zA-Z]{0,3})\s*$/.exec(
    text ?? '',
  )
  if (found === null) return null
  const unit = PIXELS_PER_UNIT[found[3]!.toLowerCase()]
  if (unit === undefined) return null
  return Number(found[1]) * 10 ** Number(found[2] ?? 0) * unit
}

function viewBox(text: string | null | undefined): { width: number; height: number } | null {
  const parts = (text ?? '')
    .trim()
    .split(/[\s,]+/)
    .map(Number)
  const [, , width, height] = parts
  if (parts.length !== 4 || width === undefined || height === undefined || !(width > 0) || !(height > 0)) return null
  return Number.isFinite(width) && Number.isFinite(height) ? { width, height } : null
}
