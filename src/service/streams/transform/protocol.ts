/** Messages between the transform step and its workers. Both ends are of one build, so they carry no version. */
import type { RecordProblemCode } from '../record.ts'
import type { Operation } from '../request.ts'

/** What a worker is started with. */
export interface WorkerSetup {
  module: string
  function: string | undefined
  contract: 'record' | 'batch' | undefined
  input: 'json' | 'text' | 'bytes'
  stream: string
  arn: string
  region: string
  timeMs: number
  memoryMiB: number
  /** Cells of `Progress`. */
  progress: Int32Array
}

/** A record as a function sees it, but for its bytes. */
export interface RecordFacts {
  receivedMs: number
  ip: string | null
  userAgent: string | null
  destination: string
  operation: Operation | null
  /** 1 for the first. */
  attempt: number
  /** Of contract `batch`. */
  recordId: string
}

export interface InvokeMessage {
  kind: 'invoke'
  id: number
  /** New for every invocation. */
  invocationId: string
  records: readonly RecordFacts[]
  /** The records' bytes behind one another, and where each ends. */
  bytes: Uint8Array<ArrayBuffer>
  ends: readonly number[]
}

/** Where a result wants to go; absent members stay as they are. */
export interface Target {
  database?: string
  table?: string
  operation?: Operation
}

export type Answer =
  /** Goes on as it came. */
  | { as: 'same'; to: Target | null }
  /** Goes on as the next `size` bytes of the message. */
  | { as: 'changed'; size: number; to: Target | null }
  | { as: 'dropped' }
  /** `again`: the invocation failed, and another may not. */
  | { as: 'failed'; code: RecordProblemCode; message: string; again: boolean }
  /** What the function would be given cannot be read from the bytes; it was not called. */
  | { as: 'unreadable' }

export type FromWorker =
  | { kind: 'ready'; contract: 'record' | 'batch' }
  /** The module cannot be used: the pool does not open. */
  | { kind: 'unfit'; message: string }
  /**
   * Answers of the job's next records in their order; with the `last` of them the job is over. In one message, so that no death of
   * the thread comes between. `strays`: results of records that nobody sent.
   */
  | {
      kind: 'answers'
      id: number
      answers: readonly Answer[]
      bytes: Uint8Array<ArrayBuffer>
      strays: number
      last: boolean
    }
  /** The invocation of a batch failed as a whole. */
  | { kind: 'broke'; id: number; code: RecordProblemCode; message: string }
