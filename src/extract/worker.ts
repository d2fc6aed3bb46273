/**
 * A worker of the pool: takes one object after the other, runs the extractors on it and reports. It may be terminated at
 * any moment and keeps nothing between objects. Before an extractor of the operator's own begins, what is finished is
 * reported, so that the death of this thread costs only the extractor that caused it.
 */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { must } from '../base/assert.ts'
import { Fault, messageOf } from '../base/fault.ts'
import type { Extractor, RangeReader } from './extract.ts'
import { openFile } from './local-file.ts'
import { type FromWorker, fromWire, type TaskMessage, type ToWorker, type WorkerSetup } from './protocol.ts'
import { builtinExtractors, failed, type Outcome, runExtractor, sniffSubject } from './registry.ts'
import { BoundedSource } from './source.ts'
import { assertDistinct, loadExtractor } from './user-extractor.ts'

const port: MessagePort = must(parentPort, 'the parent port of a worker')
const { modules, bounds } = workerData as WorkerSetup

const tasks: TaskMessage[] = []
const reads = new Map<number, { resolve: (bytes: Uint8Array) => void; reject: (error: Error) => void }>()
let nextRead = 1
let isBusy = false

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

async function runTask(task: TaskMessage, extractors: readonly Extractor[]): Promise<void> {
  let outcomes: Outcome[] = []
  let bytesRead = 0
  try {
    const file = task.file === null ? null : openFile(task.file, task.fields.sizeBytes)
    try {
      const source = new BoundedSource(task.fields.sizeBytes, file?.read ?? remoteReader(task), bounds)
      const subject = await sniffSubject(task.fields, source)
      for (let i = task.from; i < extractors.length; i++) {
        if (i >= builtinExtractors.length) {
          file?.check()
          send({ kind: 'progress', id: task.id, next: i, outcomes, bytesRead: source.bytesRead - bytesRead })
          bytesRead = source.bytesRead
          outcomes = []
        }
        const outcome = await runExtractor(extractors[i]!, { ...subject }, source)
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
  const extractors = [...builtinExtractors]
  for (const module of modules) extractors.push(await loadExtractor(module))
  assertDistinct(extractors)
  port.on('message', (message: ToWorker) => {
    if (message.kind === 'bytes') onBytes(message)
    else {
      tasks.push(message)
      void drain(extractors)
    }
  })
  send({
    kind: 'ready',
    extractors: extractors.map(({ name, version }) => ({ name, version })),
    builtin: builtinExtractors.length,
  })
} catch (error) {
  send({ kind: 'unfit', message: messageOf(error) })
}
