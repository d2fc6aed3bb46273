/**
 * Functions that users of Spark, Hive, Athena and Trino type and DuckDB does not have, as macros over what it has.
 * Every name here stands in `functions.ts` too, except helpers with two leading underscores.
 */

/** Name and parameters → definition. */
const DEFINITIONS: Readonly<Record<string, string>> = {
  // Members in brackets (`$['a b']`) become quoted names, which DuckDB reads.
  '__json_path(path)': String.raw`regexp_replace(regexp_replace(path, '\[''([^'']*)''\]', '."\1"', 'g'), '\["([^"]*)"\]', '."\1"', 'g')`,
  // Invalid JSON gives null; TRY would give the same at forty times the cost.
  '__json_at(document, path)':
    'to_json(json_extract(CASE WHEN json_valid(CAST(document AS VARCHAR)) THEN CAST(document AS VARCHAR) END, __json_path(path)))',
  // Of a path with a wildcard: all matches as one JSON array, a single match alone, none as null, as in Spark.
  'get_json_object(document, path)': `CASE WHEN contains(path, '*')
     THEN CASE json_array_length(__json_at(document, path))
          WHEN 0 THEN NULL
          WHEN 1 THEN json_extract_string(__json_at(document, path), '$[0]')
          ELSE CAST(__json_at(document, path) AS VARCHAR) END
     ELSE json_extract_string(__json_at(document, path), '$') END`,
  // Objects and arrays give null, as in Trino.
  'json_extract_scalar(document, path)': `CASE WHEN json_type(__json_at(document, path)) NOT IN ('OBJECT', 'ARRAY')
     THEN json_extract_string(__json_at(document, path), '$') END`,
  'size(collection)': `CASE json_type(to_json(collection))
     WHEN 'OBJECT' THEN len(json_keys(to_json(collection)))
     ELSE json_array_length(to_json(collection)) END`,
  // From 1; from the end when negative; null when there is none.
  'element_at(collection, key)': 'collection[key]',
  'array_join(list, separator)': 'array_to_string(list, separator)',
  'regexp_like(text, pattern)': 'regexp_matches(text, pattern)',
  'nvl(value, otherwise)': 'coalesce(value, otherwise)',
  'approx_distinct(value)': 'approx_count_distinct(value)',
  'collect_list(value)': 'list(value) FILTER (value IS NOT NULL)',
  'collect_set(value)': 'list(DISTINCT value) FILTER (value IS NOT NULL)',
  'from_iso8601_timestamp(text)': 'CAST(text AS TIMESTAMPTZ)',
  'to_unixtime(moment)': 'epoch(moment)',
}

/** Names of the functions that users may call. */
export const MACRO_NAMES: readonly string[] = Object.keys(DEFINITIONS)
  .filter((signature) => !signature.startsWith('__'))
  .map((signature) => signature.slice(0, signature.indexOf('(')))

/** Statements that define those of the named functions that are macros, with what they call. Repeating them does no harm. */
export function macroStatements(names: ReadonlySet<string>): string[] {
  const statements: string[] = []
  const define = (name: string): void => {
    const found = Object.entries(DEFINITIONS).find(([signature]) => signature.startsWith(`${name}(`))
    if (found === undefined) return
    const [signature, definition] = found
    for (const helper of new Set(definition.match(/__\w+/g))) define(helper)
    statements.push(`CREATE MACRO IF NOT EXISTS ${signature} AS (${definition})`)
  }
  for (const name of names) if (!name.startsWith('__')) define(name)
  return statements
}
