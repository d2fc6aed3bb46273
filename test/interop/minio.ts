/** A real MinIO for tests: built once, then started in a third of a second; stopped, killed, and started again on the same data. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  PutBucketVersioningCommand,
  PutObjectTaggingCommand,
  S3Client,
} from '@aws-sdk/client-s3'
import type { S3Connection } from '../../src/store/s3-connection.ts'

const SCRIPT = path.join(import.meta.dirname, 'services', 'minio.sh')
/** From nothing it takes some three minutes on two cores, most of them the compiler's. */
const INSTALL_MS = 20 * 60_000
const START_MS = 60_000

/** The only reason for which MinIO may be missing, to be given as the reason of a skipped test; or false. */
export const noMinio: string | false =
  spawnSync('go', ['version']).error === undefined ? false : 'MinIO is built by Go, and there is no Go on the PATH'

export const minioKeys = { accessKeyId: 'minioadmin', secretAccessKey: 'minioadmin' } as const

export class Minio {
  readonly port: number
  readonly #dir: string
  readonly #env: NodeJS.ProcessEnv
  readonly client: S3Client
  #child: ChildProcess | null = null
  #serverPid = 0

  private constructor(dir: string, port: number, env: NodeJS.ProcessEnv) {
    this.port = port
    this.#dir = dir
    this.#env = { ...process.env, ...env, DATA_DIR: path.join(dir, 'data'), LOG_FILE: path.join(dir, 'minio.log') }
    this.client = new S3Client({
      endpoint: this.endpoint,
      region: 'us-east-1',
      forcePathStyle: true,
      credentials: minioKeys,
    })
  }

  /** @param env e.g. notification targets: see `services/minio.sh` */
  static async start(env: NodeJS.ProcessEnv = {}): Promise<Minio> {
    await finished(spawn(SCRIPT, ['0', '--install'], { stdio: ['ignore', 'inherit', 'inherit'] }), INSTALL_MS)
    const dir = await mkdtemp(path.join(tmpdir(), 'tidewater-minio-'))
    const minio = new Minio(dir, await freePort(), env)
    await minio.start()
    return minio
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.port}`
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

  async start(): Promise<void> {
    const child = spawn(SCRIPT, [String(this.port)], { env: this.#env, stdio: ['ignore', 'pipe', 'inherit'] })
    this.#child = child
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const late = setTimeout(() => reject(new Error('MinIO does not start')), START_MS)
    const ended = (code: number | null) => reject(new Error(`MinIO ended with ${code} before it was ready`))
    child.once('exit', ended)
    createInterface({ input: child.stdout! }).on('line', (line) => {
      const pid = /^READY .* server=(\d+)$/.exec(line)?.[1]
      if (pid === undefined) return
      this.#serverPid = Number(pid)
      resolve()
    })
    try {
      await promise
    } catch (error) {
      child.kill('SIGTERM')
      throw error
    } finally {
      clearTimeout(late)
      child.off('exit', ended)
    }
  }

  /** Ends it in order, or without warning. Its data stay. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    const child = this.#child
    this.#child = null
    if (child === null || child.exitCode !== null) return
    const gone = once(child, 'exit')
    if (signal === 'SIGKILL') process.kill(this.#serverPid, 'SIGKILL')
    else child.kill('SIGTERM')
    await gone
  }

  async remove(): Promise<void> {
    this.client.destroy()
    await this.stop()
    await rm(this.#dir, { recursive: true, force: true })
  }
}

async function finished(child: ChildProcess, limitMs: number): Promise<void> {
  const timer = setTimeout(() => child.kill('SIGKILL'), limitMs)
  const [code] = (await once(child, 'exit')) as [number | null]
  clearTimeout(timer)
  if (code !== 0) throw new Error(`${child.spawnargs.join(' ')} ended with ${code}`)
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  await once(server.close(), 'close')
  return port
}
