/** A record on its way through a function, and the request that waits for it. */
import type { PipelineRecord } from '../pipeline.ts'
import { type RecordProblemCode, readRecord } from '../record.ts'
import type { Answer, RecordFacts, Target } from './protocol.ts'
import { destinationOf } from './target.ts'

/** A call of the step: resolved when each of its records has its answer. */
export interface Request {
  /** Records without an answer yet. */
  open: number
  bytes: number
  isOver: boolean
  resolve: () => void
  reject: (error: Error) => void
}

export class Item {
  readonly record: PipelineRecord
  readonly request: Request
  readonly sizeBytes: number
  readonly recordId: string
  readonly #origin: { receivedMs: number; ip: string | null; userAgent: string | null }
  /** Invocations that it has failed by itself. */
  failures = 0
  isSettled = false

  constructor(record: PipelineRecord, request: Request, recordId: string, origin: Item['origin']) {
    this.record = record
    this.request = request
    this.recordId = recordId
    this.sizeBytes = record.data.length
    this.#origin = origin
  }

  get origin(): { receivedMs: number; ip: string | null; userAgent: string | null } {
    return this.#origin
  }

  facts(tries: number): RecordFacts {
    const { receivedMs, ip, userAgent } = this.#origin
    return {
      receivedMs,
      ip,
      userAgent,
      destination: this.record.destination,
      operation: this.record.operation ?? null,
      attempt: 1 + this.failures + tries,
      recordId: this.recordId,
    }
  }

  /** @param bytes of a `changed` answer */
  settle(answer: Exclude<Answer, { as: 'failed' }>, bytes: Uint8Array | null): void {
    const { record } = this
    switch (answer.as) {
      case 'same':
        this.#route(answer.to)
        break
      case 'changed':
        record.data = bytes ?? new Uint8Array()
        record.value = null
        record.changed = false
        this.#route(answer.to)
        break
      case 'dropped':
        record.outcome = { kind: 'dropped' }
        break
      case 'unreadable': {
        const read = readRecord(record.data)
        const problem = read.ok
          ? { code: 'InvalidEncoding' as const, message: 'expected text in UTF-8 for the transform function' }
          : read.problem
        record.outcome = { kind: 'failed', problem }
        break
      }
    }
    this.#over()
  }

  /** @param tries so many invocations failed, this one too */
  fail(code: RecordProblemCode, message: string, tries = 1): void {
    const problem = tries > 1 ? { code, message: `${message} (${tries} tries)`, tries } : { code, message }
    this.record.outcome = { kind: 'failed', problem }
    this.#over()
  }

  #route(to: Target | null): void {
    if (to === null) return
    this.record.destination = destinationOf(this.record.destination, to)
    if (to.operation !== undefined) this.record.operation = to.operation
  }

  #over(): void {
    this.isSettled = true
    if (--this.request.open > 0 || this.request.isOver) return
    this.request.isOver = true
    this.request.resolve()
  }
}
