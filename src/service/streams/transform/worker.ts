/**
 * A worker of the transform step: runs a function over the records of one job after the other and reports. It may be terminated
 * at any moment and keeps nothing of its own between jobs. Which record runs is written down before it runs, so that the death of
 * this thread is told from the record that caused it.
 */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { must } from '../../../base/assert.ts'
import { messageOf } from '../../../base/fault.ts'
import { Progress } from '../../../threads/threads.ts'
import { callHandler, eventOf, type Handler, readBatch } from './batch.ts'
import { type Answered, brief, runRecord } from './contract.ts'
import { type Loaded, loadFunction } from './load.ts'
import type { FromWorker, InvokeMessage, WorkerSetup } from './protocol.ts'

const port: MessagePort = must(parentPort, 'the parent port of a worker')
const setup = workerData as WorkerSetup
const progress = new Progress(setup.progress)
/** Answers are told at least so often, so that few are lost with this thread. */
const TELL_MS = 5

function send(message: FromWorker, transfer: readonly ArrayBuffer[] = []): void {
  port.postMessage(message, transfer)
}

function tell(id: number, answered: readonly Answered[], last: boolean, strays = 0): void {
  const chunks = answered.flatMap(({ bytes }) => (bytes === null ? [] : [bytes]))
  const bytes = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0))
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  const answers = answered.map(({ answer }) => answer)
  send({ kind: 'answers', id, answers, bytes, strays, last }, [bytes.buffer])
}

async function runRecords(call: Loaded['call'], { id, records, bytes, ends }: InvokeMessage): Promise<void> {
  let answered: Answered[] = []
  let since = performance.now()
  for (const [at, facts] of records.entries()) {
    if (answered.length > 0 && performance.now() - since > TELL_MS) {
      tell(id, answered, false)
      answered = []
      since = performance.now()
    }
    progress.begin(at)
    const result = runRecord(call, setup, facts, bytes.subarray(at === 0 ? 0 : ends[at - 1], ends[at]))
    answered.push(result instanceof Promise ? await result : result)
  }
  tell(id, answered, true)
}

async function runBatch(handler: Handler, message: InvokeMessage): Promise<void> {
  const { id, invocationId, records } = message
  progress.begin(0)
  let returned: unknown
  try {
    returned = await callHandler(handler, eventOf(message, setup), setup, invocationId)
  } catch (error) {
    send({ kind: 'broke', id, code: 'TransformThrew', message: brief(`the function threw: ${messageOf(error)}`) })
    return
  }
  try {
    const ids = records.map(({ recordId }) => recordId)
    const { answers, strays } = readBatch(returned, ids)
    tell(id, answers, true, strays)
  } catch (error) {
    send({ kind: 'broke', id, code: 'TransformInvalidResult', message: brief(messageOf(error)) })
  }
}

function prepareEnvironment(): void {
  // A worker's environment is a copy. What functions of a delivery stream find in theirs is here too; our own secrets are not.
  const { env } = process
  delete env['TIDEWATER_API_KEYS']
  delete env['TIDEWATER_API_KEY']
  env['AWS_REGION'] ??= setup.region
  env['AWS_LAMBDA_FUNCTION_NAME'] ??= setup.stream
  env['AWS_LAMBDA_FUNCTION_MEMORY_SIZE'] ??= String(setup.memoryMiB)
}

try {
  prepareEnvironment()
  const { contract, call } = await loadFunction(setup)
  port.on('message', (message: InvokeMessage) => {
    void (contract === 'record' ? runRecords(call, message) : runBatch(call as Handler, message))
  })
  send({ kind: 'ready', contract })
} catch (error) {
  send({ kind: 'unfit', message: messageOf(error) })
}
