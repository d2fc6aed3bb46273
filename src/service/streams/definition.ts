/** What a stream is: its destination and its rules, as configuration and the API give them, checked as a whole. */
import { z } from 'zod'
import { inOurWords, problemTexts } from '../../base/expected.ts'
import { Fault, messageOf } from '../../base/fault.ts'
import { limits } from '../../base/limits.ts'
import { parseIdent } from '../../iceberg/catalog/catalog.ts'
import type { NestedField, Schema } from '../../iceberg/spec/table-metadata.ts'
import { parseSpecText } from '../../iceberg/spec/term-text.ts'
import { parseTypeText } from '../../iceberg/spec/type-text.ts'
import type { TableDefinition } from '../../table/table.ts'
import { transportType } from '../../table/transport.ts'
import { checkErrorPrefix } from '../deadletter/deadletter.ts'
import { enrichedColumns, enrichSettings } from './enrich/settings.ts'
import { evolutionSettings } from './evolution-plan.ts'
import { routeSettings } from './route/settings.ts'
import { scalarSettings } from './scalar-settings.ts'
import { transformSettings } from './transform/settings.ts'
import { validateSettings } from './validate/validate.ts'

/** Letters, digits, `.`, `_`, `-`, at most 64, as delivery streams have them. */
export const STREAM_NAME = /^[A-Za-z0-9_.-]{1,64}$/

const uniqueKeys = z.array(z.string()).max(32)
const columns = z.record(z.string().min(1).max(255), z.string().min(1).max(10_000))
const partitioning = z.array(z.string()).max(32)
const properties = z.record(z.string(), z.string())
const orderingField = z.string().min(1).max(255)

const errorPrefix = z
  .string()
  .max(1_024)
  .superRefine((prefix, context) => {
    try {
      checkErrorPrefix(prefix)
    } catch (error) {
      context.addIssue({ code: 'custom', message: messageOf(error) })
    }
  })

export const streamSettings = z.strictObject({
  /** Destination, e.g. `demo.web_events`; records may be routed to others. Created on first use when it is not there. */
  table: z.string().min(3).max(400),
  /** Columns that identify a row: records then insert, update or delete by them. Empty: every record becomes a row. */
  uniqueKeys: uniqueKeys.default([]),
  /** Columns by name, e.g. `STRING NOT NULL`. Absent: those of the table that is there; or, when it is not and
   * `unknownFields` is `evolve`, those that the first records show. */
  columns: columns.optional(),
  /** Partition terms, taken when a table is created. */
  partitioning: partitioning.default([]),
  /** Iceberg table properties. */
  properties: properties.default({}),
  /** Column by which records of one key are in order: one that is less than the row's changes nothing. Needs `uniqueKeys`. */
  orderingField: orderingField.optional(),
  /** Other tables that records are routed to, where they differ from the settings above. */
  tables: z
    .record(
      z.string().min(3).max(400),
      z.strictObject({
        uniqueKeys: uniqueKeys.optional(),
        columns: columns.optional(),
        partitioning: partitioning.optional(),
        properties: properties.optional(),
        orderingField: orderingField.optional(),
      }),
    )
    .default({}),
  /** Member that says `insert`, `update` or `delete`; it does not become a column. Needs `uniqueKeys`. */
  operationField: z.string().min(1).max(255).optional(),
  /** A function of your own that records pass through first. */
  transform: transformSettings.optional(),
  /** Which table a record goes to, by expressions. */
  route: routeSettings.optional(),
  /**
   * Refused records as objects too, in lines as delivery streams have them: `prefix` may hold `!{timestamp:…}` and `!{firehose:…}`.
   * `directory` is from the configuration file's folder, and only there; default: `error-output` in the state folder.
   */
  errorOutput: z
    .strictObject({ directory: z.string().min(1).max(4_000).optional(), prefix: errorPrefix.default('') })
    .optional(),
  /** The same as `errorOutput.prefix`, as contexts and clients of delivery streams give it. */
  errorOutputPrefix: errorPrefix.optional(),
  ...scalarSettings,
  ...evolutionSettings,
  ...validateSettings,
  ...enrichSettings,
  /** What of a CloudEvent becomes the record: its data, or the event with its attributes. */
  cloudEvents: z.enum(['data', 'envelope']).default('data'),
  /** What a client of delivery streams gave and gets back when it asks: roles, bucket, log options. Changes nothing. */
  delivery: z.record(z.string(), z.json()).optional(),
  /** A commit is made when either is reached. */
  buffer: z
    .strictObject({
      seconds: z.number().min(0).max(900).default(5),
      mebibytes: z.number().min(0.01).max(128).default(64),
    })
    .prefault({}),
})

export type StreamInput = z.input<typeof streamSettings>
export type StreamSettings = z.output<typeof streamSettings>

export interface StreamDefinition extends StreamSettings {
  name: string
}

/** @throws Fault `invalid` naming every problem */
export function parseStream(name: string, input: unknown): StreamDefinition {
  if (!STREAM_NAME.test(name)) {
    throw new Fault(
      'invalid',
      `a stream's name has 1 to 64 letters, digits, ".", "_" or "-", got ${JSON.stringify(name.slice(0, 80))}`,
    )
  }
  const result = streamSettings.safeParse(input, inOurWords)
  if (!result.success) {
    const problems = result.error.issues.flatMap((issue) => problemTexts(issue))
    throw new Fault('invalid', `stream ${name}: ${problems.join('; ')}`)
  }
  const definition = { name, ...result.data }
  for (const table of [definition.table, ...Object.keys(definition.tables)]) {
    try {
      checkTable(settingsFor(definition, table))
    } catch (error) {
      const where = table === definition.table ? '' : `tables.${table}: `
      throw new Fault('invalid', `stream ${name}: ${where}${messageOf(error)}`, {}, error)
    }
  }
  return definition
}

function checkTable(settings: StreamSettings): void {
  const { table, columns, uniqueKeys, operationField, orderingField } = settings
  parseIdent(table)
  if (table.length > 400) throw new Fault('invalid', `a table's name has at most 400 characters, got ${table.length}`)
  if (operationField !== undefined && uniqueKeys.length === 0) {
    throw new Fault('invalid', 'operationField needs uniqueKeys: without a key there is nothing to update or delete')
  }
  if (orderingField !== undefined && uniqueKeys.length === 0)
    throw new Fault('invalid', 'orderingField needs uniqueKeys: without a key there is nothing that is newer')
  checkEnriched(settings)
  if (columns !== undefined) tableOf(settings, schemaOf(columns, neededColumns(settings)))
}

/** The settings that hold for one table of a stream. */
export function settingsFor(definition: StreamDefinition, table: string): StreamSettings {
  const { name: _name, ...settings } = definition
  const own = Object.hasOwn(definition.tables, table) ? definition.tables[table] : undefined
  if (own === undefined) return table === definition.table ? settings : { ...settings, table }
  const given = Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined))
  return { ...settings, ...given, table }
}

/** What is added to every record must have a column, or every record would be refused. */
function checkEnriched({ columns, enrich, unknownFields }: StreamSettings): void {
  if (columns === undefined || enrich === undefined || unknownFields !== 'dead-letter') return
  for (const { column, path } of enrichedColumns(enrich)) {
    if (!Object.hasOwn(columns, column))
      throw new Fault('invalid', `${path}: the stream has no column "${column}"; add it to columns`)
  }
}

/** Columns that every record must have a value for, deletes too: the key, and what orders records of one key. */
export function neededColumns({
  uniqueKeys,
  orderingField,
}: Pick<StreamSettings, 'uniqueKeys' | 'orderingField'>): string[] {
  return orderingField === undefined ? uniqueKeys : [...uniqueKeys, orderingField]
}

/** Columns as a schema; key columns are required. @throws Fault `invalid` naming the column */
export function schemaOf(columns: Readonly<Record<string, string>>, key: readonly string[]): Schema {
  let lastId = 0
  const fields = Object.entries(columns).map(([name, text]): NestedField => {
    const [, typeText = text, notNull] = /^(.*?)(\s+not\s+null)?\s*$/is.exec(text) ?? []
    const id = ++lastId
    try {
      const type = parseTypeText(typeText, () => ++lastId)
      transportType(type)
      return { id, name, required: notNull !== undefined || key.includes(name), type }
    } catch (error) {
      throw new Fault('invalid', `columns.${name}: ${messageOf(error)}`)
    }
  })
  return { type: 'struct', 'schema-id': 0, fields }
}

/** The table that a stream writes. @throws Fault `invalid` (names, key columns, partition terms) */
export function tableOf(settings: StreamSettings, schema: Schema): TableDefinition {
  const { uniqueKeys: key, table, properties, partitioning, orderingField } = settings
  const names = new Set<string>()
  for (const { name } of schema.fields) {
    if (names.has(name.toLowerCase())) throw new Fault('invalid', `two columns are named "${name}" but for case`)
    names.add(name.toLowerCase())
  }
  if (schema.fields.length === 0) throw new Fault('invalid', 'columns: expected at least one')
  if (schema.fields.length > limits.streamColumnsMax)
    throw new Fault('invalid', `columns: expected at most ${limits.streamColumnsMax}, got ${schema.fields.length}`)
  const keyFields = key.map((name) => {
    const field = schema.fields.find((candidate) => candidate.name === name)
    if (field === undefined) throw new Fault('invalid', `uniqueKeys: the table has no column "${name}"`)
    if (typeof field.type !== 'string')
      throw new Fault('invalid', `uniqueKeys: "${name}" is nested, and cannot identify a row`)
    if (field.type === 'float' || field.type === 'double')
      throw new Fault('invalid', `uniqueKeys: "${name}" is a ${field.type}, whose values do not compare reliably`)
    return field
  })
  if (orderingField !== undefined && !schema.fields.some(({ name }) => name === orderingField))
    throw new Fault('invalid', `orderingField: the table has no column "${orderingField}"`)
  // A table made elsewhere may let its key be null; the stream does not, whatever the table says, and the table stays as it is.
  const identifier = keyFields.every((field) => field.required) ? keyFields.map((field) => field.id) : []
  return {
    ident: parseIdent(table),
    key,
    mode: key.length === 0 ? 'append' : 'upsert',
    ...(orderingField === undefined ? {} : { ordering: orderingField }),
    schema: identifier.length === 0 ? schema : { ...schema, 'identifier-field-ids': identifier },
    properties,
    ...(partitioning.length === 0 ? {} : { spec: parseSpecText(partitioning.join(', '), schema) }),
  }
}
