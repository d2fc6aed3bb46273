/** Arbitrary values of each primitive type, for properties. */
import fc from 'fast-check'
import type { Present } from '../../src/iceberg/spec/value-order.ts'

const long = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
const int = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
/** Text with characters around the surrogates, where orders differ. */
const text = fc.string({
  unit: fc.oneof(
    fc.constantFrom('a', 'b', 'é', '\ud7ff', '\ue000', '\uffff', '\u{10000}', '😀', '\u{10ffff}'),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
  ),
  maxLength: 24,
})
const decimal = (precision: number): fc.Arbitrary<bigint> =>
  fc.bigInt({ min: -(10n ** BigInt(precision)) + 1n, max: 10n ** BigInt(precision) - 1n })

/** Type text → its values in memory. */
export const VALUES: Readonly<Record<string, fc.Arbitrary<Present>>> = {
  boolean: fc.boolean(),
  int,
  long,
  float: fc.float(),
  double: fc.double(),
  'decimal(9,2)': decimal(9),
  'decimal(38,10)': decimal(38),
  date: int,
  time: fc.bigInt({ min: 0n, max: 86_399_999_999n }),
  timestamp: long,
  timestamptz: long,
  timestamp_ns: long,
  timestamptz_ns: long,
  string: text,
  uuid: fc.uuid(),
  'fixed[5]': fc.uint8Array({ minLength: 5, maxLength: 5 }),
  binary: fc.uint8Array({ maxLength: 24 }),
}
