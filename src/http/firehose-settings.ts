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
    tableMayBeMade: tableMayBeMade(destination),
  }
}

function tableMayBeMade({ TableCreationConfiguration: creation }: Input): boolean {
  return !isInput(creation) || creation['Enabled'] !== false
}

/** A stream's settings with what an `IcebergDestinationUpdate` changes. @throws AwsProblem */
export function settingsToUpdate(stream: Stream, update: Input, nowMs: number): Asked {
  const { name: _name, delivery = {}, ...now } = stream.definition
  const { settings, delivery: changed } = destinationSettings(update)
  const destination = {
    ...(isInput(delivery['destination']) ? delivery['destination'] : {}),
    ...changed.destination,
  }
  return {
    settings: {
      ...now,
      ...settings,
      buffer: { ...now.buffer, ...settings.buffer },
      delivery: stored({
        ...delivery,
        ...(changed.tableErrorPrefixes === undefined ? {} : { tableErrorPrefixes: changed.tableErrorPrefixes }),
        destination,
        updatedSeconds: nowMs / 1000,
      }),
    },
    tableMayBeMade: tableMayBeMade(destination),
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
  delivery: { destination: Input; tableErrorPrefixes?: Record<string, unknown> }
}

function destinationSettings(destination: Input): Destination {
  known(destination, [...KEPT, ...DONE], 'the Iceberg destination', 'see docs/streams.md')
  if (!['FailedDataOnly', undefined].includes(destination['S3BackupMode'] as string | undefined))
    throw invalidArgument('S3BackupMode: expected FailedDataOnly; all data is in the table')
  const processing = destination['ProcessingConfiguration']
  const route = routeOf(processing)
  const tables = tablesOf(destination['DestinationTableConfigurationList'])
  const [first, ...others] = tables ?? []
  if (others.length > 0 && route === null)
    throw invalidArgument(
      'DestinationTableConfigurationList: several tables need a ProcessingConfiguration of type MetadataExtraction that says which record goes where',
    )
  if (destination['AppendOnly'] === true && tables?.some(({ uniqueKeys }) => uniqueKeys.length > 0) === true)
    throw invalidArgument('AppendOnly: a table with UniqueKeys is updated; leave one of the two out')
  const evolution = destination['SchemaEvolutionConfiguration']
  return {
    settings: {
      ...(first === undefined ? {} : tableSettings(first, others)),
      ...(isInput(processing) ? { route: route === null ? undefined : routeTo(route, tables) } : {}),
      ...(isInput(evolution) ? { unknownFields: evolution['Enabled'] === true ? 'evolve' : 'dead-letter' } : {}),
      ...bufferOf(destination['BufferingHints']),
      ...prefixOf(destination['S3Configuration']),
    },
    delivery: {
      destination: Object.fromEntries(
        KEPT.flatMap((name) => (destination[name] === undefined ? [] : [[name, destination[name]]])),
      ),
      ...(tables === null
        ? {}
        : { tableErrorPrefixes: Object.fromEntries(tables.map(({ name, errorPrefix }) => [name, errorPrefix])) }),
    },
  }
}

function tableSettings(first: Table, others: readonly Table[]): Partial<StreamInput> {
  const { name, uniqueKeys, partitioning } = first
  return {
    table: name,
    uniqueKeys,
    partitioning,
    tables: Object.fromEntries(
      others.map((other) => [other.name, { uniqueKeys: other.uniqueKeys, partitioning: other.partitioning }]),
    ),
  }
}

function bufferOf(hints: unknown): Partial<StreamInput> {
  if (!isInput(hints)) return {}
  const { IntervalInSeconds: seconds, SizeInMBs: mebibytes } = hints
  return {
    buffer: {
      ...(seconds === undefined ? {} : { seconds: Number(seconds) }),
      ...(mebibytes === undefined ? {} : { mebibytes: Number(mebibytes) }),
    },
  }
}

function prefixOf(bucket: unknown): Partial<StreamInput> {
  const prefix = isInput(bucket) ? bucket['ErrorOutputPrefix'] : undefined
  return typeof prefix === 'string' ? { errorOutputPrefix: prefix } : {}
}

interface Table {
  name: string
  uniqueKeys: string[]
  partitioning: string[]
  errorPrefix: unknown
}

function tablesOf(list: unknown): Table[] | null {
  if (list === undefined) return null
  if (!Array.isArray(list) || list.length === 0)
    throw invalidArgument('DestinationTableConfigurationList: expected one table or more')
  const tables = list.map((table: unknown, at) => tableOf(table, `DestinationTableConfigurationList[${at}]`))
  const twice = tables.find(({ name }, at) => tables.findIndex((other) => other.name === name) !== at)
  if (twice !== undefined)
    throw invalidArgument(`DestinationTableConfigurationList: the table ${twice.name} is there twice`)
  return tables
}

function tableOf(table: unknown, where: string): Table {
  if (!isInput(table)) throw missing(lower(where))
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

/** Where records go, as expressions by the members of the stream's setting `route`. */
type Route = Partial<Record<'database' | 'table' | 'operation', string>>

const ROUTE_MEMBERS: Readonly<Record<string, keyof Route>> = {
  destinationDatabaseName: 'database',
  destinationTableName: 'table',
  operation: 'operation',
}

/**
 * What the service would do with records on their way. Extracting metadata is routing. Taking JSON objects apart that come in one
 * record is done here in any case, and a line end behind each record has no meaning in a table; a function is configured with the
 * stream, since one of the service's cannot be called from here.
 */
function routeOf(processing: unknown): Route | null {
  if (!isInput(processing) || processing['Enabled'] !== true) return null
  const processors = processing['Processors']
  let route: Route | null = null
  for (const processor of Array.isArray(processors) ? processors : []) {
    const type = isInput(processor) ? processor['Type'] : undefined
    const parameters = isInput(processor) && Array.isArray(processor['Parameters']) ? processor['Parameters'] : []
    if (type === 'AppendDelimiterToRecord') continue
    if (type === 'RecordDeAggregation' && parameterOf(parameters, 'SubRecordType') === 'JSON') continue
    if (type !== 'MetadataExtraction')
      throw invalidArgument(
        `ProcessingConfiguration: a processor of type ${JSON.stringify(type ?? null).slice(0, 80)} is not run here; give the stream a transform by its own settings (docs/streams.md)`,
      )
    route = queryRoute(String(parameterOf(parameters, 'MetadataExtractionQuery') ?? ''))
  }
  return route
}

/** `{destinationDatabaseName: .a, destinationTableName: .b, operation: .c}`, with a path or a text in quotes for each. */
function queryRoute(query: string): Route {
  const inside = /^\s*\{(.*)\}\s*$/s.exec(query)?.[1] ?? ''
  const route: Route = {}
  for (const [, quoted, bare, expression = ''] of inside.matchAll(
    /\s*(?:"(\w+)"|(\w+))\s*:\s*((?:"(?:[^"\\]|\\.)*"|[^",])+?)\s*(?:,|$)/g,
  )) {
    const name = ROUTE_MEMBERS[quoted ?? bare ?? '']
    if (name !== undefined) route[name] = expression
  }
  const members = inside.split(/,(?=(?:[^"]*"[^"]*")*[^"]*$)/).filter((part) => part.trim() !== '')
  if (members.length === 0 || members.length !== Object.keys(route).length)
    throw invalidArgument(
      'MetadataExtractionQuery: expected {destinationDatabaseName: …, destinationTableName: …, operation: …} with a path (.a.b) or a text in quotes for each; other routes are configured with the stream (docs/streams.md)',
    )
  return route
}

/** @param tables those that are configured; records go to no others */
function routeTo(route: Route, tables: readonly Table[] | null): StreamInput['route'] {
  return { ...route, ...(tables === null ? {} : { destinations: tables.map(({ name }) => name) }) }
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
