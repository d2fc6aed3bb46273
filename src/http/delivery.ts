/**
 * Streams as delivery streams are described and answered, in the shapes that AWS clients and REST proxies before them expect.
 *
 * There a record that cannot become a row is accepted all the same, and told of elsewhere: so a dead letter counts as accepted,
 * and its record id says so (`dead-letter-<id>`). Only what was not taken counts as failed.
 */
import type { FastifyReply } from 'fastify'
import { unreachable } from '../base/assert.ts'
import type { Stream } from '../service/streams/streams.ts'
import { ACCOUNT, SLOW_DOWN } from './aws-problem.ts'
import type { GroupResult } from './taking.ts'

export const REGION_DEFAULT = 'us-east-1'
export const DESTINATION_ID = 'destinationId-000000000001'

/** @param region of the client, as its signature says */
export function streamArn(name: string, region: string | null): string {
  return `arn:aws:firehose:${region ?? REGION_DEFAULT}:${ACCOUNT}:deliverystream/${name}`
}

export interface RecordResponse {
  RecordId?: string
  ErrorCode?: string
  ErrorMessage?: string
}

export function recordResponse(result: GroupResult): RecordResponse {
  switch (result.kind) {
    case 'accepted':
      return { RecordId: offsetText(result.offset) }
    case 'dead-letter':
      return { RecordId: `dead-letter-${result.letter}` }
    case 'dropped':
      return { RecordId: 'dropped' }
    case 'repeated':
      return { RecordId: result.offset === null ? 'repeated' : offsetText(result.offset) }
    case 'refused':
      return { ErrorCode: result.code, ErrorMessage: result.message }
    case 'failed':
      return { ErrorCode: SLOW_DOWN.type, ErrorMessage: SLOW_DOWN.message }
    default:
      return unreachable(result)
  }
}

function offsetText(offset: number): string {
  return String(offset).padStart(20, '0')
}

/** The answer to several records, as its text: of hundreds of records, most of it is the same again and again. */
export function batchText(results: readonly GroupResult[]): string {
  let failed = 0
  let responses = ''
  for (const result of results) {
    if (responses !== '') responses += ','
    if (result.kind === 'accepted') {
      responses += `{"RecordId":"${offsetText(result.offset)}"}`
      continue
    }
    const response = recordResponse(result)
    if (response.ErrorCode !== undefined) failed++
    responses += JSON.stringify(response)
  }
  return `{"FailedPutCount":${failed},"Encrypted":false,"RequestResponses":[${responses}]}`
}

/** What answers in these shapes have no member for: the offset to wait for, and whether it is committed. */
export function offsetHeaders(reply: FastifyReply, end: number, committed: boolean | null): void {
  reply.header('tidewater-end', String(end))
  if (committed !== null) reply.header('tidewater-committed', String(committed))
}

type Given = Readonly<Record<string, unknown>>

export function describe(stream: Stream, region: string | null): object {
  const { name, createdMs, version, definition } = stream
  const given: Given = definition.delivery ?? {}
  return {
    DeliveryStreamDescription: {
      DeliveryStreamName: name,
      DeliveryStreamARN: streamArn(name, region),
      DeliveryStreamStatus: 'ACTIVE',
      ...member('DeliveryStreamEncryptionConfiguration', given['encryption']),
      DeliveryStreamType: 'DirectPut',
      VersionId: String(version),
      CreateTimestamp: createdMs / 1000,
      ...member('LastUpdateTimestamp', given['updatedSeconds']),
      ...member('Source', given['source']),
      Destinations: [
        {
          DestinationId: DESTINATION_ID,
          IcebergDestinationDescription: destinationOf(stream, given['destination'], given['tableErrorPrefixes']),
        },
      ],
      HasMoreDestinations: false,
    },
  }
}

function destinationOf({ definition }: Stream, given: unknown, tablePrefixes: unknown): object {
  const { S3Configuration, ...kept } = (given ?? {}) as Given
  const { buffer, unknownFields, table, tables, errorOutputPrefix } = definition
  const prefixes = (tablePrefixes ?? {}) as Given
  return {
    ...kept,
    DestinationTableConfigurationList: [
      tableOf(table, definition, prefixes[table]),
      ...Object.entries(tables).map(([name, own]) => tableOf(name, own, prefixes[name])),
    ],
    BufferingHints: {
      SizeInMBs: Math.max(1, Math.round(buffer.mebibytes)),
      IntervalInSeconds: Math.round(buffer.seconds),
    },
    SchemaEvolutionConfiguration: { Enabled: unknownFields === 'evolve' },
    ...(S3Configuration === undefined
      ? {}
      : {
          S3DestinationDescription: {
            ...bucketOf(S3Configuration as Given),
            ...member('ErrorOutputPrefix', errorOutputPrefix),
          },
        }),
  }
}

interface TableSettings {
  uniqueKeys?: readonly string[] | undefined
  partitioning?: readonly string[] | undefined
}

function tableOf(name: string, { uniqueKeys = [], partitioning = [] }: TableSettings, prefix: unknown): object {
  const parts = name.split('.')
  return {
    DestinationDatabaseName: parts.slice(0, -1).join('.'),
    DestinationTableName: parts.at(-1),
    ...(uniqueKeys.length === 0 ? {} : { UniqueKeys: uniqueKeys }),
    ...(partitioning.length === 0 ? {} : { PartitionSpec: { Identity: partitioning.map(fieldOf) } }),
    ...member('S3ErrorOutputPrefix', prefix),
  }
}

function fieldOf(term: string): object {
  return { SourceName: term }
}

/** A bucket as it was given, with what the service fills in. */
function bucketOf(given: Given): object {
  return {
    BufferingHints: { SizeInMBs: 5, IntervalInSeconds: 300 },
    CompressionFormat: 'UNCOMPRESSED',
    EncryptionConfiguration: { NoEncryptionConfig: 'NoEncryption' },
    ...given,
  }
}

function member(name: string, value: unknown): object {
  return value === undefined ? {} : { [name]: value }
}

/** Names in order, a page at a time. */
export function listNames(names: readonly string[], after: string | undefined, limit: number): object {
  const rest = names.filter((name) => after === undefined || name > after)
  return { DeliveryStreamNames: rest.slice(0, limit), HasMoreDeliveryStreams: rest.length > limit }
}
