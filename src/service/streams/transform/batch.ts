/**
 * The contract of functions written for a delivery stream: called with many records in base64, answers with one result for each,
 * told apart by `recordId`. A result that breaks the contract costs its own record; an answer that is none fails the invocation.
 */
import { messageOf } from '../../../base/fault.ts'
import { limits } from '../../../base/limits.ts'
import { type Answered, failed, isThenable, tooLarge } from './contract.ts'
import type { InvokeMessage, WorkerSetup } from './protocol.ts'
import { readTarget } from './target.ts'

export type Handler = (event: unknown, context: unknown, callback: (error: unknown, value?: unknown) => void) => unknown

/** The event that a function is called with. */
export function eventOf(
  { invocationId, records, bytes, ends }: InvokeMessage,
  { arn, region }: Pick<WorkerSetup, 'arn' | 'region'>,
): object {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  return {
    invocationId,
    deliveryStreamArn: arn,
    region,
    records: records.map(({ recordId, receivedMs }, at) => ({
      recordId,
      approximateArrivalTimestamp: receivedMs,
      data: all.toString('base64', at === 0 ? 0 : ends[at - 1], ends[at]),
    })),
  }
}

/** Calls a function in any of its styles: a promise, a callback, `context.succeed`. */
export function callHandler(
  handler: Handler,
  event: object,
  setup: WorkerSetup,
  invocationId: string,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const done = (error: unknown, value?: unknown) => {
      if (error === null || error === undefined) resolve(value)
      else reject(error)
    }
    const endsMs = performance.now() + setup.timeMs
    const name = process.env['AWS_LAMBDA_FUNCTION_NAME'] ?? setup.stream
    const context = {
      functionName: name,
      functionVersion: '$LATEST',
      invokedFunctionArn: `arn:aws:lambda:${setup.region}:000000000000:function:${name}`,
      memoryLimitInMB: String(setup.memoryMiB),
      awsRequestId: invocationId,
      logGroupName: `/aws/lambda/${name}`,
      logStreamName: invocationId,
      callbackWaitsForEmptyEventLoop: true,
      getRemainingTimeInMillis: () => Math.max(0, Math.round(endsMs - performance.now())),
      done,
      succeed: resolve,
      fail: reject,
    }
    const returned = handler(event, context, done)
    if (isThenable(returned)) returned.then(resolve, reject)
    // A function that returns nothing answers by its callback.
    else if (returned !== undefined) resolve(returned)
  })
}

export interface BatchAnswer {
  answers: Answered[]
  /** Results of records that nobody sent. */
  strays: number
}

const RESULTS = ['Ok', 'Dropped', 'ProcessingFailed']

/** One answer for each id, in their order. @throws Error when what was returned has no list of results */
export function readBatch(returned: unknown, ids: readonly string[]): BatchAnswer {
  const records = isObject(returned) ? returned['records'] : undefined
  if (!Array.isArray(records)) throw new Error(`expected { records: [ … ] }, got ${describe(returned)}`)
  const byId = new Map<string, { result: Record<string, unknown>; count: number }>()
  const wanted = new Set(ids)
  let strays = 0
  for (const result of records as unknown[]) {
    const id = isObject(result) ? result['recordId'] : undefined
    if (!isObject(result) || typeof id !== 'string' || !wanted.has(id)) {
      strays++
      continue
    }
    const known = byId.get(id)
    if (known === undefined) byId.set(id, { result, count: 1 })
    else known.count++
  }
  const answers = ids.map((id): Answered => {
    const found = byId.get(id)
    if (found === undefined) return failed('TransformMissingRecord', `the function gave no result for recordId ${id}`)
    const { result, count } = found
    if (count > 1) return failed('TransformFanOut', `one record gives one result, got ${count} for recordId ${id}`)
    try {
      return answerOf(result)
    } catch (error) {
      return failed('TransformInvalidResult', `the result cannot be read: ${messageOf(error)}`)
    }
  })
  return { answers, strays }
}

function answerOf(said: Record<string, unknown>): Answered {
  const { result, data } = said
  if (result === 'Dropped') return { answer: { as: 'dropped' }, bytes: null }
  if (result === 'ProcessingFailed') return failed('TransformFailed', 'the function answered ProcessingFailed')
  if (result !== 'Ok') {
    return failed('TransformInvalidResult', `expected as result ${RESULTS.join(', ')}, got ${describe(result)}`)
  }
  if (typeof data !== 'string' || !isBase64(data)) {
    return failed('TransformInvalidData', `expected data in base64, got ${describe(data)}`)
  }
  const bytes = Buffer.from(data, 'base64')
  if (bytes.length > limits.streamRecordBytesMax) return tooLarge(bytes.length)
  const metadata = isObject(said['metadata']) ? said['metadata'] : {}
  const target = isObject(metadata['otfMetadata']) ? metadata['otfMetadata'] : {}
  const to = readTarget({
    database: target['destinationDatabaseName'],
    table: target['destinationTableName'],
    operation: target['operation'],
  })
  if (!to.ok) return failed(to.code, to.message)
  return { answer: { as: 'changed', size: bytes.length, to: to.to }, bytes }
}

/** Node's own reader takes anything and leaves out what it does not know. */
function isBase64(text: string): boolean {
  return text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function describe(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)} …` : value)
  return value === null ? 'null' : Array.isArray(value) ? 'a list' : typeof value
}
