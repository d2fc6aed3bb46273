/**
 * JSON without loss: whole numbers beyond 2^53 stay exact as bigint, in both directions.
 * The built-in functions cannot write a bigint and round long integers on reading.
 */

export type Json = null | boolean | number | bigint | string | Json[] | { [key: string]: Json }

/** Text → value. Whole numbers outside ±(2^53-1) become bigint. @throws SyntaxError on text that is not JSON. */
export function parseJson(text: string): Json {
  return JSON.parse(text, ((_key: string, value: unknown, context?: { source?: string }) => {
    if (typeof value === 'number' && !Number.isSafeInteger(value)) {
      const source = context?.source
      if (source !== undefined && /^-?\d+$/.test(source)) return BigInt(source)
    }
    return value
  }) as (this: unknown, key: string, value: unknown) => unknown) as Json
}

const rawJson = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON

/** Value → compact text; bigint as plain digits. Keys keep their order; undefined members are left out. */
export function stringifyJson(value: unknown, indent?: number): string {
  return JSON.stringify(
    value,
    (_key, member: unknown) => (typeof member === 'bigint' ? rawJson(String(member)) : member),
    indent,
  )
}
