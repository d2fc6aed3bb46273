/** A real MinIO for tests: built once, then started in a third of a second; stopped, killed, and started again on the same data. */
import { spawnSync } from 'node:child_process'
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  PutBucketVersioningCommand,
  PutObjectTaggingCommand,
  S3Client,
} from '@aws-sdk/client-s3'
import type { S3Connection } from '../../src/store/s3-connection.ts'
import { Service } from './service.ts'

/** The only reason for which MinIO may be missing, to be given as the reason of a skipped test; or false. */
export const noMinio: string | false =
  spawnSync('go', ['version']).error === undefined ? false : 'MinIO is built by Go, and there is no Go on the PATH'

export const minioKeys = { accessKeyId: 'minioadmin', secretAccessKey: 'minioadmin' } as const

export class Minio {
  readonly #service: Service
  readonly client: S3Client

  private constructor(service: Service) {
    this.#service = service
    this.client = new S3Client({
      endpoint: this.endpoint,
      region: 'us-east-1',
      forcePathStyle: true,
      credentials: minioKeys,
    })
  }

  /** @param env e.g. notification targets: see `services/minio.sh` */
  static async start(env: NodeJS.ProcessEnv = {}): Promise<Minio> {
    return new Minio(await Service.start('minio', { env, keepsData: true }))
  }

  get endpoint(): string {
    return this.#service.url
  }

  get connection(): S3Connection {
    return {
      endpoint: this.endpoint,
      region: 'us-east-1',
      credentials: minioKeys,
      pathStyle: true,
      anonymous: false,
      literalSecret: true,
    }
  }

  /** The same, as it stands in a configuration, and as PyIceberg and Iceberg's S3FileIO want it. */
  get properties(): Record<string, string> {
    return {
      's3.endpoint': this.endpoint,
      's3.access-key-id': minioKeys.accessKeyId,
      's3.secret-access-key': minioKeys.secretAccessKey,
      's3.path-style-access': 'true',
      'client.region': 'us-east-1',
    }
  }

  async makeBucket(name: string, versioning?: 'enabled' | 'suspended'): Promise<void> {
    await this.client.send(new CreateBucketCommand({ Bucket: name }))
    if (versioning !== undefined) await this.setVersioning(name, versioning)
  }

  async setVersioning(bucket: string, versioning: 'enabled' | 'suspended'): Promise<void> {
    const Status = versioning === 'enabled' ? 'Enabled' : 'Suspended'
    await this.client.send(new PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration: { Status } }))
  }

  async setTags(bucket: string, key: string, tags: Record<string, string>, versionId?: string): Promise<void> {
    const TagSet = Object.entries(tags).map(([Key, Value]) => ({ Key, Value }))
    const version = versionId === undefined ? {} : { VersionId: versionId }
    await this.client.send(new PutObjectTaggingCommand({ Bucket: bucket, Key: key, Tagging: { TagSet }, ...version }))
  }

  async deleteVersion(bucket: string, key: string, versionId: string): Promise<void> {
    await this.client.send(new DeleteObjectCommand({ Bucket: bucket, Key: key, VersionId: versionId }))
  }

  start(): Promise<void> {
    return this.#service.start()
  }

  /** Ends it in order, or without warning. Its data stay. */
  stop(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    return this.#service.stop(signal)
  }

  async remove(): Promise<void> {
    this.client.destroy()
    await this.#service.remove()
  }
}
