/** Exit codes, and how a failure is told. Documented in docs/cli.md. */
import { type FaultKind, isFault, messageOf } from '../base/fault.ts'
import { stringifyJson } from '../base/json.ts'

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
  /** Some of several things could not be done; which is told. */
  partly: 8,
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
    const { kind, message, retry, facts } = error
    const hint =
      kind === 'corrupt' && !message.includes('doctor') ? '\n(tidewater doctor tells what can be mended)' : ''
    tell(json ? { kind, message, retry, facts } : `tidewater: ${message}${hint}`)
    return EXIT_OF[kind]
  }
  const message = `unexpected: ${messageOf(error)}`
  const stack = (error instanceof Error ? error.stack : undefined) ?? ''
  tell(json ? { kind: 'unexpected', message, retry: 'never', facts: { stack } } : `tidewater: ${message}\n${stack}`)
  return EXIT.unexpected
}

/** A command line that cannot be understood; for people its message has been printed already. */
export function reportUsage(message: string, json: boolean): number {
  if (json) tell({ kind: 'invalid', message, retry: 'never', facts: {} })
  return EXIT.usage
}

function tell(what: string | { kind: string; message: string; retry: string; facts: object }): void {
  process.stderr.write(`${typeof what === 'string' ? what : stringifyJson({ error: what })}\n`)
}
