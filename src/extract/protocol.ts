/** Messages between the pool and its workers. Both ends are of one build, so they carry no version. */
import { Fault, type FaultKind, isFault, messageOf } from '../base/fault.ts'
import type { LocalFile } from './extract.ts'
import type { Outcome, SubjectFields } from './registry.ts'
import type { SourceBounds } from './source.ts'

/** What a worker is started with. */
export interface WorkerSetup {
  /** Names of the built-in extractors that run. */
  builtin: readonly string[]
  modules: readonly ExtractorModule[]
  bounds: SourceBounds
}

/**
 * An extractor of the operator's own: a file that exports `appliesTo` and `extract`, or an object with them as default; or a function
 * `create(options)` that gives such an object.
 */
export interface ExtractorModule {
  /** Path of the file, absolute or from the working directory. */
  module: string
  /** Takes the place of the name that the module gives itself. */
  name?: string
  /** Counts where nothing gives a name; by default the name of the file. */
  defaultName?: string
  /** What a module that exports `create` is made with. Plain data. */
  options?: unknown
}

export interface TaskMessage {
  kind: 'task'
  id: number
  fields: SubjectFields
  file: LocalFile | null
  /** The object's first bytes, fetched ahead for a task without a file. */
  head: Uint8Array | null
  /** Index of the first extractor to run: those before it have had their turn. */
  from: number
}

/** The answer to a `read`. */
export interface BytesMessage {
  kind: 'bytes'
  read: number
  bytes: Uint8Array | null
  fault: WireFault | null
}

export type ToWorker = TaskMessage | BytesMessage

export type FromWorker =
  /** Extractors in order, and how many of the first run together. */
  | { kind: 'ready'; extractors: { name: string; version: number }[]; together: number }
  /** An extractor module cannot be used: the pool does not open. */
  | { kind: 'unfit'; message: string }
  /** The extractor at `next` begins; what was finished before it is safe. */
  | { kind: 'progress'; id: number; next: number; outcomes: Outcome[]; bytesRead: number }
  | { kind: 'read'; id: number; read: number; start: number; end: number }
  /**
   * Something that an extractor of the operator's own left behind has failed. `isRunning`: that call is still under way and
   * will not come to its end; otherwise it has returned, and what it returned holds.
   */
  | { kind: 'stray'; id: number; extractor: string; isRunning: boolean; message: string }
  | { kind: 'done'; id: number; outcomes: Outcome[]; bytesRead: number }

/** A fault as data: errors lose their class between threads. */
export interface WireFault {
  kind: FaultKind
  message: string
  /** Of a store's answer. */
  code?: string
}

/** Anything that a reader threw; what is no fault counts as a failure that may pass. */
export function toWire(error: unknown): WireFault {
  const message = messageOf(error)
  if (!isFault(error)) return { kind: 'unavailable', message }
  const code = error.facts['code']
  return { kind: error.kind, message, ...(typeof code === 'string' && { code }) }
}

export function fromWire(fault: WireFault): Fault {
  return new Fault(fault.kind, fault.message, fault.code === undefined ? {} : { code: fault.code })
}
