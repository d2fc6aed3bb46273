/** Connections to S3 as the configuration names them. */
import { Fault } from '../base/fault.ts'
import { parseS3Properties, type S3Connection } from '../store/s3-connection.ts'
import type { Environment } from './secrets.ts'
import type { BucketSettings } from './settings/buckets.ts'
import type { ObjectSourceSettings } from './settings/object-sources.ts'
import { DEFAULT_CONNECTION, type S3Settings } from './settings/s3.ts'

/** What is wrong with the connections, in sentences that begin with the path of the setting. */
export function s3Problems(connections: S3Settings, env: Environment = process.env): string[] {
  return Object.entries(connections).flatMap(([name, properties]) => {
    const parsed = parseS3Properties(properties, `s3.${name}`, env)
    return 'problems' in parsed ? parsed.problems.map(({ path, message }) => `${path}: ${message}`) : []
  })
}

/** What names connections. */
interface Naming {
  objects: {
    buckets: Readonly<Record<string, BucketSettings>>
    sources: Readonly<Record<string, ObjectSourceSettings>>
  }
  s3: S3Settings
}

/** Buckets and queues that name a connection which there is not. */
export function connectionProblems({ objects, s3 }: Naming): string[] {
  const named = [
    ...Object.entries(objects.buckets).map(([name, bucket]) => ({ at: `objects.buckets.${name}.s3`, by: bucket.s3 })),
    ...Object.entries(objects.sources).flatMap(([name, source]) =>
      source.type === 'sqs' && source.s3 !== undefined ? [{ at: `objects.sources.${name}.s3`, by: source.s3 }] : [],
    ),
  ]
  const names = Object.keys(s3).join(', ') || 'none'
  return named
    .filter(({ by }) => by !== DEFAULT_CONNECTION && !Object.hasOwn(s3, by))
    .map(({ at, by }) => `${at}: expected the name of a connection of s3, got "${by}"; there are: ${names}`)
}

/** One connection object per name, by which clients and their sockets are shared. */
const known = new WeakMap<S3Settings, Map<string, S3Connection>>()

/** @throws Fault `invalid` when there is no connection of this name, or it is wrong */
export function s3Connection(config: { readonly s3: S3Settings }, name: string = DEFAULT_CONNECTION): S3Connection {
  const byName = known.get(config.s3) ?? new Map<string, S3Connection>()
  known.set(config.s3, byName)
  const found = byName.get(name)
  if (found !== undefined) return found
  const properties = config.s3[name]
  if (properties === undefined && name !== DEFAULT_CONNECTION) {
    const names = Object.keys(config.s3).join(', ') || 'none'
    throw new Fault(
      'invalid',
      `expected a connection of \`s3\` in the configuration, got "${name}"; there are: ${names}`,
    )
  }
  const parsed = parseS3Properties(properties ?? {}, `s3.${name}`, process.env)
  if ('problems' in parsed) {
    throw new Fault('invalid', parsed.problems.map(({ path, message }) => `${path}: ${message}`).join('\n'))
  }
  byName.set(name, parsed.connection)
  return parsed.connection
}

/** Connections whose secret stands in the configuration itself, in sentences. */
export function s3Notes(connections: S3Settings): string[] {
  return Object.keys(connections)
    .filter((name) => s3Connection({ s3: connections }, name).literalSecret)
    .map(
      (name) =>
        `s3.${name}: the secret stands in the file; better is the environment (AWS_SECRET_ACCESS_KEY, or "env:NAME" as the value)`,
    )
}
