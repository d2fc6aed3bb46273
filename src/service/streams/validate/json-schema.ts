/**
 * JSON Schema: a schema compiled once, a record's problems with their paths.
 *
 * Schemas and records are not trusted. Patterns run on an engine that takes linear time; `uniqueItems` takes linear time, and
 * not the square of it; nothing is fetched for a `$ref`; compiling and checking are ended when they take too long (`timed.ts`).
 * The library is loaded when the first schema is compiled.
 */
import { createRequire } from 'node:module'
import type { Ajv as AjvType, ErrorObject, Options, ValidateFunction } from 'ajv'
import { Fault, messageOf } from '../../../base/fault.ts'
import { limits } from '../../../base/limits.ts'
import { excerpt } from '../record.ts'
import { timed } from './timed.ts'

/** One problem: where, as `items[0].price`, and what. */
export interface SchemaProblem {
  path: string
  message: string
}

/** A plain JSON value → its problems; none: it fits. May take any time: call it under `timed`. */
export type JsonSchemaCheck = (value: unknown) => SchemaProblem[]

const require = createRequire(import.meta.url)

/** @throws Fault `invalid` saying what in the schema cannot be taken */
export function compileJsonSchema(schema: unknown): JsonSchemaCheck {
  const text = JSON.stringify(schema)
  if (typeof schema !== 'boolean' && (typeof schema !== 'object' || schema === null || Array.isArray(schema)))
    throw new Fault('invalid', `JSON Schema: expected an object, true or false, got ${excerpt(schema)}`)
  if (text.length > limits.streamSchemaBytesMax)
    throw new Fault('invalid', `JSON Schema: expected at most ${limits.streamSchemaBytesMax} bytes, got ${text.length}`)
  let compiled: ReturnType<typeof timed<ValidateFunction>>
  try {
    // A copy: the library keeps what it is given, and the settings' own object must not be changed through it.
    compiled = timed(() => ajvFor(schema).compile(JSON.parse(text)), limits.streamSchemaCompileMs)
  } catch (error) {
    throw new Fault('invalid', `JSON Schema: ${messageOf(error)}`, {}, error)
  }
  if (!compiled.done)
    throw new Fault('invalid', `JSON Schema: it took more than ${limits.streamSchemaCompileMs} ms to compile`)
  const validate = compiled.value
  return (value) => {
    if (validate(value)) return []
    const errors = validate.errors ?? []
    return errors.slice(0, PROBLEMS_MAX).map(problemOf)
  }
}

const PROBLEMS_MAX = 100

/** The library for the draft that the schema says it is of; 2020-12 when it says none. */
function ajvFor(schema: object | boolean): AjvType {
  const draft = typeof schema === 'object' && '$schema' in schema ? String(schema.$schema) : ''
  const options: Options = {
    allErrors: true,
    verbose: true,
    strict: false,
    logger: false,
    inlineRefs: false,
    multipleOfPrecision: 9,
    code: { regExp: linearRegExp() },
  }
  const ajv = newAjv(draft, options)
  const { default: addFormats } = require('ajv-formats') as typeof import('ajv-formats')
  addFormats.default(ajv)
  ajv.removeKeyword('uniqueItems')
  ajv.addKeyword({
    keyword: 'uniqueItems',
    type: 'array',
    schemaType: 'boolean',
    validate: (wanted: boolean, items: unknown[]) =>
      !wanted || new Set(items.map((item) => canonical(item))).size === items.length,
    error: { message: 'must NOT have duplicate items' },
  })
  return ajv
}

function newAjv(draft: string, options: Options): AjvType {
  if (draft === '' || draft.includes('2020-12')) {
    const { Ajv2020 } = require('ajv/dist/2020.js') as typeof import('ajv/dist/2020.js')
    return new Ajv2020(options)
  }
  if (draft.includes('2019-09')) {
    const { Ajv2019 } = require('ajv/dist/2019.js') as typeof import('ajv/dist/2019.js')
    return new Ajv2019(options)
  }
  const { Ajv } = require('ajv') as typeof import('ajv')
  if (draft.includes('draft-07')) return new Ajv(options)
  if (draft.includes('draft-06')) {
    return new Ajv(options).addMetaSchema(require('ajv/dist/refs/json-schema-draft-06.json') as object)
  }
  throw new Error(`expected the drafts 2020-12, 2019-09, 07 or 06 in $schema, got ${excerpt(draft)}`)
}

/** Patterns of JavaScript on an automaton. What needs backtracking (lookaround, backreferences) it refuses. */
function linearRegExp() {
  const { RE2JS } = require('re2js') as typeof import('re2js')
  return Object.assign(
    (pattern: string) => {
      const automaton = RE2JS.compile(RE2JS.translateRegExp(pattern))
      // The library keeps one expression for each text that `toString` gives.
      return { test: (text: string) => automaton.test(text), toString: () => `/${pattern}/` }
    },
    { code: 'RegExp' },
  )
}

/** The same text for equal values, whatever the order of their members. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_name, member: unknown) =>
    typeof member === 'object' && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  )
}

function problemOf({ instancePath, keyword, params, message = 'does not fit', data }: ErrorObject): SchemaProblem {
  const path = dotted(instancePath)
  switch (keyword) {
    case 'required':
    case 'additionalProperties':
    case 'unevaluatedProperties': {
      const member = String(params['missingProperty'] ?? params['additionalProperty'] ?? params['unevaluatedProperty'])
      const where = path === '' ? member : `${path}.${member}`
      return {
        path: where,
        message: keyword === 'required' ? 'expected a value, got none' : 'the schema has no such member',
      }
    }
    case 'enum':
      return { path, message: `${message}: ${excerpt(params['allowedValues'])}, got ${excerpt(data)}` }
    case 'const':
      return { path, message: `must be ${excerpt(params['allowedValue'])}, got ${excerpt(data)}` }
    default:
      return { path, message: data === undefined ? message : `${message}, got ${excerpt(data)}` }
  }
}

/** `/items/0/price` → `items[0].price`. */
function dotted(pointer: string): string {
  return pointer
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce((path, step) => (/^\d+$/.test(step) ? `${path}[${step}]` : path === '' ? step : `${path}.${step}`), '')
}
