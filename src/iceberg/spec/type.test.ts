import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isFault } from '../../base/fault.ts'
import {
  formatPrimitive,
  formatType,
  isPromotable,
  minFormatVersion,
  parsePrimitive,
  tryParsePrimitive,
} from './type.ts'

test('primitive types are read with and without blanks and written in one form', () => {
  const forms: [string, string][] = [
    ['long', 'long'],
    ['decimal(9, 2)', 'decimal(9,2)'],
    [' decimal ( 38 , 0 ) ', 'decimal(38,0)'],
    ['fixed[16]', 'fixed[16]'],
    ['fixed[ 3 ]', 'fixed[3]'],
    ['timestamptz_ns', 'timestamptz_ns'],
    ['geometry', 'geometry'],
    ['geometry(srid:4326)', 'geometry(srid:4326)'],
    ['geography(srid:4326, spherical)', 'geography(srid:4326, spherical)'],
    ['variant', 'variant'],
    ['unknown', 'unknown'],
  ]
  for (const [text, canonical] of forms) assert.equal(formatPrimitive(parsePrimitive(text)), canonical)
})

test('texts that are no type of the format are refused', () => {
  for (const text of [
    '',
    'integer',
    'Long',
    'decimal',
    'decimal(39,0)',
    'decimal(0,0)',
    'decimal(5,6)',
    'fixed[0]',
    'fixed',
    'struct',
  ]) {
    assert.equal(tryParsePrimitive(text), null, text)
    assert.throws(
      () => parsePrimitive(text),
      (error) => isFault(error, 'invalid'),
    )
  }
})

test('a type may only be promoted as the specification lists', () => {
  const cases: [string, string, boolean, boolean][] = [
    // from, to, in v2, in v3
    ['int', 'long', true, true],
    ['long', 'int', false, false],
    ['float', 'double', true, true],
    ['int', 'double', false, false],
    ['decimal(9,2)', 'decimal(18,2)', true, true],
    ['decimal(9,2)', 'decimal(18, 2)', true, true],
    ['decimal(9,2)', 'decimal(18,3)', false, false],
    ['decimal(9,2)', 'decimal(8,2)', false, false],
    ['date', 'timestamp', false, true],
    ['date', 'timestamptz', false, false],
    ['unknown', 'string', false, true],
    ['string', 'string', true, true],
    ['fixed[4]', 'binary', false, false],
  ]
  for (const [from, to, v2, v3] of cases) {
    assert.equal(isPromotable(from, to, 2), v2, `${from} to ${to} in v2`)
    assert.equal(isPromotable(from, to, 3), v3, `${from} to ${to} in v3`)
  }
  assert.equal(isPromotable({ type: 'struct', fields: [] }, 'string'), false)
})

test('types of version 3 say so', () => {
  for (const text of ['timestamp_ns', 'variant', 'unknown', 'geometry'])
    assert.equal(minFormatVersion(parsePrimitive(text)), 3)
  for (const text of ['timestamp', 'decimal(9,2)', 'fixed[2]']) assert.equal(minFormatVersion(parsePrimitive(text)), 1)
})

test('a nested type is told in one line', () => {
  const type = {
    type: 'map' as const,
    'key-id': 1,
    key: 'string',
    'value-id': 2,
    'value-required': false,
    value: { type: 'struct' as const, fields: [{ id: 3, name: 'a', required: false, type: 'long' }] },
  }
  assert.equal(formatType(type), 'map<string, struct<a: long>>')
})
