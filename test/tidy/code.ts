/**
 * What of a TypeScript text is code: a scanner that blanks comments and the contents of literals, and leaves every other
 * character where it is, so that offsets and lines stay true. It knows enough of the grammar for formatted source.
 */

/** How far to blank: comments only, or the contents of strings, templates and regular expressions too. */
export type Blank = 'comments' | 'comments and literals'

type Mode = { readonly kind: 'code'; braces: number; readonly inTemplate: boolean } | { readonly kind: 'template' }

/** The text with the named parts replaced by spaces. */
export function codeOf(text: string, blank: Blank): string {
  const out = [...Array(text.length).keys()].map((i) => text.charAt(i))
  const modes: Mode[] = [{ kind: 'code', braces: 0, inTemplate: false }]
  const hide = (from: number, to: number): void => {
    for (let i = from; i < to; i++) if (out[i] !== '\n') out[i] = ' '
  }
  const hideLiteral = (from: number, to: number): void => {
    if (blank === 'comments and literals') hide(from, to)
  }

  let at = 0
  while (at < text.length) {
    const mode = modes.at(-1)
    if (mode === undefined) break
    if (mode.kind === 'template') {
      const end = templateEnd(text, at)
      hideLiteral(at, end)
      if (text.startsWith('${', end)) {
        modes.push({ kind: 'code', braces: 0, inTemplate: true })
        at = end + 2
      } else {
        modes.pop()
        at = end + 1
      }
      continue
    }
    const char = text.charAt(at)
    if (text.startsWith('//', at) || text.startsWith('/*', at)) {
      const end = commentEnd(text, at)
      hide(at, end)
      at = end
    } else if (char === "'" || char === '"') {
      const end = stringEnd(text, at)
      hideLiteral(at + 1, end - 1)
      at = end
    } else if (char === '`') {
      modes.push({ kind: 'template' })
      at += 1
    } else if (char === '/' && beginsRegex(text, at)) {
      const end = regexEnd(text, at)
      hideLiteral(at + 1, end - 1)
      at = end
    } else {
      if (char === '{') mode.braces += 1
      if (char === '}') {
        if (mode.inTemplate && mode.braces === 0) modes.pop()
        else mode.braces -= 1
      }
      at += 1
    }
  }
  return out.join('')
}

function commentEnd(text: string, at: number): number {
  const line = text.startsWith('//', at)
  const end = text.indexOf(line ? '\n' : '*/', at + 2)
  if (end < 0) return text.length
  return line ? end : end + 2
}

function stringEnd(text: string, at: number): number {
  const quote = text.charAt(at)
  for (let i = at + 1; i < text.length; i++) {
    if (text.charAt(i) === '\\') i += 1
    else if (text.charAt(i) === quote) return i + 1
  }
  return text.length
}

/** The offset of the closing backtick or of the next `${`. */
function templateEnd(text: string, at: number): number {
  for (let i = at; i < text.length; i++) {
    if (text.charAt(i) === '\\') i += 1
    else if (text.charAt(i) === '`' || text.startsWith('${', i)) return i
  }
  return text.length
}

/** A slash begins a regular expression where no value has just ended. */
function beginsRegex(text: string, at: number): boolean {
  const before = text.slice(Math.max(0, at - 40), at).trimEnd()
  if (before === '') return true
  if (/(?:^|[^\w$.])(?:return|typeof|case|in|of|do|else|void|throw|await|yield)$/.test(before)) return true
  return /[=(,:[!&|?{};+\-*%<>~^]$/.test(before)
}

function regexEnd(text: string, at: number): number {
  let inClass = false
  for (let i = at + 1; i < text.length; i++) {
    const char = text.charAt(i)
    if (char === '\\') i += 1
    else if (char === '[') inClass = true
    else if (char === ']') inClass = false
    else if (char === '/' && !inClass) return i + 1
    else if (char === '\n') return i
  }
  return text.length
}
