import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isFault } from '../../base/fault.ts'
import { encodePuffin, readPuffin } from './puffin.ts'

const facts = { type: 'a', fields: [1], snapshotId: 2n ** 62n, sequenceNumber: 7, properties: { count: '3' } }

test('blobs come out of a file as they went in, by their type', () => {
  const { bytes, footerBytes } = encodePuffin([
    { facts, bytes: Buffer.from('first') },
    { facts: { ...facts, type: 'b' }, bytes: Buffer.from('') },
    { facts, bytes: Buffer.from('PFA1') },
  ])
  assert.deepEqual(
    readPuffin(bytes, 'a').map((blob) => [blob.bytes.toString(), blob.properties['count']]),
    [
      ['first', '3'],
      ['PFA1', '3'],
    ],
  )
  assert.deepEqual(readPuffin(bytes, 'c'), [])
  assert.equal(bytes.subarray(-footerBytes).subarray(0, 4).toString(), 'PFA1')
})

test('the frame is the one of the specification', () => {
  const { bytes } = encodePuffin([{ facts, bytes: Buffer.from([1, 2]) }])
  const json = bytes.subarray(10, -12)
  assert.equal(bytes.subarray(0, 4).toString('latin1'), 'PFA1')
  assert.deepEqual([...bytes.subarray(4, 6)], [1, 2])
  assert.equal(bytes.readInt32LE(bytes.length - 12), json.length)
  assert.equal(
    json.toString(),
    '{"blobs":[{"type":"a","fields":[1],"snapshot-id":4611686018427387904,"sequence-number":7,"offset":4,"length":2,"properties":{"count":"3"}}],"properties":{}}',
  )
})

test('a file cut anywhere, or of another kind, is called corrupt', () => {
  const { bytes } = encodePuffin([{ facts, bytes: Buffer.from('some bytes') }])
  for (let end = 0; end < bytes.length; end++)
    assert.throws(
      () => readPuffin(bytes.subarray(0, end), 'a'),
      (error) => isFault(error, 'corrupt'),
    )
  const moved = Buffer.from(bytes.toString('latin1').replace('"length":10', '"length":99'), 'latin1')
  assert.throws(
    () => readPuffin(moved, 'a'),
    (error) => isFault(error, 'corrupt'),
  )
})
