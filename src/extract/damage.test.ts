/**
 * Damaged samples of all kinds: cut at every place that matters, bytes and words changed. Whatever is broken, the answer is facts that fit
 * their schemas and recorded faults, within the bounds; nothing hangs, and nothing fails outside of the call.
 */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import fc from 'fast-check'
import { limits } from '../base/limits.ts'
import { jsonBytes } from './canonical.ts'
import { compileFacts, type FactCheck, misfits } from './fact-check.ts'
import { defaultExtractors, faultOf, runExtractor, sniffSubject } from './registry.ts'
import { BoundedSource, defaultBounds } from './source.ts'
import { type Sample, samples, subjectOf } from './testing/samples.ts'

const KINDS = new Set(['empty', 'truncated', 'invalid', 'limit'])
/** Far above what any takes; what hangs takes for ever. */
const TIME_MAX_MS = 4_000

const checks = new Map<string, FactCheck>()
before(async () => {
  for (const { name, schema } of defaultExtractors) checks.set(name, await compileFacts(schema!, name))
})

async function extractDamaged(name: string, damaged: Uint8Array): Promise<void> {
  let fetched = 0
  // A small head makes most of what a parser wants a fetch of its own.
  const source = new BoundedSource(
    damaged.length,
    (start, end) => {
      assert.ok(start >= 0 && end <= damaged.length && start < end)
      fetched += end - start
      return Promise.resolve(damaged.subarray(start, end))
    },
    { ...defaultBounds, headBytes: 4096 },
  )
  const started = performance.now()
  const subject = await sniffSubject(subjectOf(damaged, name), source).catch((error: unknown) => {
    throw new Error(`sniffing failed: ${JSON.stringify(faultOf('sniff', error))}`)
  })
  for (const extractor of defaultExtractors) {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`${extractor.name} hangs on ${name}`)), TIME_MAX_MS)
    })
    const outcome = await Promise.race([runExtractor(extractor, subject, source), late])
    clearTimeout(timer)
    if (outcome === null) continue
    for (const { kind, message } of outcome.faults) assert.ok(KINDS.has(kind), `${extractor.name}, ${kind}: ${message}`)
    if (outcome.faults.length > 0) assert.deepEqual(outcome.facts, {})
    else assert.deepEqual(misfits(checks.get(extractor.name)!, outcome.facts), [])
    const text = JSON.stringify(outcome.facts, (_key, value: unknown) =>
      typeof value === 'bigint' ? String(value) : value,
    )
    assert.ok(text.isWellFormed() && !text.includes('\\u0000'))
    assert.ok(jsonBytes(outcome.facts) <= limits.extractOutputBytesMax)
  }
  assert.ok(performance.now() - started < TIME_MAX_MS)
  assert.equal(source.bytesRead, fetched)
  assert.ok(source.bytesRead <= limits.extractBytesMax && source.reads <= limits.extractReadsMax)
}

for (const { name, bytes } of samples) {
  test(`${name}, cut anywhere, gives facts or a fault`, async () => {
    const step = Math.max(1, Math.floor(bytes.length / 24))
    for (let length = 1; length < bytes.length; length += step) await extractDamaged(name, bytes.subarray(0, length))
    // The last bytes are where zips and PDFs begin.
    for (const cut of [1, 4, 8, 22])
      if (cut < bytes.length) await extractDamaged(name, bytes.subarray(0, bytes.length - cut))
  })
}

type Change =
  | { kind: 'byte'; at: number; value: number }
  | { kind: 'word'; at: number; value: number }
  | { kind: 'gone'; at: number; length: number }

/** Places as shares of the file: the structure is at both ends. */
const place = fc.oneof(
  fc.double({ min: 0, max: 0.1, noNaN: true }),
  fc.double({ min: 0, max: 1, noNaN: true }),
  fc.double({ min: 0.9, max: 1, noNaN: true }),
)

const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ kind: fc.constant('byte' as const), at: place, value: fc.nat(255) }),
  fc.record({
    kind: fc.constant('word' as const),
    at: place,
    value: fc.constantFrom(0, 1, 8, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff, 0x0000ffff, 0x01000000),
  }),
  fc.record({ kind: fc.constant('gone' as const), at: place, length: fc.integer({ min: 1, max: 64 }) }),
)

function changed({ bytes }: Sample, changes: readonly Change[]): Uint8Array {
  let damaged = Buffer.from(bytes)
  for (const one of changes) {
    if (damaged.length < 80) break
    const at = Math.min(Math.floor(one.at * damaged.length), damaged.length - 5)
    if (one.kind === 'byte') damaged[at] = one.value
    else if (one.kind === 'word') damaged.writeUInt32BE(one.value, at)
    else damaged = Buffer.concat([damaged.subarray(0, at), damaged.subarray(at + one.length)])
  }
  return damaged
}

test('no damage makes an extractor throw, hang, read past its bound or give what its schema does not allow', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...samples),
      fc.array(change, { minLength: 1, maxLength: 4 }),
      async (one, changes) => {
        await extractDamaged(one.name, changed(one, changes))
      },
    ),
    { numRuns: Number(process.env['FUZZ_RUNS'] ?? 1_500) },
  )
})
