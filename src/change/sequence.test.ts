import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { isFault } from '../base/fault.ts'
import type { ObjectEvent } from './object-event.ts'
import {
  canonicalSequencer,
  eventHash,
  instantOf,
  instantOfSequence,
  microsecondsOf,
  sequenceNumber,
  sequencerOf,
  sequencerOfEvent,
} from './sequence.ts'

const put: ObjectEvent = {
  v: 1,
  kind: 'create',
  source: 'aws:s3',
  name: 'ObjectCreated:Put',
  bucket: 'photos',
  key: 'a.jpg',
  versionId: 'null',
  time: '2024-05-01T10:00:00.123Z',
  sequencer: '00663212F01D2B1C5A',
  etag: 'd41d8cd98f00b204e9800998ecf8427e',
}

const hexDigits = (minLength: number, maxLength: number) =>
  fc.array(fc.constantFrom(...'0123456789abcdefABCDEF'), { minLength, maxLength }).map((digits) => digits.join(''))

describe('sequencers', () => {
  const table: [string, string | undefined, string | undefined][] = [
    ['what S3 sends', '00636B4222ABCDEF12', '00636B4222ABCDEF12'],
    ['lower case', '00636b4222abcdef12', '00636B4222ABCDEF12'],
    ['zeros on the right', '0055AED6DCD90281E000', '0055AED6DCD90281E'],
    ['16 digits of MinIO', '18E9C8EC3DABE3EE', '18E9C8EC3DABE3EE'],
    ['32 digits', '1'.repeat(32), '1'.repeat(32)],
    ['32 digits and zeros', `${'1'.repeat(32)}0000`, '1'.repeat(32)],
    ['none', undefined, undefined],
    ['nothing', '', undefined],
    ['only zeros', '0000000000000000', undefined],
    ['more digits than are told apart', '1'.repeat(33), undefined],
    ['one digit', 'a', 'A'],
    ['seven digits', '1fffff0', '1FFFFF'],
    ['no hex', '0055AED6DCD90281EG', undefined],
    ['a sign', '-055AED6DCD90281', undefined],
    ['a space', ' 0055AED6DCD9028', undefined],
    ['the constant of LocalStack in queues', '0055AED6DCD90281E5', undefined],
    ['the constant of LocalStack on EventBridge', '0062E99A88DC407460', undefined],
    ['the constant of moto', '617f08299329d189', undefined],
  ]
  for (const [what, text, canonical] of table) {
    it(`${what}: ${canonical === undefined ? 'does not order' : 'is made canonical'}`, () =>
      assert.equal(canonicalSequencer(text), canonical))
  }

  it('order as text like upper-case text padded with zeros on the right', () => {
    fc.assert(
      fc.property(hexDigits(1, 32), hexDigits(1, 32), (one, other) => {
        const [a, b] = [canonicalSequencer(one), canonicalSequencer(other)]
        if (a === undefined || b === undefined) return
        const [x, y] = [one.toUpperCase().padEnd(32, '0'), other.toUpperCase().padEnd(32, '0')]
        assert.equal(a < b, x < y)
        assert.equal(a === b, x === y)
      }),
    )
  })

  it('do not order as numbers, nor padded on the left', () => {
    const [older, newer] = [canonicalSequencer('0055AED6DCD90281E6'), canonicalSequencer('00620000')]
    assert.ok(older! < newer!)
    assert.ok(BigInt(`0x${older}`) > BigInt(`0x${newer}`))
  })

  it('of a source that counts anew with each start do not order', () => {
    assert.equal(sequencerOfEvent({ source: 'versitygw:s3', sequencer: '123456789' }), undefined)
    assert.equal(sequencerOfEvent({ source: 'aws:s3', sequencer: '123456789' }), '123456789')
  })
})

describe('times', () => {
  const table: [string, bigint][] = [
    ['1970-01-01T00:00:00Z', 0n],
    ['1970-01-01T00:00:00.000001Z', 1n],
    ['2024-05-01T10:00:00Z', 1714557600000000n],
    ['2024-05-01T10:00:00.1Z', 1714557600100000n],
    ['2024-05-01T10:00:00.123456Z', 1714557600123456n],
    ['2024-05-01T10:00:00.123456999Z', 1714557600123456n],
    ['2024-05-01T12:30:00.5+02:30', 1714557600500000n],
    ['2024-05-01T00:00:00-10:00', 1714557600000000n],
    ['2024-02-29T00:00:00Z', 1709164800000000n],
    ['1969-12-31T23:59:59.999999Z', -1n],
    ['9999-12-31T23:59:59.999999Z', 253402300799999999n],
  ]
  for (const [text, microseconds] of table) {
    it(`${text} is ${microseconds} µs`, () => {
      assert.equal(microsecondsOf(text), microseconds)
      const clamped = microseconds < 0n ? 0n : microseconds
      assert.equal(instantOf(text), clamped.toString(16).toUpperCase().padStart(16, '0'))
    })
  }

  const refused = [
    '',
    'now',
    '2024-05-01',
    '2024-05-01T10:00:00',
    '2024-05-01 10:00:00Z',
    '2024-05-01T10:00Z',
    '2024-05-01T10:00:00.Z',
    '2024-05-01T10:00:00.1234567890Z',
    '2023-02-29T00:00:00Z',
    '2024-13-01T00:00:00Z',
    '2024-05-01T24:00:00Z',
    '2024-05-01T10:00:60Z',
    '2024-05-01T10:00:00+25:00',
    '2024-05-01T10:00:00+0200',
    '2024-05-01t10:00:00z',
    '+02024-05-01T10:00:00Z',
    '2024-05-01T10:00:00,5Z',
    ' 2024-05-01T10:00:00Z',
    '2024-05-01T10:00:00Z\n',
  ]
  for (const text of refused) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(
        () => microsecondsOf(text),
        (error) => isFault(error, 'invalid'),
      )
      assert.throws(
        () => instantOf(text),
        (error) => isFault(error, 'invalid'),
      )
    })
  }

  it('order as text like the times they stand for', () => {
    const time = fc.date({
      min: new Date('1970-01-01T00:00:00Z'),
      max: new Date('9999-12-31T23:59:59Z'),
      noInvalidDate: true,
    })
    fc.assert(
      fc.property(time, time, (one, other) => {
        assert.equal(instantOf(one.toISOString()) < instantOf(other.toISOString()), one < other)
      }),
    )
  })
})

describe('sequence numbers', () => {
  it('are laid out as documented', () => {
    assert.equal(sequenceNumber(put), `000617618CB3C878000663212F01D2B1C5A00000000000000${eventHash(put)}`)
    assert.equal(sequencerOf(sequenceNumber(put)), '00663212F01D2B1C5A')
    assert.equal(instantOfSequence(sequenceNumber(put)), instantOf(put.time))
  })

  it('hold no sequencer where the event has none that orders', () => {
    const { sequencer: _, ...without } = put
    assert.equal(sequencerOf(sequenceNumber(without)), undefined)
    assert.equal(sequencerOf(sequenceNumber({ ...put, sequencer: '0055AED6DCD90281E5' })), undefined)
  })

  it('are the same for a repeated notification, whatever the order of its members', () => {
    const repeated = Object.fromEntries(
      Object.entries({ ...put, tags: { b: '1', a: '2' } }).reverse(),
    ) as unknown as ObjectEvent
    assert.equal(sequenceNumber(repeated), sequenceNumber({ ...put, tags: { a: '2', b: '1' } }))
  })

  it('differ for events that differ in anything', () => {
    const others: Partial<ObjectEvent>[] = [
      { kind: 'marker' },
      { name: 'ObjectCreated:Copy' },
      { versionId: 'v1' },
      { etag: 'e' },
      { requestId: 'r' },
      { sizeBytes: 1 },
      { tags: {} },
      { tags: { a: 'b' } },
      { storageClass: 'GLACIER' },
      { source: 'aws.s3' },
    ]
    const numbers = new Set([sequenceNumber(put), ...others.map((change) => sequenceNumber({ ...put, ...change }))])
    assert.equal(numbers.size, others.length + 1)
  })

  it('order by time, then updates after what they update, then by sequencer', () => {
    const at = (time: string, sequencer: string, kind: ObjectEvent['kind'] = 'create') =>
      sequenceNumber({ ...put, time, sequencer, kind })
    const inOrder = [
      at('2024-05-01T10:00:00.123Z', 'FFFFFFFFFFFF'),
      at('2024-05-01T10:00:00.124Z', '11111111'),
      at('2024-05-01T10:00:00.124Z', '1111111122'),
      at('2024-05-01T10:00:00.124Z', '11111112', 'delete'),
      at('2024-05-01T10:00:00.124Z', '00000001', 'update'),
      at('2024-05-01T10:00:00.124001Z', '11111111'),
    ]
    assert.deepEqual([...inOrder].sort(), inOrder)
  })

  it('that are none are refused', () => {
    for (const text of ['', '00', 'x'.repeat(65), 'a'.repeat(65)]) {
      assert.throws(
        () => sequencerOf(text),
        (error) => isFault(error, 'invalid'),
      )
    }
  })
})
