/**
 * Faults: every error that Tidewater raises on purpose.
 *
 * A fault has a kind (few, each with one meaning) and says whether trying again is safe. The message says what was
 * expected, what came, where, and what to do next. A bug is not a fault: it fails an assertion (`assert.ts`).
 */

/** What went wrong, from the caller's side. Every kind is listed with its meaning in `docs/faults.md`. */
export type FaultKind =
  /** The caller's input breaks a stated rule: nothing was changed. */
  | 'invalid'
  /** The named thing does not exist. */
  | 'not-found'
  /** The named thing exists already, or somebody else holds it. */
  | 'conflict'
  /** The object's bytes are no longer those that were asked for (etag or version differs). */
  | 'superseded'
  /** Stored bytes contradict their checksum, length or format. */
  | 'corrupt'
  /** A stated bound was reached (size, count, memory, time). */
  | 'limit'
  /** The part does not do this on purpose; the message names what does. */
  | 'unsupported'
  /** A resource outside the process failed in a way that may pass (I/O error, busy file, full disk). */
  | 'unavailable'
  /** A commit was sent and its outcome could not be learned. Nothing may be deleted because of it. */
  | 'commit-unknown'
  /** The work was stopped by its caller. */
  | 'cancelled'

/** Is trying again safe? `after-check`: only after finding out whether the first attempt took effect. */
export type Retry = 'never' | 'safe' | 'after-check'

const RETRY: Record<FaultKind, Retry> = {
  invalid: 'never',
  'not-found': 'never',
  conflict: 'safe',
  superseded: 'never',
  corrupt: 'never',
  limit: 'never',
  unsupported: 'never',
  unavailable: 'safe',
  'commit-unknown': 'after-check',
  cancelled: 'never',
}

/** Facts for logs and programs: names to scalars. Never secrets, never whole payloads. */
export type FaultFacts = Record<string, string | number | boolean | bigint | null | undefined>

export class Fault extends Error {
  readonly kind: FaultKind
  readonly retry: Retry
  readonly facts: FaultFacts

  /**
   * @param kind what went wrong
   * @param message one or two sentences: expected, got, where, what to do
   * @param facts values for programs; shown by `--json` and logs
   * @param cause the error underneath, kept for debugging
   */
  constructor(kind: FaultKind, message: string, facts: FaultFacts = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'Fault'
    this.kind = kind
    this.retry = RETRY[kind]
    this.facts = facts
  }
}

/** True when `error` is a fault, of `kind` if given. */
export function isFault(error: unknown, kind?: FaultKind): error is Fault {
  return error instanceof Fault && (kind === undefined || error.kind === kind)
}

/** A thrown value as a fault: what is none has the kind `unavailable`, since nobody knows that it will last. */
export function faultOf(error: unknown): Fault {
  return isFault(error) ? error : new Fault('unavailable', messageOf(error), {}, error)
}

/** The text of any thrown value, for messages that wrap it. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** The primary result code of an error of `node:sqlite` (sqlite.org, "Result and Error Codes"), or undefined for other errors. */
export function sqliteCode(error: unknown): number | undefined {
  const code = error instanceof Error ? (error as { errcode?: unknown }).errcode : undefined
  return typeof code === 'number' ? code & 0xff : undefined
}

/** The `code` of a Node system error (`ENOENT`, `EEXIST`, …), or undefined. */
export function systemCode(error: unknown): string | undefined {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined
  return typeof code === 'string' ? code : undefined
}
