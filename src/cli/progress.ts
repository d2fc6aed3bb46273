/** A progress line on standard error while a terminal watches; silent otherwise. */
export interface Progress {
  /** Shows `label`, and a bar when `total` is known and positive. Cheap: drawn at most ten times a second. */
  show(label: string, done?: number, total?: number): void
  /** Takes the line away. */
  clear(): void
}

const BAR_WIDTH = 24
const REDRAW_MS = 100

export function progressLine(stream: NodeJS.WriteStream = process.stderr): Progress {
  if (!stream.isTTY) return { show: () => undefined, clear: () => undefined }
  let drawnAtMs = 0
  return {
    show: (label, done = 0, total = 0) => {
      const nowMs = performance.now()
      if (nowMs - drawnAtMs < REDRAW_MS && done < total) return
      drawnAtMs = nowMs
      const filled = total > 0 ? Math.min(BAR_WIDTH, Math.round((done / total) * BAR_WIDTH)) : 0
      const bar = total > 0 ? `${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)} ${done}/${total} ` : ''
      stream.write(`\r\x1b[K${bar}${label}`.slice(0, (stream.columns ?? 80) + 4))
    },
    clear: () => {
      stream.write('\r\x1b[K')
    },
  }
}
