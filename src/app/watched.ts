/**
 * Of which objects events are taken: those under the prefix of their bucket that no exclusion names. What Tidewater itself
 * writes into a watched bucket, its warehouse above all, is never taken: each commit would make the next.
 */
import type { ObjectEvent } from '../change/object-event.ts'
import type { Config } from './config.ts'

export type Watches = (object: Pick<ObjectEvent, 'bucket' | 'key'>) => boolean

interface KeyRule {
  prefix: string
  excluded: readonly string[]
}

/** @param outputs locations that this process writes to, e.g. `s3://lake/warehouse` */
export function watchedObjects({ objects }: Pick<Config, 'objects'>, outputs: readonly string[]): Watches {
  const own = outputs.map(outputOf).filter((output) => output !== null)
  const rules = new Map<string, KeyRule>()
  const ruleOf = (bucket: string): KeyRule => {
    const known = rules.get(bucket)
    if (known !== undefined) return known
    const { prefix, exclude } = bucketSettings(objects.buckets, bucket) ?? { prefix: '', exclude: [] }
    const ours = own.filter((output) => output.bucket === bucket).map((output) => output.prefix)
    const rule = { prefix, excluded: [...exclude, ...ours] }
    // Names come from notifications: only those that the configuration knows are remembered.
    if (Object.hasOwn(objects.buckets, bucket)) rules.set(bucket, rule)
    return rule
  }
  return ({ bucket, key }) => {
    const { prefix, excluded } = ruleOf(bucket)
    return key.startsWith(prefix) && !excluded.some((each) => key.startsWith(each))
  }
}

/** The settings of a bucket: its own, or those of `*`. */
export function bucketSettings(
  buckets: Config['objects']['buckets'],
  name: string,
): Config['objects']['buckets'][string] | undefined {
  return Object.hasOwn(buckets, name) ? buckets[name] : buckets['*']
}

/** A location in a bucket, as a prefix of keys; null: not in a bucket. A whole bucket gives the empty prefix. */
function outputOf(location: string): { bucket: string; prefix: string } | null {
  const match = /^s3a?:\/\/([^/]+)\/?(.*?)\/*$/.exec(location)
  if (match === null) return null
  const [, bucket = '', path = ''] = match
  return { bucket, prefix: path === '' ? '' : `${path}/` }
}
