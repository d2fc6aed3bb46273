import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { problemsOf } from '../../test/support/config-problems.ts'
import { isFault } from '../base/fault.ts'
import { parseConfig } from './config.ts'
import { s3Connection, s3Notes } from './s3-connections.ts'

describe('connections to S3 in a configuration', () => {
  it('are refused with every problem at its path, and found by name', () => {
    const s3 = { default: { 's3.endpoint': 'nowhere', 's3.acces-key-id': 'x' }, other: { 's3.session-token': 5 } }
    const problems = problemsOf({ s3, limits: { memoryMiB: 1 } })
    for (const path of ['s3.default["s3.endpoint"]', 's3.default["s3.acces-key-id"]', 's3.other.s3.session-token']) {
      assert.ok(
        problems.some((problem) => problem.startsWith(path)),
        `${path} in ${problems.join('\n')}`,
      )
    }
    assert.ok(problems.some((problem) => problem.startsWith('limits.memoryMiB')))
  })

  it('are AWS where nothing is said, and one object for each name', () => {
    const config = parseConfig({ s3: { minio: { 's3.endpoint': 'http://127.0.0.1:9000' } } }, 'the file')
    assert.equal(s3Connection(config).endpoint, undefined)
    assert.equal(s3Connection(config, 'minio').endpoint, 'http://127.0.0.1:9000')
    assert.equal(s3Connection(config, 'minio'), s3Connection(config, 'minio'))
    assert.throws(
      () => s3Connection(config, 'mino'),
      (error) => isFault(error, 'invalid') && /"mino"; there are: minio/.test(error.message),
    )
  })

  it('with a secret in the file are noted', () => {
    const secret = { 's3.access-key-id': 'a', 's3.secret-access-key': 'b' }
    assert.match(s3Notes({ default: secret, aws: {} }).join(), /^s3\.default: the secret stands in the file/)
  })
})
