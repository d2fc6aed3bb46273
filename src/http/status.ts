/** The one table from what went wrong to an HTTP status, and a failure as a document. */
import type { FaultKind } from '../base/fault.ts'
import { isFault, messageOf } from '../base/fault.ts'

const STATUS: Record<FaultKind, number> = {
  invalid: 400,
  unsupported: 400,
  'not-found': 404,
  conflict: 409,
  superseded: 409,
  corrupt: 500,
  limit: 413,
  unavailable: 503,
  'commit-unknown': 503,
  cancelled: 503,
}

/** Seconds after which a refused request may come again. */
const RETRY_AFTER = { backlog: 2, unavailable: 5 }

export interface Failure {
  status: number
  kind: FaultKind | 'unexpected' | 'unauthenticated' | 'forbidden' | 'timeout'
  message: string
  retryAfterSeconds?: number
}

/** A failure that is about the request's way here, not about what it asks. */
export class HttpProblem extends Error {
  readonly failure: Failure

  constructor(status: number, kind: Failure['kind'], message: string) {
    super(message)
    this.failure = { status, kind, message }
  }
}

/** A failure with more to tell than its kind: members of the answer beside `error`. */
export class ToldFailure extends Error {
  readonly reason: unknown
  readonly told: object

  constructor(reason: unknown, told: object) {
    super(messageOf(reason), { cause: reason })
    this.reason = reason
    this.told = told
  }
}

export function failureOf(error: unknown): Failure {
  if (error instanceof ToldFailure) return failureOf(error.reason)
  if (error instanceof HttpProblem) return error.failure
  if (isFault(error)) {
    const { kind, message, facts } = error
    if (facts['backlogBytes'] !== undefined)
      return { status: 429, kind, message, retryAfterSeconds: RETRY_AFTER.backlog }
    if (typeof facts['retryAfterMs'] === 'number')
      return { status: 429, kind, message, retryAfterSeconds: Math.ceil(facts['retryAfterMs'] / 1000) }
    const status = STATUS[kind]
    return { status, kind, message, ...(status === 503 ? { retryAfterSeconds: RETRY_AFTER.unavailable } : {}) }
  }
  // What Fastify itself refuses: a path that cannot be decoded, a header that is wrong.
  const status = (error as { statusCode?: unknown } | null)?.statusCode
  if (status === 413) return { status, kind: 'limit', message: messageOf(error) }
  if (typeof status === 'number' && status >= 400 && status < 500)
    return { status, kind: 'invalid', message: messageOf(error) }
  return {
    status: 500,
    kind: 'unexpected',
    message: 'something unforeseen happened; the server has told it on its standard error',
  }
}
