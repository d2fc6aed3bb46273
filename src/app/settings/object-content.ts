/**
 * `objects.content`: which columns the content table has beside its fixed ones; and `objects.schema`, the same with the keys
 * `include_raw_metadata`, `custom_metadata_fields`, `field.<name>.type` and `field.<name>.jpath`.
 */
import { z } from 'zod'

const COLUMN_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/
const COLUMN_NAME_RULE = 'expected a column name of letters, digits and _ that does not begin with a digit'

const contentColumn = z.strictObject({ type: z.string(), jpath: z.string() })

export const contentSettings = z.strictObject({
  includeRawMetadata: z.boolean().default(true),
  /** Column name → type and JSONPath. Absent: labels, image_width, image_height. */
  columns: z.record(z.string().regex(COLUMN_NAME, COLUMN_NAME_RULE), contentColumn).optional(),
})

/** The flat form; its keys `field.<name>.…` are checked by `flatContent`. */
export const flatSettings = z.record(
  z.string(),
  z.union([z.string(), z.boolean()], { error: 'expected text, or true or false' }),
)

type ContentSettings = z.output<typeof contentSettings>

/** The flat keys as content columns. Every problem is added to `problems`. */
export function flatContent(flat: z.output<typeof flatSettings>, problems: string[]): ContentSettings {
  const problem = (key: string, message: string) => problems.push(`objects.schema.${key}: ${message}`)
  const text = (key: string): string | undefined => (flat[key] === undefined ? undefined : String(flat[key]))
  const raw = text('include_raw_metadata') ?? 'true'
  if (raw !== 'true' && raw !== 'false') problem('include_raw_metadata', `expected true or false, got "${raw}"`)
  const names = (text('custom_metadata_fields') ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
  const columns: Record<string, { type: string; jpath: string }> = {}
  for (const name of names) {
    const type = text(`field.${name}.type`)
    const jpath = text(`field.${name}.jpath`)
    if (!COLUMN_NAME.test(name)) problem('custom_metadata_fields', `${COLUMN_NAME_RULE}, got "${name}"`)
    if (type === undefined) problem(`field.${name}.type`, `missing, because custom_metadata_fields names ${name}`)
    if (jpath === undefined) problem(`field.${name}.jpath`, `missing, because custom_metadata_fields names ${name}`)
    if (type !== undefined && jpath !== undefined) columns[name] = { type, jpath }
  }
  for (const key of Object.keys(flat)) {
    const name = /^field\.(.+)\.(type|jpath)$/.exec(key)?.[1]
    if (key === 'include_raw_metadata' || key === 'custom_metadata_fields') continue
    if (name === undefined) {
      problem(key, 'expected include_raw_metadata, custom_metadata_fields, field.<name>.type or field.<name>.jpath')
    } else if (!names.includes(name)) problem(key, `custom_metadata_fields does not name ${name}`)
  }
  return { includeRawMetadata: raw === 'true', columns }
}
