/** `objects.buckets`: buckets of object stores whose objects are looked at, by name. */
import { z } from 'zod'
import { messageOf } from '../../base/fault.ts'
import { limits } from '../../base/limits.ts'
import { durationMs } from '../duration.ts'
import { DEFAULT_CONNECTION } from './s3.ts'

function checkEvery(text: string, context: z.RefinementCtx): void {
  const [min, max] = [limits.reconcileEveryMsMin, limits.reconcileEveryMsMax]
  try {
    const everyMs = durationMs(text)
    if (everyMs >= min && everyMs <= max) return
    context.addIssue(`expected between ${min / 60_000}m and ${max / 86_400_000}d, got ${text}`)
  } catch (error) {
    context.addIssue(messageOf(error))
  }
}

export const bucketSettings = z.strictObject({
  /** Name of the connection in `s3`. */
  s3: z.string().default(DEFAULT_CONNECTION),
  /** Only objects whose keys begin so. */
  prefix: z.string().default(''),
  /** No objects whose keys begin so. */
  exclude: z
    .array(z.string().min(1, 'expected the beginning of keys, got an empty one, which is that of every key'))
    .max(limits.excludedPrefixesMax)
    .default([]),
  /** What the store is asked of each object beside its bytes: `all`, `head` (all but tags), `none`. */
  describe: z.enum(['all', 'head', 'none']).default('all'),
  /** Compare the bucket with its listing by itself while `tidewater start` runs, and mend what differs. */
  reconcile: z.strictObject({ every: z.string().superRefine(checkEvery) }).optional(),
})

export type BucketSettings = z.output<typeof bucketSettings>

/** What is wrong with buckets beside their form, in sentences that begin with the path of the setting. */
export function bucketProblems(buckets: Readonly<Record<string, BucketSettings>>): string[] {
  if (buckets['*']?.reconcile === undefined) return []
  return [
    'objects.buckets.*.reconcile: expected a bucket that is named; * stands for those that only events name, give each that is to be compared an entry',
  ]
}
