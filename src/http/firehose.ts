/**
 * The AWS JSON 1.1 protocol of Amazon Data Firehose at `POST /`, for AWS SDKs and agents by endpoint override.
 *
 * Its limits hold: 500 records, 1,000 KiB each before base64, 4 MiB in all. SDKs repeat a call with the same invocation id, which
 * is taken as the idempotency key: a record whose answer was lost is not taken twice.
 */
import { isFault } from '../base/fault.ts'
import type { Identity, Stream, StreamInput, Streams } from '../service/streams/streams.ts'
import type { Scope } from './access.ts'
import { ACCOUNT, AwsProblem, invalidArgument, missing, validation } from './aws-problem.ts'
import { batchText, DESTINATION_ID, describe, listNames, recordResponse, streamArn } from './delivery.ts'
import { quickBatch } from './firehose-batch.ts'
import {
  encryptionOf,
  type Input,
  isInput,
  settingsEncrypted,
  settingsToCreate,
  settingsToUpdate,
} from './firehose-settings.ts'
import { tagCall, tagStream, tagsOf } from './firehose-tags.ts'
import { documentsOf, type Group } from './pieces.ts'
import { type GroupResult, type Sender, takeGroups, takeWhole } from './taking.ts'

const TARGET = 'Firehose_20150804.'
const RECORDS_MAX = 500
const RECORD_BYTES_MAX = 1000 * 1024
const BATCH_BYTES_MAX = 4 * 1024 * 1024
const BATCH_BOUNDS = { recordsMax: RECORDS_MAX, recordBytesMax: RECORD_BYTES_MAX, bytesMax: BATCH_BYTES_MAX }
const LIST_MAX = 10_000
const LIST_DEFAULT = 10

const OPERATIONS: Readonly<Record<string, Scope>> = {
  PutRecord: 'write',
  PutRecordBatch: 'write',
  DescribeDeliveryStream: 'read',
  ListDeliveryStreams: 'read',
  ListTagsForDeliveryStream: 'read',
  CreateDeliveryStream: 'admin',
  DeleteDeliveryStream: 'admin',
  UpdateDestination: 'admin',
  StartDeliveryStreamEncryption: 'admin',
  StopDeliveryStreamEncryption: 'admin',
  TagDeliveryStream: 'admin',
  UntagDeliveryStream: 'admin',
}

export interface AwsCall {
  operation: string
  body: Buffer
  invocationId: string | undefined
  /** Of the client, as it signs; null: it does not say. */
  region: string | null
  streams: Streams
  sender: Sender
  /** May the sender do this with the stream? Null: with all of them. @throws AwsProblem */
  require: (stream: string | null) => void
  /** Of those names, the ones that the sender may see. */
  visible: (name: string) => boolean
  tableExists: (table: string) => Promise<boolean>
  /** Told the offset behind the last record that was taken. */
  onEnd: (end: number) => void
}

/** The operation and the scope that it needs. @throws AwsProblem for what is none */
export function operationOf(target: string | undefined): { operation: string; scope: Scope } {
  const operation = target?.startsWith(TARGET) === true ? target.slice(TARGET.length) : ''
  const scope = Object.hasOwn(OPERATIONS, operation) ? OPERATIONS[operation] : undefined
  if (scope === undefined)
    throw new AwsProblem(
      'UnknownOperationException',
      `X-Amz-Target: got ${JSON.stringify(target ?? null).slice(0, 200)}`,
    )
  return { operation, scope }
}

/** @returns the answer, or its text */
export async function callFirehose(call: AwsCall): Promise<object | string> {
  const { operation, streams, region } = call
  const batch = operation === 'PutRecordBatch' ? quickBatch(call.body, BATCH_BOUNDS) : null
  if (batch !== null) {
    const stream = streamOf(call, { DeliveryStreamName: batch.stream })
    const { results, end } = await takeWhole(
      stream,
      { records: batch.records, refused: new Map() },
      identityOf(call),
      call.sender,
    )
    call.onEnd(end)
    return batchText(results!)
  }
  const input = parse(call.body)
  const named = () => streamOf(call, input)
  switch (operation) {
    case 'PutRecord': {
      const { results } = await put(call, named(), [groupOf(input['Record'], 'record')])
      const [result] = results
      if (result?.kind === 'refused') throw invalidArgument(result.message)
      return { ...recordResponse(result!), Encrypted: false }
    }
    case 'PutRecordBatch': {
      const stream = named()
      const { results } = await put(call, stream, batchOf(input['Records']))
      return batchText(results)
    }
    case 'DescribeDeliveryStream':
      return describe(named(), region)
    case 'ListDeliveryStreams':
      return list(call, input)
    case 'CreateDeliveryStream':
      return create(call, input)
    case 'UpdateDestination':
      return update(call, named(), input)
    case 'DeleteDeliveryStream':
      await streams.remove(named().name)
      return {}
    case 'StartDeliveryStreamEncryption': {
      const asked = input['DeliveryStreamEncryptionConfigurationInput'] ?? { KeyType: 'AWS_OWNED_CMK' }
      const stream = named()
      if (!isInput(asked)) throw missing('deliveryStreamEncryptionConfigurationInput')
      await streams.update(stream.name, settingsEncrypted(stream, encryptionOf(asked)), stream.version)
      return {}
    }
    case 'StopDeliveryStreamEncryption': {
      const stream = named()
      await streams.update(stream.name, settingsEncrypted(stream, null), stream.version)
      return {}
    }
    case 'TagDeliveryStream':
    case 'UntagDeliveryStream':
    case 'ListTagsForDeliveryStream':
      return tagCall(operation, streams, named().name, input)
    default:
      throw new AwsProblem('UnknownOperationException', 'unknown operation')
  }
}

async function put(call: AwsCall, stream: Stream, groups: readonly Group[]): Promise<{ results: GroupResult[] }> {
  const { results, end } = await takeGroups(stream, groups, identityOf(call), call.sender)
  call.onEnd(end)
  return { results }
}

/** The same invocation may hold other records only by mistake; the stream then says so. */
function identityOf({ invocationId }: AwsCall): Identity {
  return invocationId === undefined ? {} : { idempotencyKey: `aws-${invocationId}` }
}

function list({ streams, visible }: AwsCall, input: Input): object {
  const limit = input['Limit'] ?? LIST_DEFAULT
  const after = input['ExclusiveStartDeliveryStreamName']
  const type = input['DeliveryStreamType'] ?? 'DirectPut'
  if (!Number.isInteger(limit)) throw new AwsProblem('SerializationException', 'Limit: expected a whole number')
  if (Number(limit) < 1) throw validation(`'${limit}'`, 'limit', 'Member must have value greater than or equal to 1')
  if (Number(limit) > LIST_MAX)
    throw validation(`'${limit}'`, 'limit', `Member must have value less than or equal to ${LIST_MAX}`)
  const names = type === 'DirectPut' ? streams.names() : []
  return listNames(names.filter(visible), typeof after === 'string' ? after : undefined, Number(limit))
}

async function create(call: AwsCall, input: Input): Promise<object> {
  const { streams, region } = call
  const name = nameOf(input)
  call.require(name)
  if (streams.names().includes(name))
    throw new AwsProblem('ResourceInUseException', `Firehose ${name} under accountId ${ACCOUNT} already exists`)
  const { settings, tableMayBeMade } = settingsToCreate(input)
  const tags = input['Tags'] === undefined ? null : tagsOf(input['Tags'])
  await streams.create(name, await withTables(call, settings, tableMayBeMade))
  if (tags !== null) await tagStream(streams, name, tags)
  return { DeliveryStreamARN: streamArn(name, region) }
}

/** Settings that make the tables that are not there: nobody says what columns they have, so their first records do. */
async function withTables({ tableExists }: AwsCall, settings: StreamInput, mayBeMade: boolean): Promise<StreamInput> {
  const tables = [settings.table, ...Object.keys(settings.tables ?? {})]
  const there = await Promise.all(tables.map(tableExists))
  const absent = tables.filter((_, at) => there[at] === false)
  if (absent.length === 0 || settings.columns !== undefined) return settings
  if (!mayBeMade)
    throw invalidArgument(`there is no table ${absent.join(', ')}, and TableCreationConfiguration says not to make it`)
  return { ...settings, unknownFields: 'evolve' }
}

async function update(call: AwsCall, stream: Stream, input: Input): Promise<object> {
  const version = input['CurrentDeliveryStreamVersionId']
  if (typeof version !== 'string') throw missing('currentDeliveryStreamVersionId')
  if (typeof input['DestinationId'] !== 'string') throw missing('destinationId')
  if (input['DestinationId'] !== DESTINATION_ID)
    throw invalidArgument(`Destination Id ${input['DestinationId'].slice(0, 100)} not found`)
  const other = Object.keys(input).filter(
    (name) => name.endsWith('Update') && name !== 'IcebergDestinationUpdate' && input[name] !== undefined,
  )
  const changes = input['IcebergDestinationUpdate']
  if (other.length > 0 || !isInput(changes))
    throw invalidArgument(`expected an IcebergDestinationUpdate${other.length > 0 ? `, got ${other.join(', ')}` : ''}`)
  const conflict = (current: unknown) =>
    new AwsProblem(
      'ConcurrentModificationException',
      `Cannot update firehose: ${stream.name} since the current version id: ${current} and specified version id: ${version.slice(0, 50)} do not match`,
    )
  const { version: current } = stream
  if (version !== String(current)) throw conflict(current)
  const { settings, tableMayBeMade } = settingsToUpdate(stream, changes, call.sender.clock.nowMs())
  try {
    await call.streams.update(stream.name, await withTables(call, settings, tableMayBeMade), current)
  } catch (error) {
    // Somebody else who had the same version was first.
    if (isFault(error, 'conflict') && error.facts['version'] !== undefined) throw conflict(error.facts['version'])
    throw error
  }
  return {}
}

function streamOf(call: AwsCall, input: Input): Stream {
  const name = nameOf(input)
  call.require(name)
  try {
    return call.streams.get(name)
  } catch (error) {
    if (!isFault(error, 'not-found')) throw error
    throw new AwsProblem('ResourceNotFoundException', `Firehose ${name} under account ${ACCOUNT} not found.`)
  }
}

function nameOf(input: Input): string {
  const name = input['DeliveryStreamName']
  if (name === undefined || name === null) throw missing('deliveryStreamName')
  if (typeof name !== 'string') throw new AwsProblem('SerializationException', 'DeliveryStreamName: expected text')
  const shown = `'${name.slice(0, 80)}'`
  if (name.length < 1 || name.length > 64)
    throw validation(
      shown,
      'deliveryStreamName',
      `Member must have length ${name.length < 1 ? 'greater than or equal to 1' : 'less than or equal to 64'}`,
    )
  if (!/^[a-zA-Z0-9_.-]+$/.test(name))
    throw validation(shown, 'deliveryStreamName', 'Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+')
  return name
}

function parse(body: Uint8Array): Input {
  try {
    const value: unknown = JSON.parse(Buffer.from(body).toString('utf8') || '{}')
    if (isInput(value)) return value
  } catch {}
  throw new AwsProblem('SerializationException', 'expected a JSON object')
}

function groupOf(value: unknown, where: string): Group {
  if (value === undefined || value === null) throw missing(where)
  return documentsOf({ data: dataOf(value, where) }, where, true)
}

function dataOf(value: unknown, where: string): Buffer {
  const data = isInput(value) ? value['Data'] : undefined
  if (data === undefined || data === null) throw missing(`${where}.data`)
  if (typeof data !== 'string' || data.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(data))
    throw new AwsProblem('SerializationException', `${where}.data: expected bytes in base64`)
  const bytes = Buffer.from(data, 'base64')
  if (bytes.length > RECORD_BYTES_MAX)
    throw validation(
      `'java.nio.HeapByteBuffer[pos=0 lim=${bytes.length} cap=${bytes.length}]'`,
      `${where}.data`,
      `Member must have length less than or equal to ${RECORD_BYTES_MAX}`,
    )
  return bytes
}

function batchOf(value: unknown): Group[] {
  if (value === undefined || value === null) throw missing('records')
  if (!Array.isArray(value)) throw new AwsProblem('SerializationException', 'Records: expected a list')
  if (value.length < 1) throw validation("'[]'", 'records', 'Member must have length greater than or equal to 1')
  if (value.length > RECORDS_MAX)
    throw validation(
      `'[${value.length} records]'`,
      'records',
      `Member must have length less than or equal to ${RECORDS_MAX}`,
    )
  const datas = value.map((record, at) => dataOf(record, `records.${at + 1}.member`))
  if (datas.reduce((sum, data) => sum + data.length, 0) > BATCH_BYTES_MAX)
    throw invalidArgument('Records size exceeds 4 MB limit')
  return datas.map((data, at) => documentsOf({ data }, `Records[${at}]`, true))
}
