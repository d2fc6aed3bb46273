/** `objects.extract` and `objects.extractors`: which of the built-in extractors run, and those of the operator's own. */
import { z } from 'zod'
import { builtinExtractors } from '../../extract/registry.ts'

const BUILTIN: readonly string[] = builtinExtractors.map(({ name }) => name)
/** One problem with all names in it: a union would tell of each of its forms by itself. */
export const builtinChoice = z.custom<readonly string[] | { readonly [name: string]: boolean }>(
  (value) =>
    Array.isArray(value)
      ? value.every((name) => BUILTIN.includes(name as string))
      : typeof value === 'object' &&
        value !== null &&
        Object.entries(value).every(([name, isOn]) => BUILTIN.includes(name) && typeof isOn === 'boolean'),
  { error: `expected a list of ${BUILTIN.join(', ')}, or an object with true or false for some of them` },
)

/** What an extractor may take for one object. */
export const extractorLimits = z.strictObject({
  timeMs: z.int().min(100).max(600_000).optional(),
  memoryMiB: z.int().min(32).max(65_536).optional(),
  bytesMax: z.int().min(65_536).max(4_294_967_296).optional(),
})

export const extractorSettings = z.strictObject({
  /** A file, from the configuration's, or the name of a package that is installed beside it. */
  module: z.string().min(1),
  name: z.string().optional(),
  /** For modules that export `create(options)`. */
  options: z.unknown().optional(),
  /** Its worker threads at most; default: `objects.workers`. */
  workers: z.int().min(1).max(64).optional(),
  /** What it may take for one object. */
  limits: extractorLimits.optional(),
})
