/**
 * The AWS JSON 1.1 protocol of Amazon Data Firehose at `POST /`, for AWS SDKs and agents by endpoint override.
 *
 * Its limits hold: 500 records, 1,000 KiB each before base64, 4 MiB in all. SDKs repeat a call with the same invocation id, which
 * is taken as the idempotency key: a record whose answer was lost is not taken twice.
 */
import { randomUUID } from 'node:crypto'
import { Fault } from '../base/fault.ts'
import type { IncomingRecord, Streams } from '../service/streams/streams.ts'
import type { Scope } from './access.ts'
import { batchResponse, describe, listNames, recordResponse, streamArn } from './delivery.ts'
import { type Failure, failureOf } from './status.ts'

const TARGET = 'Firehose_20150804.'
const RECORDS_MAX = 500
const RECORD_BYTES_MAX = 1000 * 1024
const BATCH_BYTES_MAX = 4 * 1024 * 1024
const LIST_MAX = 10_000

/** A failure with the protocol's own name. */
export class AwsProblem extends Error {
  readonly type: string
  readonly status: number

  constructor(type: string, message: string, status = 400) {
    super(message)
    this.type = type
    this.status = status
  }
}

export interface AwsCall {
  target: string | undefined
  body: Uint8Array
  invocationId: string | undefined
  streams: Streams
}

export const requestId = randomUUID

/** Scope that an operation needs. @throws AwsProblem for what is none */
export function scopeOfTarget(target: string | undefined): Scope {
  switch (operationOf(target)) {
    case 'PutRecord':
    case 'PutRecordBatch':
      return 'write'
    case 'DescribeDeliveryStream':
    case 'ListDeliveryStreams':
      return 'read'
    case 'CreateDeliveryStream':
    case 'DeleteDeliveryStream':
      return 'admin'
    default:
      throw new AwsProblem('UnknownOperationException', `X-Amz-Target: got ${JSON.stringify(target ?? null)}`)
  }
}

function operationOf(target: string | undefined): string {
  return target?.startsWith(TARGET) === true ? target.slice(TARGET.length) : ''
}

export async function callFirehose({ target, body, invocationId, streams }: AwsCall): Promise<object> {
  const input = parse(body)
  const stream = () => streams.get(text(input, 'DeliveryStreamName'))
  // The same invocation may hold other records only by mistake; the stream then says so.
  const identity = invocationId === undefined ? {} : { idempotencyKey: `aws-${invocationId}` }
  switch (operationOf(target)) {
    case 'PutRecord': {
      const record = recordOf(member(input, 'Record'), 'Record')
      const { results } = await stream().accept([record], identity)
      return { ...recordResponse(results[0]!), Encrypted: false }
    }
    case 'PutRecordBatch': {
      const records = batchOf(input['Records'])
      const { results } = await stream().accept(records, identity)
      return batchResponse(results)
    }
    case 'DescribeDeliveryStream':
      return describe(stream())
    case 'ListDeliveryStreams': {
      const limit = input['Limit'] ?? 10
      const after = input['ExclusiveStartDeliveryStreamName']
      if (!Number.isInteger(limit) || Number(limit) < 1 || Number(limit) > LIST_MAX)
        throw validation(`Limit: expected a whole number from 1 to ${LIST_MAX}`)
      return listNames(streams.names(), typeof after === 'string' ? after : undefined, Number(limit))
    }
    case 'CreateDeliveryStream': {
      const name = text(input, 'DeliveryStreamName')
      if (streams.names().includes(name))
        throw new AwsProblem('ResourceInUseException', `Firehose ${name} already exists.`)
      await streams.create(name, settingsOf(input))
      return { DeliveryStreamARN: streamArn(name) }
    }
    case 'DeleteDeliveryStream':
      await streams.remove(stream().name)
      return {}
    default:
      throw new AwsProblem('UnknownOperationException', 'unknown operation')
  }
}

/** A failure in the protocol's shape. */
export function awsFailure(error: unknown): {
  status: number
  body: { __type: string; message: string }
  failure: Failure
} {
  const failure = failureOf(error)
  const { kind, message } = failure
  if (error instanceof AwsProblem)
    return {
      status: error.status,
      body: { __type: error.type, message: error.message },
      failure: { ...failure, status: error.status },
    }
  switch (kind) {
    case 'not-found':
      return { status: 400, body: { __type: 'ResourceNotFoundException', message }, failure }
    case 'conflict':
      return { status: 400, body: { __type: 'ResourceInUseException', message }, failure }
    case 'limit':
      return { status: 400, body: { __type: 'LimitExceededException', message }, failure }
    case 'unavailable':
    case 'commit-unknown':
    case 'cancelled':
      return { status: 503, body: { __type: 'ServiceUnavailableException', message }, failure }
    case 'invalid':
    case 'unsupported':
      return { status: 400, body: { __type: 'InvalidArgumentException', message }, failure }
    default:
      return { status: 500, body: { __type: 'InternalFailure', message }, failure }
  }
}

type Input = Record<string, unknown>

function parse(body: Uint8Array): Input {
  try {
    const value: unknown = JSON.parse(Buffer.from(body).toString('utf8') || '{}')
    if (isInput(value)) return value
  } catch {}
  throw new AwsProblem('SerializationException', 'expected a JSON object')
}

function isInput(value: unknown): value is Input {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function member(input: Input, name: string): Input {
  const value = input[name]
  if (isInput(value)) return value
  throw validation(`${name}: expected an object`)
}

function text(input: Input, name: string): string {
  const value = input[name]
  if (typeof value === 'string' && value !== '') return value
  throw validation(`${name}: expected text`)
}

function recordOf(value: unknown, where: string): IncomingRecord {
  const data = isInput(value) ? value['Data'] : undefined
  if (typeof data !== 'string') throw validation(`${where}.Data: expected bytes in base64`)
  if (data.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(data))
    throw new AwsProblem('SerializationException', `${where}.Data is no base64`)
  const bytes = Buffer.from(data, 'base64')
  if (bytes.length > RECORD_BYTES_MAX)
    throw validation(`${where}.Data: at most ${RECORD_BYTES_MAX} bytes, got ${bytes.length}`)
  return { data: bytes }
}

function batchOf(value: unknown): IncomingRecord[] {
  if (!Array.isArray(value) || value.length < 1 || value.length > RECORDS_MAX)
    throw validation(`Records: expected 1 to ${RECORDS_MAX} records`)
  const records = value.map((record, at) => recordOf(record, `Records[${at}]`))
  const bytes = records.reduce((sum, { data }) => sum + data.length, 0)
  if (bytes > BATCH_BYTES_MAX)
    throw new AwsProblem('InvalidArgumentException', `Records: at most ${BATCH_BYTES_MAX} bytes in all, got ${bytes}`)
  return records
}

function validation(message: string): AwsProblem {
  return new AwsProblem('ValidationException', message)
}

/** A delivery stream's settings as a stream's. The table must be there: AWS describes no columns. */
function settingsOf(input: Input): unknown {
  const destination = input['IcebergDestinationConfiguration']
  if (!isInput(destination))
    throw new Fault(
      'invalid',
      'expected an IcebergDestinationConfiguration: streams write Iceberg tables and nothing else',
    )
  const tables = destination['DestinationTableConfigurationList']
  if (!Array.isArray(tables) || tables.length !== 1 || !isInput(tables[0]))
    throw new Fault('invalid', 'DestinationTableConfigurationList: expected one table; a stream has one')
  const [table] = tables
  const hints = isInput(destination['BufferingHints']) ? destination['BufferingHints'] : {}
  const evolution = destination['SchemaEvolutionConfiguration']
  return {
    table: `${text(table, 'DestinationDatabaseName')}.${text(table, 'DestinationTableName')}`,
    ...(table['UniqueKeys'] === undefined ? {} : { uniqueKeys: table['UniqueKeys'] }),
    ...(isInput(evolution) && evolution['Enabled'] === true ? { unknownFields: 'evolve' } : {}),
    buffer: {
      ...(hints['IntervalInSeconds'] === undefined ? {} : { seconds: hints['IntervalInSeconds'] }),
      ...(hints['SizeInMBs'] === undefined ? {} : { mebibytes: hints['SizeInMBs'] }),
    },
  }
}
