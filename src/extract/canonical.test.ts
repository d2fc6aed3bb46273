import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseJson, stringifyJson } from '../base/json.ts'
import { canonical, canonicalBounds, canonicalFacts, type Facts, jsonBytes } from './canonical.ts'

test('what JSON cannot hold becomes what it can', () => {
  class Labelled {
    readonly label = 'a'
    readonly #hidden = 1
    shown(): number {
      return this.#hidden
    }
  }
  const facts = canonicalFacts({
    nan: Number.NaN,
    infinite: [Number.POSITIVE_INFINITY, -0],
    bytes: Uint8Array.of(1, 2, 3),
    buffer: Buffer.from('hi'),
    embedding: Float32Array.of(0.5, Number.NaN),
    date: new Date(0),
    never: new Date(Number.NaN),
    map: new Map([['k', 1]]),
    set: new Set(['a']),
    big: 2n ** 63n,
    text: 'a\0b\ud800',
    key: { 'x\0': 1 },
    list: [undefined, () => 1, Symbol('s')],
    gone: undefined,
    method() {},
    instance: new Labelled(),
  })
  assert.deepEqual(facts, {
    nan: null,
    infinite: [null, 0],
    bytes: 'AQID',
    buffer: 'aGk=',
    embedding: [0.5, null],
    date: '1970-01-01T00:00:00.000Z',
    never: null,
    map: { k: 1 },
    set: ['a'],
    big: 2n ** 63n,
    text: 'a\ufffdb\ufffd',
    key: { 'x\ufffd': 1 },
    list: [null, null, null],
    instance: { label: 'a' },
  })
  assert.ok(Object.is((facts['infinite'] as number[])[1], 0))
})

test('traps of JavaScript are plain data', () => {
  const facts = canonicalFacts(JSON.parse('{"a":{"__proto__":{"polluted":1},"constructor":"x"},"__proto__":"top"}'))
  assert.equal(JSON.stringify(facts), '{"a":{"__proto__":{"polluted":1},"constructor":"x"},"__proto__":"top"}')
  assert.equal(({} as { polluted?: number }).polluted, undefined)
})

test('only a plain object has facts', () => {
  for (const value of [null, undefined, 1, 'text', [1], () => ({})]) assert.deepEqual(canonicalFacts(value), {})
})

test('rings and fans of references end at the bounds', () => {
  const ring: { [key: string]: unknown } = {}
  ring['left'] = ring
  ring['right'] = ring
  ring['self'] = [ring, ring, ring]
  const started = performance.now()
  const facts = canonicalFacts(ring)
  assert.ok(performance.now() - started < 5_000)
  assert.ok(Array.isArray(facts['_truncated']))
  assert.ok(jsonBytes(facts) <= canonicalBounds.bytesMax)
})

test('the largest members go first, the small ones stay, and the list names what went', () => {
  const bounds = { bytesMax: 40_000, nodesMax: 10_000, depthMax: 32 }
  const facts = canonicalFacts(
    {
      exif: { Make: 'Tidewater', Blob: 'x'.repeat(30_000) },
      labels: ['a'],
      notes: 'y'.repeat(15_000),
      _truncated: ['exif.Old'],
    },
    bounds,
  )
  assert.deepEqual(Object.keys(facts), ['exif', 'labels', 'notes', '_truncated'])
  assert.deepEqual(facts['exif'], { Make: 'Tidewater' })
  assert.deepEqual(facts['_truncated'], ['exif.Old', 'exif.Blob'])
})

test('a hundred thousand small members are cut in reasonable time', () => {
  const many = Object.fromEntries(Array.from({ length: 90_000 }, (_, i) => [`key${i}`, {}]))
  const started = performance.now()
  const facts = canonicalFacts(many)
  assert.ok(performance.now() - started < 5_000)
  assert.ok(jsonBytes(facts) <= canonicalBounds.bytesMax)
})

test('any value fits its bound, survives JSON, and is its own canonical form', () => {
  const bounds = { bytesMax: 25_000, nodesMax: 500, depthMax: 6 }
  const anything = fc.dictionary(
    fc.string({ unit: 'binary' }),
    fc.anything({
      withBigInt: true,
      withDate: true,
      withTypedArray: true,
      withMap: true,
      withSet: true,
      withNullPrototype: true,
      stringUnit: 'binary',
    }),
  )
  fc.assert(
    fc.property(anything, (value) => {
      const { facts, bytesAtMost } = canonical(value, bounds)
      const text = stringifyJson(facts)
      assert.ok(
        Buffer.byteLength(text) <= Math.min(bytesAtMost, bounds.bytesMax),
        `${Buffer.byteLength(text)} of ${bytesAtMost}`,
      )
      assert.ok(text.isWellFormed() && !text.includes('\\u0000'))
      const back = parseJson(text) as Facts
      assert.equal(stringifyJson(back), text)
      assert.equal(stringifyJson(canonicalFacts(facts, bounds)), text)
    }),
    { numRuns: Number(process.env['FUZZ_RUNS'] ?? 500) },
  )
})
