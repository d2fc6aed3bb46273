/**
 * What a client of delivery streams asks for, as the settings of a stream, and back again for changes.
 *
 * Every member is done, or kept to be described again where it is about the service's own surroundings (roles, buckets, logs), or
 * refused by name: none is passed over. What is kept stands in the stream's setting `delivery`.
 */
import type { Stream, StreamInput } from '../service/streams/streams.ts'
import { invalidArgument, missing } from './aws-problem.ts'

export type Input = Readonly<Record<string, unknown>>

export function isInput(value: unknown): value is Input {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Members of a destination that are kept as they are. */
const KEPT = [
  'AppendOnly',
  'CatalogConfiguration',
  'CloudWatchLoggingOptions',
  'ProcessingConfiguration',
  'RetryOptions',
  'RoleARN',
  'S3BackupMode',
  'S3Configuration',
  'TableCreationConfiguration',
]
const DONE = ['BufferingHints', 'DestinationTableConfigurationList', 'SchemaEvolutionConfiguration']

/** Members of `CreateDeliveryStream` that are understood; every other one is another source or destination. */
const CREATE = [
  'DeliveryStreamName',
  'DeliveryStreamType',
  'DirectPutSourceConfiguration',
  'DeliveryStreamEncryptionConfigurationInput',
  'IcebergDestinationConfiguration',
  'Tags',
]

/** Settings, and whether the table has to be there already. */
export interface Asked {
  settings: StreamInput
  tableMayBeMade: boolean
}

/** @throws AwsProblem naming what cannot be done */
export function settingsToCreate(input: Input): Asked {
  known(input, CREATE, 'CreateDeliveryStream', 'a stream takes records by PutRecord and writes Iceberg tables')
  const type = input['DeliveryStreamType'] ?? 'DirectPut'
  if (type !== 'DirectPut')
    throw invalidArgument(`DeliveryStreamType: expected DirectPut, got ${JSON.stringify(type).slice(0, 80)}`)
  const destination = input['IcebergDestinationConfiguration']
  if (!isInput(destination))
    throw invalidArgument(
      'Exactly one destination configuration is supported for a Firehose: an IcebergDestinationConfiguration, since streams write Iceberg tables and nothing else',
    )
  const { settings, delivery } = destinationSettings(destination)
  if (settings.table === undefined) throw missing('icebergDestinationConfiguration.destinationTableConfigurationList')
  const creation = destination['TableCreationConfiguration']
  return {
    settings: {
      ...settings,
      table: settings.table,
      delivery: stored({
        ...delivery,
        source: isInput(input['DirectPutSourceConfiguration'])
          ? { DirectPutSourceDescription: input['DirectPutSourceConfiguration'] }
          : undefined,
        encryption: isInput(input['DeliveryStreamEncryptionConfigurationInput'])
          ? encryptionOf(input['DeliveryStreamEncryptionConfigurationInput'])
          : undefined,
      }),
    },
    tableMayBeMade: !isInput(creation) || creation['Enabled'] !== false,
  }
}

/** A stream's settings with what an `IcebergDestinationUpdate` changes. @throws AwsProblem */
export function settingsToUpdate(stream: Stream, update: Input, nowMs: number): StreamInput {
  const { name: _name, delivery = {}, ...now } = stream.definition
  const { settings, delivery: changed } = destinationSettings(update)
  const destination = isInput(delivery['destination']) ? delivery['destination'] : {}
  return {
    ...now,
    ...settings,
    buffer: { ...now.buffer, ...settings.buffer },
    delivery: stored({
      ...delivery,
      ...(changed.tableErrorPrefix === undefined ? {} : { tableErrorPrefix: changed.tableErrorPrefix }),
      destination: { ...destination, ...changed.destination },
      updatedSeconds: nowMs / 1000,
    }),
  }
}

/** A stream's settings with another state of encryption. */
export function settingsEncrypted(stream: Stream, encryption: Input | null): StreamInput {
  const { name: _name, delivery = {}, ...now } = stream.definition
  return { ...now, delivery: stored({ ...delivery, encryption: encryption ?? { Status: 'DISABLED' } }) }
}

export function encryptionOf(input: Input): Input {
  const type = input['KeyType']
  if (type !== 'AWS_OWNED_CMK' && type !== 'CUSTOMER_MANAGED_CMK') throw missing('keyType')
  if (type === 'CUSTOMER_MANAGED_CMK' && typeof input['KeyARN'] !== 'string')
    throw invalidArgument('KeyARN: expected the key of KeyType CUSTOMER_MANAGED_CMK')
  return { ...input, Status: 'ENABLED' }
}

interface Destination {
  settings: Partial<StreamInput>
  delivery: { destination: Input; tableErrorPrefix?: unknown }
}

function destinationSettings(destination: Input): Destination {
  known(destination, [...KEPT, ...DONE], 'the Iceberg destination', 'see docs/streams.md')
  if (!['FailedDataOnly', undefined].includes(destination['S3BackupMode'] as string | undefined))
    throw invalidArgument('S3BackupMode: expected FailedDataOnly; all data is in the table')
  checkProcessing(destination['ProcessingConfiguration'])
  const table = tableOf(destination['DestinationTableConfigurationList'])
  if (destination['AppendOnly'] === true && (table?.uniqueKeys.length ?? 0) > 0)
    throw invalidArgument('AppendOnly: a table with UniqueKeys is updated; leave one of the two out')
  const hints = destination['BufferingHints']
  const evolution = destination['SchemaEvolutionConfiguration']
  return {
    settings: {
      ...(table === null ? {} : { table: table.name, uniqueKeys: table.uniqueKeys, partitioning: table.partitioning }),
      ...(isInput(evolution) ? { unknownFields: evolution['Enabled'] === true ? 'evolve' : 'dead-letter' } : {}),
      ...(isInput(hints)
        ? {
            buffer: {
              ...(hints['IntervalInSeconds'] === undefined ? {} : { seconds: Number(hints['IntervalInSeconds']) }),
              ...(hints['SizeInMBs'] === undefined ? {} : { mebibytes: Number(hints['SizeInMBs']) }),
            },
          }
        : {}),
    },
    delivery: {
      destination: Object.fromEntries(
        KEPT.flatMap((name) => (destination[name] === undefined ? [] : [[name, destination[name]]])),
      ),
      ...(table?.errorPrefix === undefined ? {} : { tableErrorPrefix: table.errorPrefix }),
    },
  }
}

interface Table {
  name: string
  uniqueKeys: string[]
  partitioning: string[]
  errorPrefix: unknown
}

function tableOf(list: unknown): Table | null {
  if (list === undefined) return null
  if (!Array.isArray(list) || list.length !== 1 || !isInput(list[0]))
    throw invalidArgument(
      `DestinationTableConfigurationList: expected one table, got ${Array.isArray(list) ? list.length : 'no list'}; make a stream for each table, or route by the stream's own settings`,
    )
  const [table] = list
  const where = 'DestinationTableConfigurationList[0]'
  known(
    table,
    ['DestinationDatabaseName', 'DestinationTableName', 'PartitionSpec', 'S3ErrorOutputPrefix', 'UniqueKeys'],
    where,
    'see docs/streams.md',
  )
  const { DestinationDatabaseName: database, DestinationTableName: name } = table
  if (typeof database !== 'string' || database === '') throw missing(`${lower(where)}.destinationDatabaseName`)
  if (typeof name !== 'string' || name === '') throw missing(`${lower(where)}.destinationTableName`)
  return {
    name: `${database}.${name}`,
    uniqueKeys: texts(table['UniqueKeys'] ?? [], `${where}.UniqueKeys`),
    partitioning: partitioningOf(table['PartitionSpec'], where),
    errorPrefix: table['S3ErrorOutputPrefix'],
  }
}

function partitioningOf(spec: unknown, where: string): string[] {
  if (spec === undefined) return []
  const fields = isInput(spec) ? (spec['Identity'] ?? []) : null
  if (!Array.isArray(fields))
    throw invalidArgument(`${where}.PartitionSpec: expected {"Identity": [{"SourceName": …}]}`)
  return texts(
    fields.map((field: unknown) => (isInput(field) ? field['SourceName'] : field)),
    `${where}.PartitionSpec.Identity[].SourceName`,
  )
}

function texts(value: unknown, where: string): string[] {
  if (Array.isArray(value) && value.every((item): item is string => typeof item === 'string' && item !== ''))
    return value
  throw invalidArgument(`${where}: expected texts that are not empty`)
}

/**
 * What the service would do with records on their way: taking JSON objects apart that come in one record is done here in any case, a
 * line end behind each record has no meaning in a table; everything else is configured with the stream.
 */
function checkProcessing(processing: unknown): void {
  if (!isInput(processing) || processing['Enabled'] !== true) return
  const processors = processing['Processors']
  for (const processor of Array.isArray(processors) ? processors : []) {
    const type = isInput(processor) ? processor['Type'] : undefined
    const parameters = isInput(processor) && Array.isArray(processor['Parameters']) ? processor['Parameters'] : []
    if (type === 'AppendDelimiterToRecord') continue
    if (type === 'RecordDeAggregation' && parameterOf(parameters, 'SubRecordType') === 'JSON') continue
    throw invalidArgument(
      `ProcessingConfiguration: a processor of type ${JSON.stringify(type ?? null).slice(0, 80)} is not run here; give the stream a transform or a route by its own settings (docs/streams.md)`,
    )
  }
}

function parameterOf(parameters: readonly unknown[], name: string): unknown {
  return parameters.find(
    (parameter): parameter is Input => isInput(parameter) && parameter['ParameterName'] === name,
  )?.['ParameterValue']
}

function known(input: Input, names: readonly string[], where: string, hint: string): void {
  const other = Object.keys(input).filter((name) => !names.includes(name) && input[name] !== undefined)
  if (other.length > 0)
    throw invalidArgument(`${where}: ${other.map((name) => name.slice(0, 80)).join(', ')} cannot be done here; ${hint}`)
}

function lower(where: string): string {
  return where.charAt(0).toLowerCase() + where.slice(1)
}

/** Without members that are not there, as JSON has it. */
function stored(value: object): NonNullable<StreamInput['delivery']> {
  return JSON.parse(JSON.stringify(value)) as NonNullable<StreamInput['delivery']>
}
