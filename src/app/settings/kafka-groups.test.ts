import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseConfig } from '../config.ts'

describe('sources of one Kafka group', () => {
  const source = (topics: string[], more: object = {}) => ({
    stream: 'web',
    kafka: { brokers: ['kafka:9092', 'other:9092'], topics, ...more },
  })
  const parse = (sources: object) => parseConfig({ streams: { web: { table: 'demo.web' } }, sources }, 'the file')

  it('are refused where each would get a part of the messages, with the path', () => {
    assert.throws(
      () => parse({ one: source(['a', 'b'], { group: 'g' }), two: source(['b', 'c'], { group: 'g' }) }),
      /sources\.two\.kafka\.group: expected a group of its own, got "g", by which sources\.one reads b too/,
    )
    // The group that a source has by its name is one too.
    assert.throws(
      () => parse({ one: source(['a']), two: source(['a'], { group: 'tidewater-one' }) }),
      /sources\.two\.kafka\.group/,
    )
    const { kafka } = source(['a'])
    assert.throws(
      () =>
        parseConfig(
          { objects: { sources: { one: { type: 'kafka', ...kafka } } }, sources: { one: source(['a']) } },
          'the file',
        ),
      /objects\.sources\.one\.group: .*by which sources\.one reads a too/,
    )
  })
  it('are taken where they read other topics, other groups or another cluster', () => {
    parse({
      one: source(['a'], { group: 'g' }),
      two: source(['b'], { group: 'g' }),
      three: source(['a']),
      four: source(['a'], { group: 'g', brokers: ['elsewhere:9092'] }),
    })
  })
})
