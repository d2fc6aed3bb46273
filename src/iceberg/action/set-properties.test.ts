import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sampleTable } from '../../../test/support/table-samples.ts'
import { isFault } from '../../base/fault.ts'
import { applyChange } from '../spec/update.ts'
import { setProperties, upgradeFormat } from './set-properties.ts'

const table = sampleTable({ properties: { a: '1', b: '2' } })

test('only what changes is in the change', () => {
  const change = setProperties(table, { updates: { a: '1', b: '3', c: '4' }, removals: ['zzz'] })
  assert.deepEqual(change.updates, [{ action: 'set-properties', updates: { b: '3', c: '4' } }])
  assert.deepEqual(setProperties(table, { updates: { a: '1' }, removals: ['zzz'] }).updates, [])
  const removed = setProperties(table, { removals: ['a'] })
  assert.deepEqual(applyChange(table, removed, { nowMs: 2_000 }).properties, { b: '2' })
})

test('reserved names, and names both set and removed, are refused', () => {
  assert.throws(
    () => setProperties(table, { updates: { 'format-version': '3' } }),
    (error) => isFault(error, 'invalid'),
  )
  assert.throws(
    () => setProperties(table, { updates: { a: '2' }, removals: ['a'] }),
    (error) => isFault(error, 'invalid'),
  )
})

test('the format goes up only', () => {
  assert.equal(applyChange(table, upgradeFormat(table, 3), { nowMs: 2_000 })['format-version'], 3)
  assert.deepEqual(upgradeFormat(table, 2).updates, [])
  assert.throws(
    () => upgradeFormat(sampleTable({ formatVersion: 3 }), 2),
    (error) => isFault(error, 'invalid'),
  )
})
