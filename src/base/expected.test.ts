import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { inOurWords, problemTexts } from './expected.ts'

function textsOf(schema: z.ZodType, input: unknown): string[] {
  const result = schema.safeParse(input, inOurWords)
  return result.success ? [] : result.error.issues.flatMap((issue) => problemTexts(issue))
}

const object = z.strictObject({ host: z.string().optional(), port: z.int().min(0).max(65_535).optional() })

test('each problem of form says what was expected, what came, and where', () => {
  const cases: [z.ZodType, unknown, string][] = [
    [z.string(), 5, '(top): expected text, got 5'],
    [z.string(), undefined, '(top): expected text, got nothing; add it'],
    [z.number(), null, '(top): expected a number, got null; give a value, or leave it out'],
    [z.int(), 1.5, '(top): expected a whole number, got 1.5'],
    [z.boolean(), 'yes', '(top): expected true or false, got "yes"'],
    [z.strictObject({}), [], '(top): expected an object, got a list'],
    [z.array(z.string()), {}, '(top): expected a list, got an object'],
    [z.array(z.string()), ['a', 1], '1: expected text, got 1'],
    [z.enum(['x', 'y']), 'z', '(top): expected one of "x", "y", got "z"'],
    [z.literal('x'), 'z', '(top): expected "x", got "z"'],
    [z.int().min(1), 0, '(top): expected at least 1, got 0'],
    [z.int().max(5), 6, '(top): expected at most 5, got 6'],
    [z.number().positive(), -1, '(top): expected more than 0, got -1'],
    [z.number().lt(3), 3, '(top): expected less than 3, got 3'],
    [z.string().min(1), '', '(top): expected at least 1 character, got 0'],
    [z.string().length(2), 'abc', '(top): expected exactly 2 characters, got 3'],
    [z.array(z.int()).max(1), [1, 2], '(top): expected at most 1 item, got 2'],
    [z.string().regex(/^a$/), 'b', '(top): expected text of the form /^a$/, got "b"'],
    [z.string().regex(/^a$/, 'expected the letter a'), 'b', '(top): expected the letter a, got "b"'],
    [z.string().refine(() => false, 'expected that, got this'), 'b', '(top): expected that, got this'],
    [
      z.record(z.string().regex(/^a$/, 'expected the letter a'), z.int()),
      { b: 1 },
      'b: expected the letter a, got "b"',
    ],
    [z.string().max(1), 'x'.repeat(200), '(top): expected at most 1 character, got 200'],
    [z.int(), 'x'.repeat(200), `(top): expected a number, got "${'x'.repeat(79)}…`],
  ]
  for (const [schema, input, expected] of cases) assert.deepEqual(textsOf(schema, input), [expected])
})

test('a setting that there is not is told with those that there are, and with the one that was meant perhaps', () => {
  assert.deepEqual(textsOf(object, { hots: 'x' }), [
    '(top): there is no setting "hots" (did you mean host?); here may stand host, port',
  ])
  assert.deepEqual(textsOf(object, { completely: 1, PORT: 2 }), [
    '(top): there is no setting "completely", "PORT" (did you mean port?); here may stand host, port',
  ])
  assert.deepEqual(textsOf(z.strictObject({}), { a: 1 }), ['(top): there is no setting "a"; here may stand nothing'])
})

test('of a value that may have several forms, the form that was meant is told of, or all of them', () => {
  const either = z.strictObject({ tls: z.union([z.boolean(), object]) })
  assert.deepEqual(textsOf(either, { tls: 'yes' }), ['tls: expected true or false or an object, got "yes"'])
  assert.deepEqual(textsOf(either, { tls: { host: 5, port: -1 } }), [
    'tls.host: expected text, got 5',
    'tls.port: expected at least 0, got -1',
  ])
  assert.deepEqual(textsOf(either, {}), ['tls: expected true or false or an object, got nothing; add it'])
  const own = z.union([z.string(), z.boolean()], { error: 'expected text, or true or false' })
  assert.deepEqual(textsOf(own, 5), ['(top): expected text, or true or false, got 5'])
  const kinds = z.discriminatedUnion('type', [
    z.strictObject({ type: z.literal('a') }),
    z.strictObject({ type: z.literal('b'), n: z.int() }),
  ])
  assert.deepEqual(textsOf(kinds, { type: 'c' }), ['type: expected one of "a", "b", got "c"'])
  assert.deepEqual(textsOf(kinds, {}), ['type: expected one of "a", "b", got nothing; add it'])
  assert.deepEqual(textsOf(kinds, { type: 'b', n: 'x' }), ['n: expected a number, got "x"'])
})

test('a secret of a wrong form is not shown', () => {
  const secrets = ['token', 'client.secret-access-key', 's3.session-token', 'password', 's3.access-key-id']
  const properties = z.record(z.string(), z.union([z.string(), z.boolean()], { error: 'expected text' }))
  for (const name of secrets) {
    for (const text of [
      ...textsOf(z.strictObject({ [name]: z.string() }), { [name]: 12_345_678 }),
      ...textsOf(z.strictObject({ [name]: z.string().regex(/^x/, 'expected an x') }), { [name]: 'q12345678' }),
      ...textsOf(properties, { [name]: 12_345_678 }),
    ])
      assert.match(text, /^[a-z0-9.-]+: expected .*, got (a number|text), which is not shown$/)
  }
})
