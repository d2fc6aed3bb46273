/**
 * The context file of a CDK application that deploys a delivery stream with an Iceberg destination (`cdk.context.json`), as it is:
 * what it says of the stream becomes settings of ours. What has no place here is told, and what is wrong too, with its path. Pure.
 *
 * Other keys of the file are those of the CDK itself and of other applications; they are left alone.
 */
import { z } from 'zod'
import { inOurWords } from '../base/expected.ts'
import { Fault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { STREAM_NAME, type StreamInput } from '../service/streams/definition.ts'

const CONFIGURATION = 'data_firehose_configuration'
/** As it is spelt in the file, and as it is meant. */
const LAMBDA_KEYS = ['firehose_data_tranform_lambda', 'firehose_data_transform_lambda']

const name = z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_-]{0,127}$/, 'expected letters, digits, "_" and "-"')

const firehose = z.strictObject({
  stream_name: z.string().regex(STREAM_NAME, 'expected 1 to 64 letters, digits, ".", "_" or "-"'),
  buffering_hints: z
    .strictObject({
      interval_in_seconds: z.number().min(0).max(900).optional(),
      size_in_mbs: z.number().min(1).max(128).optional(),
    })
    .optional(),
  transform_records_with_aws_lambda: z
    .strictObject({
      /** MB. */
      buffer_size: z.number().min(0.2).max(3).optional(),
      /** Seconds. */
      buffer_interval: z.number().min(0).max(900).optional(),
      number_of_retries: z.int().min(0).max(limits.transformRetriesMax).optional(),
    })
    .optional(),
  destination_iceberg_table_configuration: z.strictObject({
    database_name: name,
    table_name: name,
    unique_keys: z.array(z.string().min(1)).max(32).nullish(),
  }),
  s3_bucket: z.string().optional(),
  output_prefix: z.string().optional(),
  error_output_prefix: z.string().max(1_024).optional(),
})
type Firehose = z.output<typeof firehose>

export interface CdkStreams {
  /** Settings by the streams' names. */
  streams: Record<string, StreamInput>
  /** What was understood and is not needed, in sentences. */
  notes: string[]
}

/** Is this a context file, or a `cdk.json` that has the same under `context`? */
export function isCdkContext(document: unknown): boolean {
  const context = contextOf(document)
  return context !== null && (CONFIGURATION in context || LAMBDA_KEYS.some((key) => key in context))
}

/** The streams of a context, one or a list of them. Every problem is added to `problems`, beginning with `where` and its path. */
export function readCdkContext(document: unknown, where: string, problems: string[]): CdkStreams {
  const context = contextOf(document)
  const found: CdkStreams = { streams: {}, notes: [] }
  const at = (...path: PropertyKey[]) => [where, ...path].filter((part) => part !== '').join('.')
  if (context?.[CONFIGURATION] === undefined) {
    problems.push(`${at(CONFIGURATION)}: expected the settings of a delivery stream, got none`)
    return found
  }
  for (const key of LAMBDA_KEYS) {
    if (key in context)
      found.notes.push(
        `${at(key)} is not needed: records are checked by the types of columns, and transform.module names a function`,
      )
  }
  const said = context[CONFIGURATION]
  const isList = Array.isArray(said)
  for (const [index, each] of (isList ? (said as unknown[]) : [said]).entries()) {
    const path = isList ? [CONFIGURATION, index] : [CONFIGURATION]
    const result = firehose.safeParse(each, inOurWords)
    if (!result.success) {
      for (const issue of result.error.issues) problems.push(`${at(...path, ...issue.path)}: ${issue.message}`)
      continue
    }
    const stream = result.data
    if (Object.hasOwn(found.streams, stream.stream_name)) {
      problems.push(`${at(...path, 'stream_name')}: there is another stream ${stream.stream_name}`)
      continue
    }
    found.streams[stream.stream_name] = settingsOf(stream)
    for (const key of ['output_prefix', 's3_bucket'] as const) {
      if (stream[key] !== undefined)
        found.notes.push(`${at(...path, key)} is not needed: the files of a table are where its catalog says`)
    }
  }
  return found
}

/** The streams of a context. @throws Fault `invalid` naming every problem of `file` */
export function cdkStreams(document: unknown, file: string): CdkStreams {
  const problems: string[] = []
  const found = readCdkContext(document, '', problems)
  if (problems.length > 0) throw new Fault('invalid', `${file}: ${problems.join('; ')}`)
  return found
}

function settingsOf(stream: Firehose): StreamInput {
  const { buffering_hints: hints, transform_records_with_aws_lambda: lambda } = stream
  const {
    database_name: database,
    table_name: table,
    unique_keys: keys,
  } = stream.destination_iceberg_table_configuration
  const settings: StreamInput = { table: `${database}.${table}`, unknownFields: 'drop' }
  if (keys !== undefined && keys !== null && keys.length > 0) settings.uniqueKeys = keys
  settings.buffer = {
    ...(hints?.interval_in_seconds === undefined ? {} : { seconds: hints.interval_in_seconds }),
    ...(hints?.size_in_mbs === undefined ? {} : { mebibytes: hints.size_in_mbs }),
  }
  if (lambda !== undefined) {
    settings.transform = {
      ...(lambda.number_of_retries === undefined ? {} : { numberOfRetries: lambda.number_of_retries }),
      buffer: {
        ...(lambda.buffer_size === undefined ? {} : { mebibytes: lambda.buffer_size }),
        ...(lambda.buffer_interval === undefined ? {} : { seconds: lambda.buffer_interval }),
      },
    }
  }
  if (stream.error_output_prefix !== undefined) settings.errorOutputPrefix = stream.error_output_prefix
  return settings
}

/** Settings of ours laid over those of a context, member by member. */
export function laidOver(below: unknown, above: unknown): unknown {
  if (!isObject(below) || !isObject(above)) return above === undefined ? below : above
  const all = { ...below }
  for (const [key, value] of Object.entries(above)) all[key] = laidOver(below[key], value)
  return all
}

function contextOf(document: unknown): Record<string, unknown> | null {
  if (!isObject(document)) return null
  const { context } = document
  return isObject(context) && CONFIGURATION in context ? context : document
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
