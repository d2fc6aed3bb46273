/**
 * Functions by which a few letters of SQL ask for gigabytes or hours. DuckDB computes some of them while it plans, where it
 * can neither be interrupted nor bounded in memory, so macros of the same names bound what they make.
 *
 * This catches mistakes, not every malice: `replace` of a long text by another, nested, still makes a very long one.
 */

/**
 * Characters of a text and elements of a list that these functions make at most, and the product of two texts' lengths whose
 * similarity is asked for: about a millisecond each. DuckDB looks whether it is interrupted once for 2,048 rows, so this is also
 * what bounds how long a statement goes on after its time: some seconds.
 */
const CHARACTERS_MAX = 100_000
const ELEMENTS_MAX = 100_000
const PRODUCT_MAX = 100_000

interface Guard {
  parameters: string
  /** A number, or null for no work. */
  size: string
  max: number
}

const text = (parameters: string, size: string): Guard => ({ parameters, size, max: CHARACTERS_MAX })
const elements = (parameters: string, size: string): Guard => ({ parameters, size, max: ELEMENTS_MAX })
const similarity: Guard[] = [{ parameters: 'a, b', size: 'length(a) * length(b)', max: PRODUCT_MAX }]
const series: Guard[] = [
  elements('stop BIGINT', 'stop'),
  elements('start BIGINT, stop BIGINT', 'stop - start'),
  elements('start BIGINT, stop BIGINT, step BIGINT', 'abs((stop - start) // step)'),
  ...['TIMESTAMP', 'TIMESTAMPTZ'].map((type) =>
    elements(
      `start ${type}, stop ${type}, step INTERVAL`,
      'abs((epoch(stop) - epoch(start)) / nullif(epoch(step), 0))',
    ),
  ),
]
const resize: Guard[] = [elements('list, size', 'size'), elements('list, size, value', 'size')]

const GUARDS: Readonly<Record<string, readonly Guard[]>> = {
  repeat: [text('value, count', 'count * length(value)')],
  lpad: [text('value, count, fill', 'count')],
  rpad: [text('value, count, fill', 'count')],
  range: series,
  generate_series: series,
  list_resize: resize,
  array_resize: resize,
  levenshtein: similarity,
  editdist3: similarity,
  damerau_levenshtein: similarity,
  jaro_similarity: similarity,
  jaro_winkler_similarity: similarity,
}

export const GUARDED: ReadonlySet<string> = new Set(Object.keys(GUARDS))

/** Statements that define guards for those of the named functions that have one. Repeating them does no harm. */
export function guardStatements(names: ReadonlySet<string>): string[] {
  return Object.entries(GUARDS)
    .filter(([name]) => names.has(name))
    .map(
      ([name, guards]) =>
        `CREATE MACRO IF NOT EXISTS ${name}${guards.map((guard) => overload(name, guard)).join(', ')}`,
    )
}

function overload(name: string, { parameters, size, max }: Guard): string {
  const names = parameters.split(', ').map((parameter) => parameter.split(' ')[0])
  const refusal = `${name} makes too much at once: its bound is ${max}`
  return `(${parameters}) AS (CASE WHEN coalesce(${size}, 0) <= ${max} THEN system.main.${name}(${names.join(', ')}) ELSE error('${refusal}') END)`
}
