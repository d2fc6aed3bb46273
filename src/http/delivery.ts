/**
 * Streams as delivery streams are described and answered, in the shapes that AWS clients and REST proxies before them expect.
 *
 * There a record that cannot become a row is accepted all the same, and told of elsewhere: so a dead letter counts as accepted,
 * and its record id says so (`dead-letter-<id>`). Only what was not taken counts as failed.
 */
import type { RecordResult, Stream } from '../service/streams/streams.ts'

export const REGION = 'us-east-1'
const ACCOUNT = '000000000000'

export function streamArn(name: string): string {
  return `arn:aws:firehose:${REGION}:${ACCOUNT}:deliverystream/${name}`
}

export interface RecordResponse {
  RecordId?: string
  ErrorCode?: string
  ErrorMessage?: string
}

export function recordResponse(result: RecordResult): RecordResponse {
  switch (result.kind) {
    case 'accepted':
      return { RecordId: String(result.offset).padStart(20, '0') }
    case 'dead-letter':
      return { RecordId: `dead-letter-${result.letter}` }
    case 'dropped':
      return { RecordId: 'dropped' }
    case 'repeated':
      return { RecordId: result.offset === null ? 'repeated' : String(result.offset).padStart(20, '0') }
    case 'refused':
      return { ErrorCode: result.code, ErrorMessage: result.message }
  }
}

export function batchResponse(results: readonly RecordResult[]): object {
  const responses = results.map(recordResponse)
  return {
    FailedPutCount: responses.filter((response) => response.ErrorCode !== undefined).length,
    Encrypted: false,
    RequestResponses: responses,
  }
}

export function describe({ definition, createdMs, name }: Stream): object {
  const parts = definition.table.split('.')
  return {
    DeliveryStreamDescription: {
      DeliveryStreamName: name,
      DeliveryStreamARN: streamArn(name),
      DeliveryStreamStatus: 'ACTIVE',
      DeliveryStreamType: 'DirectPut',
      VersionId: '1',
      CreateTimestamp: createdMs / 1000,
      Destinations: [
        {
          DestinationId: 'destinationId-000000000001',
          IcebergDestinationDescription: {
            DestinationTableConfigurationList: [
              {
                DestinationDatabaseName: parts.slice(0, -1).join('.'),
                DestinationTableName: parts.at(-1),
                ...(definition.uniqueKeys.length === 0 ? {} : { UniqueKeys: definition.uniqueKeys }),
              },
            ],
            BufferingHints: {
              SizeInMBs: Math.max(1, Math.round(definition.buffer.mebibytes)),
              IntervalInSeconds: Math.round(definition.buffer.seconds),
            },
            SchemaEvolutionConfiguration: { Enabled: definition.unknownFields === 'evolve' },
          },
        },
      ],
      HasMoreDestinations: false,
    },
  }
}

/** Names in order, a page at a time. */
export function listNames(names: readonly string[], after: string | undefined, limit: number): object {
  const rest = names.filter((name) => after === undefined || name > after)
  return { DeliveryStreamNames: rest.slice(0, limit), HasMoreDeliveryStreams: rest.length > limit }
}
