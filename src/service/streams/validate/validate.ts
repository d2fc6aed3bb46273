/**
 * The step that holds records to a schema: JSON Schema or Avro. A record that does not fit fails with `SchemaViolation`, each
 * problem with its path; bodies in Avro's binary encoding are decoded here. Deletes name a key only and are passed over, unless
 * they are binary. A record that is no JSON object at all is left to the conversion, which says so.
 */
import { setImmediate } from 'node:timers/promises'
import { z } from 'zod'
import { messageOf } from '../../../base/fault.ts'
import { limits } from '../../../base/limits.ts'
import { problemsText } from '../convert.ts'
import type { PipelineRecord, PipelineStep } from '../pipeline.ts'
import { NumberText, type RecordObject, readRecord } from '../record.ts'
import { AvroMismatch, decodeAvro } from './avro-binary.ts'
import { checkAvroJson } from './avro-json.ts'
import { compileAvroSchema } from './avro-schema.ts'
import { compileJsonSchema, type JsonSchemaCheck, type SchemaProblem } from './json-schema.ts'
import { timed } from './timed.ts'

/** Inline, or as the text of it. */
const schemaText = z.union([
  z.record(z.string(), z.unknown()),
  z.boolean(),
  z.string().max(limits.streamSchemaBytesMax),
])

const kinds = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('json-schema'), schema: schemaText }),
  z.strictObject({
    type: z.literal('avro'),
    schema: schemaText,
    /** How records come: JSON text, Avro's binary encoding, or that with the schema's fingerprint before it. */
    encoding: z.enum(['json', 'binary', 'single-object']).default('json'),
  }),
])

export type ValidateSettings = z.output<typeof kinds>

export const validateSettings = {
  /** The schema that every record must fit, beside the columns. */
  validate: kinds
    .superRefine((settings, context) => {
      try {
        compile(settings)
      } catch (error) {
        context.addIssue({ code: 'custom', path: ['schema'], message: messageOf(error) })
      }
    })
    .optional(),
}

/** @throws Fault `invalid` when the schema cannot be taken */
export function validateStep(settings: ValidateSettings, operationField: string | undefined): PipelineStep {
  const check = compile(settings)
  return {
    name: 'validate',
    run: (batch) => {
      switch (check.type) {
        case 'json-schema':
          return checkJson(batch, check.check, operationField)
        case 'avro':
          for (const record of batch) checkAvro(record, check, operationField)
      }
    },
  }
}

type Check =
  | { type: 'json-schema'; check: JsonSchemaCheck }
  | { type: 'avro'; schema: ReturnType<typeof compileAvroSchema>; encoding: 'json' | 'binary' | 'single-object' }

function compile(settings: ValidateSettings): Check {
  const schema: unknown = typeof settings.schema === 'string' ? JSON.parse(settings.schema) : settings.schema
  return settings.type === 'json-schema'
    ? { type: 'json-schema', check: compileJsonSchema(schema) }
    : { type: 'avro', schema: compileAvroSchema(schema), encoding: settings.encoding }
}

/**
 * All records under one limit of time, which V8 keeps. The record at which it runs out gets it once more for itself, since the
 * machine may have been busy; then it fails, and the others go on. After a few such the rest of the request is not checked any
 * more and fails too: the process has other work.
 */
async function checkJson(
  batch: readonly PipelineRecord[],
  check: JsonSchemaCheck,
  operationField: string | undefined,
): Promise<void> {
  let at = 0
  let slow = 0
  const checkFrom = (from: number, end: number) =>
    timed(() => {
      for (at = from; at < end; at++) checkOne(batch[at]!, check, operationField)
    }, limits.streamSchemaCheckMs)
  while (at < batch.length) {
    if (checkFrom(at, batch.length).done) return
    await setImmediate()
    const stuck = at
    if (!checkFrom(stuck, stuck + 1).done) {
      fail(batch[stuck]!, [{ path: '', message: `checking it takes more than ${limits.streamSchemaCheckMs} ms` }])
      slow++
    }
    at = stuck + 1
    await setImmediate()
    if (slow < limits.streamSchemaSlowMax) continue
    const problem = { path: '', message: `not checked: ${slow} records before it took too long` }
    for (const record of batch.slice(at)) fail(record, [problem])
    return
  }
}

function checkOne(record: PipelineRecord, check: JsonSchemaCheck, operationField: string | undefined): void {
  const value = plainOf(record)
  if (value === null || isDelete(record, value, operationField)) return
  let problems: SchemaProblem[]
  try {
    problems = check(value)
  } catch (error) {
    // Nested deeper than the stack goes.
    problems = [{ path: '', message: `cannot be checked (${messageOf(error)})` }]
  }
  if (problems.length > 0) fail(record, problems)
}

function checkAvro(
  record: PipelineRecord,
  { schema, encoding }: Extract<Check, { type: 'avro' }>,
  operationField: string | undefined,
): void {
  if (encoding !== 'json') {
    try {
      record.value = decodeAvro(record.data, schema, encoding === 'single-object')
      record.changed = true
    } catch (error) {
      if (!(error instanceof AvroMismatch)) throw error
      fail(record, [{ path: '', message: `no record of the Avro schema: ${error.message}` }])
    }
    return
  }
  if (record.value === null) {
    const read = readRecord(record.data)
    if (!read.ok) return
    record.value = read.value
  }
  if (isDelete(record, record.value, operationField)) return
  const { problems, value } = checkAvroJson(record.value, schema.type, operationField, record.data.length)
  if (problems.length > 0) {
    fail(record, problems)
  } else if (value !== record.value) {
    record.value = value
    record.changed = true
  }
}

function isDelete(record: PipelineRecord, value: object, operationField: string | undefined): boolean {
  const said = operationField === undefined ? undefined : (value as Record<string, unknown>)[operationField]
  return (record.operation ?? said) === 'delete'
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** The record with numbers as numbers, for a library that knows no others; null when it is no JSON object. */
function plainOf(record: PipelineRecord): object | null {
  if (record.value !== null) return plain(record.value) as object
  if (record.data.length > limits.streamRecordBytesMax) return null
  try {
    const value: unknown = JSON.parse(utf8.decode(record.data))
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : null
  } catch {
    return null
  }
}

function plain(value: RecordObject[string]): unknown {
  if (value instanceof NumberText) return Number(value.text)
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, plain(member)]))
}

function fail(record: PipelineRecord, problems: readonly SchemaProblem[]): void {
  const told = problems.map(({ path, message }) => ({ message: path === '' ? message : `${path}: ${message}` }))
  record.outcome = { kind: 'failed', problem: { code: 'SchemaViolation', message: problemsText(told) } }
}
