/** Damaged images: whatever bytes are changed, cut or moved, the answer is facts and recorded faults, within the bounds. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { limits } from '../base/limits.ts'
import { jsonBytes } from './canonical.ts'
import { extractFacts } from './registry.ts'
import { BoundedSource, defaultBounds } from './source.ts'

const folder = new URL('../../test/golden/images/files/', import.meta.url)
// The few large ones are cases of their own in the golden test; here they would only take time.
const images = readdirSync(folder)
  .map((name) => ({ name, bytes: readFileSync(new URL(name, folder)) }))
  .filter(({ bytes }) => bytes.length < 20_000)

const KINDS = new Set(['empty', 'truncated', 'invalid', 'limit'])
/** Far above what any takes; a runaway takes for ever. */
const TIME_MAX_MS = 2_000

type Change =
  | { kind: 'byte'; at: number; value: number }
  | { kind: 'word'; at: number; value: number }
  | { kind: 'cut'; at: number }
  | { kind: 'copy'; from: number; to: number; length: number }

const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ kind: fc.constant('byte' as const), at: fc.nat(), value: fc.integer({ min: 0, max: 255 }) }),
  // Lengths, counts and offsets live in words: the extreme values find more than random ones.
  fc.record({
    kind: fc.constant('word' as const),
    at: fc.nat(),
    value: fc.constantFrom(0, 1, 8, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff, 0x0000ffff, 0x01000000),
  }),
  fc.record({ kind: fc.constant('cut' as const), at: fc.nat() }),
  fc.record({
    kind: fc.constant('copy' as const),
    from: fc.nat(),
    to: fc.nat(),
    length: fc.integer({ min: 1, max: 256 }),
  }),
)

/** Half of the changes fall into the first 400 bytes, where the structure is. */
function changed(original: Uint8Array, changes: readonly Change[]): Uint8Array {
  let bytes = Buffer.from(original)
  for (const one of changes) {
    const size = bytes.length
    if (size < 8) break
    const place = (at: number) => (at % 2 === 0 ? (at >> 1) % Math.min(size, 400) : (at >> 1) % size)
    if (one.kind === 'byte') bytes[place(one.at)] = one.value
    else if (one.kind === 'word') bytes.writeUInt32BE(one.value, Math.min(place(one.at), size - 4))
    else if (one.kind === 'cut') bytes = bytes.subarray(0, place(one.at))
    else bytes.copyWithin(place(one.to), place(one.from), place(one.from) + one.length)
  }
  return bytes
}

test('no damage makes an extractor throw, hang or read past its bound', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...images),
      fc.array(change, { minLength: 1, maxLength: 8 }),
      async ({ name, bytes }, changes) => {
        const damaged = changed(bytes, changes)
        let fetched = 0
        // A small head makes most of what a walker wants a fetch of its own.
        const source = new BoundedSource(
          damaged.length,
          (start, end) => {
            assert.ok(start >= 0 && end <= damaged.length && start < end)
            fetched += end - start
            return Promise.resolve(damaged.subarray(start, end))
          },
          { ...defaultBounds, headBytes: 64 },
        )
        const started = performance.now()
        const { metadata, faults, bytesRead } = await extractFacts(
          { bucket: 'photos', key: name, versionId: 'null', sizeBytes: damaged.length },
          source,
        )
        assert.ok(performance.now() - started < TIME_MAX_MS)
        for (const fault of faults) assert.ok(KINDS.has(fault.kind), JSON.stringify(fault))
        assert.equal(bytesRead, fetched)
        assert.ok(bytesRead <= limits.extractBytesMax && source.reads <= limits.extractReadsMax)
        const text = JSON.stringify(metadata, (_key, value: unknown) =>
          typeof value === 'bigint' ? String(value) : value,
        )
        assert.ok(text.isWellFormed() && !text.includes('\\u0000'))
        assert.ok(jsonBytes(metadata) <= limits.extractOutputBytesMax)
      },
    ),
    { numRuns: Number(process.env['FUZZ_RUNS'] ?? 3_000) },
  )
})
