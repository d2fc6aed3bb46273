/**
 * Short ways to write the JSON Schemas of the built-in extractors' facts. Each fact has a description: the tables of
 * docs/extractors.md are made from them.
 */
import type { Json } from '../base/json.ts'
import type { JsonSchema } from './extract.ts'

type Kind = 'string' | 'integer' | 'number' | 'boolean' | 'object'

/** A value: `integer`, or `integer | null` where nothing may be known. */
export function fact(type: Kind | `${Kind} | null`, description: string, more: JsonSchema = {}): JsonSchema {
  const types = type.split(' | ')
  return { type: types.length === 1 ? types[0]! : types, description, ...more }
}

/** One of some words. */
export function word(words: readonly string[], description: string): JsonSchema {
  return { type: 'string', enum: [...words], description }
}

export function list(items: JsonSchema, description: string, more: JsonSchema = {}): JsonSchema {
  return { type: 'array', items: items as Json, description, ...more }
}

/** An object: members that are always there, and members that may be. No others. */
export function record(
  always: { [name: string]: JsonSchema },
  sometimes: { [name: string]: JsonSchema } = {},
  description = '',
): JsonSchema {
  return {
    type: 'object',
    ...(description === '' ? {} : { description }),
    properties: { ...always, ...sometimes } as { [name: string]: Json },
    required: Object.keys(always),
    additionalProperties: false,
  }
}

/** Texts under names that the file itself gives. */
export function texts(description: string): JsonSchema {
  return { type: 'object', description, additionalProperties: { type: 'string' } }
}

/** What an extractor returns: `members` by their names at the top of the object's metadata; nothing where it does not apply. */
export function facts(
  title: string,
  always: { [name: string]: JsonSchema },
  sometimes: { [name: string]: JsonSchema } = {},
): JsonSchema {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title,
    ...record(always, sometimes),
  }
}
