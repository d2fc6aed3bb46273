/** Files of a directory that are no objects: counted, the first few named, and while watching each told once. */
import { limits } from '../base/limits.ts'

export interface SkippedFile {
  file: string
  reason: string
}

export class SkippedFiles {
  /** The first few. */
  readonly named: SkippedFile[] = []
  readonly #seen = new Set<string>()
  #count = 0

  /** Takes the place of `OnSkip`. */
  readonly note = (file: string, reason: string): void => {
    this.#count++
    if (this.named.length < limits.skippedNamedMax) this.named.push({ file, reason })
    this.#remember(file, reason)
  }

  /** A line for each that is named, and one for the others. */
  lines(): string[] {
    const lines = this.named.map(lineOf)
    if (this.#count > lines.length) lines.push(`not taken: ${this.#count - lines.length} more`)
    return lines
  }

  /** The line of one that was not told before; null when it was. */
  lineIfNew(file: string, reason: string): string | null {
    return this.#remember(file, reason) ? lineOf({ file, reason }) : null
  }

  #remember(file: string, reason: string): boolean {
    const id = JSON.stringify([file, reason])
    if (this.#seen.has(id) || this.#seen.size >= limits.skippedKept) return false
    this.#seen.add(id)
    return true
  }
}

/** A name may hold line ends and worse. */
function lineOf({ file, reason }: SkippedFile): string {
  return `not taken: ${/\p{Cc}/u.test(file) ? JSON.stringify(file) : file}: ${reason}`
}
