/**
 * Content columns by type and JSONPath: what of an object's metadata becomes a column of its own.
 *
 * A path that finds nothing gives null; an indefinite path (wildcard, slice, filter, descent) gives a list, empty when
 * it finds nothing. A value that does not fit the column's type gives null and is counted; it never fails the row.
 */
import type { Json } from '../../base/json.ts'
import { compilePath, type JsonPath } from '../../base/json-path.ts'
import type { Type } from '../../iceberg/spec/table-metadata.ts'
import { castJson } from './cast.ts'

export interface MappedColumn {
  name: string
  type: Type
  /** RFC 9535 JSONPath into the metadata, e.g. `$.labels[*].Name`. */
  jpath: string
}

export interface ContentMapping {
  /** Keep the whole metadata as JSON text in column `metadata`. Needed for filling columns that are added later. */
  includeRawMetadata: boolean
  columns: readonly MappedColumn[]
}

export const defaultMapping: ContentMapping = {
  includeRawMetadata: true,
  columns: [
    {
      name: 'labels',
      type: { type: 'list', 'element-id': 0, 'element-required': false, element: 'string' },
      jpath: '$.labels[*].Name',
    },
    { name: 'image_width', type: 'int', jpath: '$.image.image_width' },
    { name: 'image_height', type: 'int', jpath: '$.image.image_height' },
  ],
}

export interface MappedRow {
  values: { [column: string]: Json }
  /** Columns whose value did not fit their type. */
  castErrors: string[]
}

/** Compiles a mapping into a pure function. @throws Fault `invalid` naming each path that is not JSONPath */
export function compileMapping(mapping: ContentMapping): (metadata: Json) => MappedRow {
  const columns = mapping.columns.map((column) => ({
    ...column,
    path: compilePath(column.jpath, `column ${column.name}`),
  }))
  return (metadata) => {
    const row: MappedRow = { values: {}, castErrors: [] }
    for (const column of columns) {
      const cast = castJson(selected(column.path, metadata), column.type)
      row.values[column.name] = cast.value
      if (cast.misfits > 0) row.castErrors.push(column.name)
    }
    return row
  }
}

function selected(path: JsonPath, metadata: Json): Json {
  const found = path.select(metadata)
  return path.definite ? (found[0] ?? null) : found
}
