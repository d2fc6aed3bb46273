/**
 * A worker of the pool: takes one object after the other, runs the extractors on it and reports. It may be terminated at
 * any moment and keeps nothing between objects. Before an extractor of the operator's own begins, or a built-in one that
 * stands on a foreign library, what is finished is reported, so that the death of this thread costs only the extractor that
 * caused it.
 *
 * An extractor may also leave something behind that fails after it has returned: a promise that nobody awaits, a timer.
 * Each call has its own async context, so such a failure is told under the call that caused it, whatever runs by then.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { setImmediate } from 'node:timers/promises'
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { must } from '../base/assert.ts'
import { Fault, messageOf } from '../base/fault.ts'
import type { Extractor, ExtractSubject, RangeReader } from './extract.ts'
import { openFile } from './local-file.ts'
import { type FromWorker, fromWire, type TaskMessage, type ToWorker, type WorkerSetup } from './protocol.ts'
import {
  builtinExtractors,
  chosenExtractors,
  failed,
  faultOf,
  type Outcome,
  runExtractor,
  runsAlone,
  sniffSubject,
} from './registry.ts'
import { BoundedSource } from './source.ts'
import { assertDistinct, loadExtractor } from './user-extractor.ts'

const port: MessagePort = must(parentPort, 'the parent port of a worker')
const { builtin, modules, bounds } = workerData as WorkerSetup

const tasks: TaskMessage[] = []
const reads = new Map<number, { resolve: (bytes: Uint8Array) => void; reject: (error: Error) => void }>()
let nextRead = 1
let isBusy = false
let isReady = false

/** One call of an extractor that runs alone, or the loading of its module. */
interface Call {
  /** Of the task; 0 while the module is loaded. */
  id: number
  extractor: string
  state: 'running' | 'settling' | 'over'
  /** Failures beside what it returned or threw. */
  strays: unknown[]
}

const calls = new AsyncLocalStorage<Call>()
/** Failures that are told of one call. */
const STRAYS_MAX = 4

function send(message: FromWorker): void {
  port.postMessage(message)
}

/** Ranges by way of the main thread, where stores live. The head came with the task. */
function remoteReader(task: TaskMessage): RangeReader {
  return (start, end) => {
    const { head } = task
    if (head !== null && end <= head.length) return Promise.resolve(head.subarray(start, end))
    return new Promise((resolve, reject) => {
      const read = nextRead++
      reads.set(read, { resolve, reject })
      send({ kind: 'read', id: task.id, read, start, end })
    })
  }
}

/** Runs an extractor that runs alone, and adds to its faults what it left behind. */
function runCall(id: number): typeof runExtractor {
  return async (extractor: Extractor, subject: ExtractSubject, source: BoundedSource): Promise<Outcome | null> => {
    const { name } = extractor
    const call: Call = { id, extractor: name, state: 'running', strays: [] }
    const outcome = await calls.run(call, () => runExtractor(extractor, subject, source))
    call.state = 'settling'
    // Rejections that nobody handles are told when the microtasks have run.
    await setImmediate()
    call.state = 'over'
    if (call.strays.length === 0) return outcome
    const faults = call.strays.map((error) => faultOf(name, error))
    return outcome === null
      ? { extractor: name, facts: {}, bytesAtMost: 2, faults }
      : { ...outcome, faults: [...outcome.faults, ...faults] }
  }
}

/** A failure that no `await` saw. @param isFatal the call that caused it cannot be expected to go on */
function onStray(error: unknown, isFatal: boolean): void {
  const call = calls.getStore()
  // Nobody's, or a module that cannot be loaded: the thread ends by it, as it would without a handler.
  if (call === undefined || !isReady) {
    process.removeAllListeners('uncaughtException')
    process.removeAllListeners('unhandledRejection')
    queueMicrotask(() => {
      throw error
    })
    return
  }
  if (call.strays.push(error) > STRAYS_MAX) call.strays.pop()
  else if (call.state === 'over' || (call.state === 'running' && isFatal)) {
    const { message } = faultOf(call.extractor, error)
    send({ kind: 'stray', id: call.id, extractor: call.extractor, isRunning: call.state === 'running', message })
  }
}

async function runTask(task: TaskMessage, extractors: readonly Extractor[]): Promise<void> {
  let outcomes: Outcome[] = []
  let bytesRead = 0
  try {
    const file = task.file === null ? null : openFile(task.file, task.fields.sizeBytes)
    try {
      const source = new BoundedSource(task.fields.sizeBytes, file?.read ?? remoteReader(task), bounds)
      const subject = await sniffSubject(task.fields, source)
      for (let i = task.from; i < extractors.length; i++) {
        const extractor = extractors[i]!
        const isAlone = runsAlone(extractor)
        // Where a built-in one has nothing to do, its turn costs nothing.
        if (builtinExtractors.includes(extractor) && !extractor.appliesTo(subject)) continue
        if (isAlone) {
          file?.check()
          send({ kind: 'progress', id: task.id, next: i, outcomes, bytesRead: source.bytesRead - bytesRead })
          bytesRead = source.bytesRead
          outcomes = []
        }
        const outcome = await (isAlone ? runCall(task.id) : runExtractor)(extractor, { ...subject }, source)
        if (outcome !== null) outcomes.push(outcome)
      }
      bytesRead = source.bytesRead - bytesRead
      file?.check()
    } finally {
      file?.close()
    }
  } catch (error) {
    outcomes.push(failed('read', error))
  }
  send({ kind: 'done', id: task.id, outcomes, bytesRead })
}

async function drain(extractors: readonly Extractor[]): Promise<void> {
  if (isBusy) return
  isBusy = true
  for (let task = tasks.shift(); task !== undefined; task = tasks.shift()) await runTask(task, extractors)
  isBusy = false
}

function onBytes({ read, bytes, fault }: Extract<ToWorker, { kind: 'bytes' }>): void {
  const waiting = reads.get(read)
  reads.delete(read)
  if (waiting === undefined) return
  if (fault !== null) waiting.reject(fromWire(fault))
  else if (bytes === null) waiting.reject(new Fault('unavailable', 'A read was answered without bytes.'))
  else waiting.resolve(bytes)
}

try {
  process.on('uncaughtException', (error) => onStray(error, true))
  process.on('unhandledRejection', (error) => onStray(error, false))
  const extractors = [...chosenExtractors(builtin)]
  for (const module of modules) {
    const call: Call = { id: 0, extractor: module.name ?? module.module, state: 'over', strays: [] }
    extractors.push(await calls.run(call, () => loadExtractor(module)))
  }
  assertDistinct(extractors)
  port.on('message', (message: ToWorker) => {
    if (message.kind === 'bytes') onBytes(message)
    else {
      tasks.push(message)
      void drain(extractors)
    }
  })
  isReady = true
  send({
    kind: 'ready',
    extractors: extractors.map(({ name, version }) => ({ name, version })),
    together: extractors.filter((extractor) => !runsAlone(extractor)).length,
  })
} catch (error) {
  send({ kind: 'unfit', message: messageOf(error) })
}
