/** The sources of objects that the configuration names, with the clients that they read by. */
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { systemCode } from '../base/fault.ts'
import type { DirectoryBucket, DirectoryBucketParts } from '../service/objects/directory-bucket.ts'
import type { PositionsFile } from '../service/objects/sources/positions.ts'
import { type ObjectSource, ObjectSources, type ObjectSourcesOptions } from '../service/objects/sources/sources.ts'
import { kafkaGroup } from '../service/streams/sources/settings.ts'
import type { SqsConnection } from '../source/source.ts'
import { openFileStore } from '../store/file.ts'
import type { OnSkip } from './ingest.ts'
import { s3Connection } from './s3-connections.ts'
import { QUEUE_SECRETS, secretOf, tokenOf } from './secrets.ts'
import type { ObjectSourceSettings, SqsSettings } from './settings/object-sources.ts'
import type { S3Settings } from './settings/s3.ts'
import { joinTopics } from './sources.ts'

const POSITIONS = 'object-sources.json'

export interface AppObjectSourcesOptions extends Omit<ObjectSourcesOptions, 'configured' | 'positions'> {
  configured: Readonly<Record<string, ObjectSourceSettings>>
  /** Connections that sources may name. */
  s3: S3Settings
  /** Folder that relative paths in the configuration start from. */
  configDir: string
  stateDir: string
  /** A directory as a bucket whose bytes are read. */
  attachDirectory: (
    root: string,
    bucket: string,
    told: DirectoryBucketParts['objects'],
    onSkip: OnSkip,
  ) => Promise<DirectoryBucket>
}

export function openObjectSources({
  configured,
  s3,
  configDir,
  stateDir,
  attachDirectory,
  ...options
}: AppObjectSourcesOptions): ObjectSources {
  return new ObjectSources({
    ...options,
    configured: new Map(
      Object.entries(configured).map(([name, settings]) => [
        name,
        sourceOf(name, settings, s3, configDir, attachDirectory),
      ]),
    ),
    positions: positionsFile(stateDir),
  })
}

/** The clients are loaded where a source needs them, and files and variables are read at every opening: keys may change. */
function sourceOf(
  name: string,
  settings: ObjectSourceSettings,
  s3: S3Settings,
  configDir: string,
  attachDirectory: AppObjectSourcesOptions['attachDirectory'],
): ObjectSource {
  const where = `objects.sources.${name}`
  switch (settings.type) {
    case 'sqs':
      return {
        type: 'sqs',
        queue: new URL(settings.queueUrl).pathname.split('/').at(-1) ?? '',
        receivers: settings.receivers,
        hiddenSeconds: settings.visibilitySeconds,
        open: async () => {
          const { openSqsQueue } = await import('../source/sqs-queue.ts')
          return openSqsQueue(queueConnection(settings, s3, where))
        },
      }
    case 'kafka':
      return {
        type: 'kafka',
        from: settings.from,
        outOfRange: settings.outOfRange,
        join: (signal) => joinTopics({ ...settings, where, group: kafkaGroup(name, settings) }, configDir, signal),
      }
    case 'directory': {
      const root = path.resolve(configDir, settings.path)
      return {
        type: 'directory',
        open: (told, onSkip) =>
          attachDirectory(root, settings.bucket ?? path.basename(root), told, (file, reason) =>
            onSkip(`${file} is no object: ${reason}`),
          ),
      }
    }
    case 'webhook':
      return { type: 'webhook', token: () => tokenOf(settings.token, `${where}.token`) }
  }
}

/** How a queue is reached. @throws Fault `invalid` for a connection or a variable that is not there */
export function queueConnection(settings: SqsSettings, s3: S3Settings, where: string): SqsConnection {
  const { queueUrl, 'sqs.endpoint': endpoint, 'client.region': region } = settings
  const named = settings.s3 === undefined ? null : s3Connection({ s3 }, settings.s3)
  const [id = null, key = null, token = null] = QUEUE_SECRETS.map((each) =>
    secretOf(settings[each], `${where}.${each}`),
  )
  return {
    queueUrl,
    endpoint: endpoint ?? null,
    region: region ?? named?.region ?? regionOfQueue(queueUrl),
    credentials:
      id === null || key === null
        ? (named?.credentials ?? null)
        : { accessKeyId: id, secretAccessKey: key, ...(token === null ? {} : { sessionToken: token }) },
  }
}

/** The region in the host name of a queue; null where AWS's chain says it. Other servers take any, but want one. */
export function regionOfQueue(
  queueUrl: string,
  env: Readonly<Record<string, string | undefined>> = process.env,
): string | null {
  const { hostname } = new URL(queueUrl)
  const [, named, old] =
    /(?:^|\.)sqs(?:-fips)?\.([a-z0-9-]+)\.(?:vpce\.)?amazonaws\.com(?:\.cn)?$|^([a-z0-9-]+)\.queue\.amazonaws\.com$/.exec(
      hostname,
    ) ?? []
  if (named !== undefined || old !== undefined) return named ?? old ?? null
  const said = env['AWS_REGION'] ?? env['AWS_DEFAULT_REGION']
  return said !== undefined || /\.amazonaws\.com(?:\.cn)?$/.test(hostname) ? null : 'us-east-1'
}

/** Where positions are kept. */
export function positionsFile(stateDir: string): PositionsFile {
  const file = path.join(stateDir, POSITIONS)
  return {
    path: file,
    read: () =>
      readFile(file, 'utf8').catch((error: unknown) => {
        if (systemCode(error) === 'ENOENT') return null
        throw error
      }),
    write: async (text) => {
      const state = await openFileStore({ root: stateDir, create: true })
      await state.put(POSITIONS, Buffer.from(text))
    },
  }
}
