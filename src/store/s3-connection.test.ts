import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseS3Properties } from './s3-connection.ts'

const env = { KEY: 'from-env', SECRET: 'secret-from-env', EMPTY: '' }

function problemsOf(properties: Record<string, unknown>): string[] {
  const parsed = parseS3Properties(properties, 's3.default', env)
  return 'problems' in parsed ? parsed.problems.map(({ path, message }) => `${path}: ${message}`) : []
}

test('nothing said means AWS, with its own chain of credentials', () => {
  const expected = { connection: { anonymous: false, pathStyle: false, literalSecret: false } }
  assert.deepEqual(parseS3Properties({}, 's3.default', env), expected)
})

test('the properties that Iceberg’s programs have are understood, and variables looked up', () => {
  const properties = {
    's3.endpoint': 'http://127.0.0.1:9000/',
    'client.region': 'eu-central-1',
    's3.region': 'eu-central-1',
    's3.access-key-id': 'env:KEY',
    's3.secret-access-key': 'env:SECRET',
    's3.session-token': 'token',
  }
  assert.deepEqual(parseS3Properties(properties, 's3.default', env), {
    connection: {
      endpoint: 'http://127.0.0.1:9000',
      region: 'eu-central-1',
      credentials: { accessKeyId: 'from-env', secretAccessKey: 'secret-from-env', sessionToken: 'token' },
      anonymous: false,
      pathStyle: true,
      literalSecret: false,
    },
  })
})

test('a secret in the file itself is noted, and how buckets are addressed may be said in two ways', () => {
  const literal = parseS3Properties({ 's3.access-key-id': 'a', 's3.secret-access-key': 'b' }, 's3.x', env)
  assert.ok('connection' in literal && literal.connection.literalSecret)
  for (const properties of [
    { 's3.endpoint': 'http://h', 's3.path-style-access': false },
    { 's3.endpoint': 'http://h', 's3.force-virtual-addressing': 'true' },
  ]) {
    const parsed = parseS3Properties(properties, 's3.x', env)
    assert.ok('connection' in parsed && !parsed.connection.pathStyle)
  }
})

test('a property whose variable is not set is one problem, and not missing beside the others', () => {
  const id = { 's3.access-key-id': 'id' }
  const secret = { 's3.secret-access-key': 'secret' }
  const cases: [Record<string, unknown>, RegExp][] = [
    [{ ...id, 's3.secret-access-key': 'env:NONE' }, /secret-access-key.*variable NONE is not set/],
    [{ ...id, 's3.secret-access-key': 5 }, /secret-access-key.*expected text/],
    [{ ...secret, 's3.access-key-id': 'env:NONE' }, /access-key-id.*variable NONE is not set/],
    [id, /secret-access-key.*is missing/],
    [secret, /access-key-id.*is missing/],
  ]
  for (const [properties, expected] of cases) {
    const problems = problemsOf(properties)
    assert.equal(problems.length, 1, problems.join('\n'))
    assert.match(problems[0] ?? '', expected)
  }
})

test('every problem is told at once, with its place', () => {
  const problems = problemsOf({
    's3.endpoint': 'localhost:9000',
    's3.path-style-access': 'yes',
    's3.acces-key': 'x',
    's3.access-key-id': 'env:NONE',
    's3.secret-access-key': 'env:EMPTY',
    's3.session-token': 5,
    's3.region': 'a',
    'client.region': 'b',
  })
  const expected = [
    [/acces-key"/, /is no property of an S3 connection/],
    [/access-key-id/, /variable NONE is not set/],
    [/secret-access-key/, /variable EMPTY is not set/],
    [/session-token/, /expected text, got number/],
    [/client\.region/, /something else than "s3\.region"/],
    [/endpoint/, /expected a URL/],
    [/path-style-access/, /expected true or false, got "yes"/],
  ] as const
  assert.equal(problems.length, expected.length, problems.join('\n'))
  for (const [at, [path, message]] of expected.entries()) {
    assert.match(problems[at]!, path)
    assert.match(problems[at]!, message)
  }
})

test('half a key, and two ways to say who asks, are problems', () => {
  assert.match(problemsOf({ 's3.access-key-id': 'a' }).join(), /secret-access-key.*is missing/)
  assert.match(problemsOf({ 's3.secret-access-key': 'a' }).join(), /access-key-id.*is missing/)
  const both = { 's3.access-key-id': 'a', 's3.secret-access-key': 'b', 'client.profile-name': 'p' }
  assert.match(problemsOf(both).join(), /profile-name.*leave one out/)
})
