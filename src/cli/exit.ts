/** Exit codes, and how a failure is told. Documented in docs/cli.md. */
import { type FaultKind, isFault, messageOf } from '../base/fault.ts'

export const EXIT = {
  ok: 0,
  /** A bug of ours or something unforeseen. */
  unexpected: 1,
  /** The command line, configuration or SQL is wrong. */
  usage: 2,
  notFound: 3,
  /** Somebody else holds what is needed. */
  conflict: 4,
  /** Stored data is damaged, or `doctor` found that parts disagree. */
  damaged: 5,
  /** A bound was reached. */
  limit: 6,
  /** Disk, network or another process failed in a way that may pass. */
  unavailable: 7,
  /** Ended by Ctrl-C before the work was done. */
  cancelled: 130,
} as const

const EXIT_OF: Record<FaultKind, number> = {
  invalid: EXIT.usage,
  unsupported: EXIT.usage,
  'not-found': EXIT.notFound,
  conflict: EXIT.conflict,
  superseded: EXIT.conflict,
  corrupt: EXIT.damaged,
  limit: EXIT.limit,
  unavailable: EXIT.unavailable,
  'commit-unknown': EXIT.unavailable,
  cancelled: EXIT.cancelled,
}

/** Tells a failure on standard error and gives the exit code. */
export function reportFailure(error: unknown, json: boolean): number {
  if (isFault(error)) {
    const line = json
      ? JSON.stringify({ error: { kind: error.kind, message: error.message, retry: error.retry } })
      : `tidewater: ${error.message}`
    process.stderr.write(`${line}\n`)
    return EXIT_OF[error.kind]
  }
  const stack = error instanceof Error ? error.stack : undefined
  process.stderr.write(`tidewater: unexpected: ${messageOf(error)}\n${stack ?? ''}\n`)
  return EXIT.unexpected
}
