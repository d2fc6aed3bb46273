/** A local HTTP server that speaks enough of S3 to keep objects, and fails as it is told to: in ways that a real server cannot be asked for. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import type { S3Connection } from '../../src/store/s3-connection.ts'

export type Trouble =
  /** The request is done, but its answer never arrives. */
  | { kind: 'lost reply' }
  /** Nothing is done, and the connection is closed. */
  | { kind: 'lost request' }
  | { kind: 'error'; status: number; code: string; retryAfterSeconds?: number }
  /** The answer breaks off behind so many bytes of its body. */
  | { kind: 'truncated'; bytes: number }
  /** The head says another length than was asked for, and the body has it. */
  | { kind: 'short range'; bytes: number }
  /** No answer at all. */
  | { kind: 'silence' }

interface Kept {
  bytes: Buffer
  metadata: Record<string, string>
}

export interface Seen {
  method: string
  path: string
  query: URLSearchParams
  headers: IncomingHttpHeaders
}

export class FakeS3 {
  readonly objects = new Map<string, Kept>()
  readonly seen: Seen[] = []
  readonly uploads = new Map<string, Map<number, Buffer>>()
  /** Asked before each request; null: none. */
  trouble: (request: Seen) => Trouble | null = () => null
  /** What listings say of when objects were changed. */
  modifiedMs: () => number = Date.now
  /** Answers wait for it. */
  hold: Promise<void> = Promise.resolve()
  inFlight = 0
  inFlightMost = 0
  readonly #server: Server

  private constructor() {
    this.#server = createServer((request, response) => void this.#serve(request, response))
  }

  static async start(): Promise<FakeS3> {
    const fake = new FakeS3()
    await once(fake.#server.listen(0, '127.0.0.1'), 'listening')
    return fake
  }

  get connection(): S3Connection {
    const { port } = this.#server.address() as AddressInfo
    return {
      endpoint: `http://127.0.0.1:${port}`,
      region: 'us-east-1',
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
      pathStyle: true,
      anonymous: false,
      literalSecret: true,
    }
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await once(this.#server.close(), 'close')
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.inFlight++
    this.inFlightMost = Math.max(this.inFlightMost, this.inFlight)
    response.on('close', () => this.inFlight--)
    const url = new URL(request.url ?? '/', 'http://local')
    const seen = {
      method: request.method ?? '',
      path: decodeURIComponent(url.pathname).replace(/\/$/, ''),
      query: url.searchParams,
      headers: request.headers,
    }
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    this.seen.push(seen)
    await this.hold
    const trouble = this.trouble(seen)
    switch (trouble?.kind) {
      case 'silence':
        return
      case 'lost request':
        request.socket.destroy()
        return
      case 'error':
        if (trouble.retryAfterSeconds !== undefined) response.setHeader('retry-after', trouble.retryAfterSeconds)
        return refuse(response, trouble.status, trouble.code)
      case 'lost reply':
        await this.#answer(seen, request, Buffer.concat(chunks), null)
        request.socket.destroy()
        return
      case 'truncated':
      case 'short range':
      case undefined:
        await this.#answer(seen, request, Buffer.concat(chunks), response, trouble)
    }
  }

  async #answer(
    { method, path, query }: Seen,
    request: IncomingMessage,
    body: Buffer,
    response: ServerResponse | null,
    trouble?: Trouble | null,
  ): Promise<void> {
    const kept = this.objects.get(path)
    const metadata = Object.fromEntries(
      Object.entries(request.headers)
        .filter(([name]) => name.startsWith('x-amz-meta-'))
        .map(([name, value]) => [name, String(value)]),
    )
    if (query.has('uploads')) {
      const id = `upload-${this.uploads.size}`
      this.uploads.set(id, new Map())
      this.#pending.set(id, metadata)
      return xml(response, `<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`)
    }
    if (query.has('versioning')) return xml(response, '<VersioningConfiguration></VersioningConfiguration>')
    if (query.has('tagging')) return xml(response, '<Tagging><TagSet></TagSet></Tagging>')
    if (query.get('list-type') === '2') return this.#list(path, query, response)
    if (method === 'POST' && query.has('delete')) {
      for (const [, key = ''] of body.toString().matchAll(/<Key>([^<]*)<\/Key>/g)) this.objects.delete(`${path}/${key}`)
      return xml(response, '<DeleteResult></DeleteResult>')
    }
    const uploadId = query.get('uploadId')
    if (uploadId !== null) return this.#part(method, path, uploadId, Number(query.get('partNumber')), body, response)
    switch (method) {
      case 'PUT': {
        if (request.headers['if-none-match'] === '*' && kept !== undefined) {
          return refuse(response, 412, 'PreconditionFailed')
        }
        this.objects.set(path, { bytes: body, metadata })
        response?.setHeader('etag', etagOf(body))
        response?.end()
        return
      }
      case 'DELETE':
        this.objects.delete(path)
        if (response !== null) response.statusCode = 204
        response?.end()
        return
      case 'HEAD':
      case 'GET':
        if (kept === undefined) return refuse(response, 404, 'NoSuchKey')
        if (response !== null) return give(method, request, kept, response, trouble)
    }
  }

  /** One page, of keys that need no encoding. */
  #list(bucket: string, query: URLSearchParams, response: ServerResponse | null): void {
    const prefix = `${bucket}/${query.get('prefix') ?? ''}`
    const LastModified = new Date(this.modifiedMs()).toISOString()
    const entries = [...this.objects]
      .filter(([path]) => path.startsWith(prefix))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([path, { bytes }]) => {
        const key = path.slice(bucket.length + 1)
        return `<Contents><Key>${key}</Key><ETag>${etagOf(bytes)}</ETag><Size>${bytes.length}</Size><LastModified>${LastModified}</LastModified></Contents>`
      })
    xml(response, `<ListBucketResult><IsTruncated>false</IsTruncated>${entries.join('')}</ListBucketResult>`)
  }

  readonly #pending = new Map<string, Record<string, string>>()

  #part(
    method: string,
    path: string,
    uploadId: string,
    part: number,
    body: Buffer,
    response: ServerResponse | null,
  ): void {
    const parts = this.uploads.get(uploadId)
    if (parts === undefined) {
      refuse(response, 404, 'NoSuchUpload')
      return
    }
    if (method === 'PUT') {
      parts.set(part, body)
      response?.setHeader('etag', etagOf(body))
      response?.end()
      return
    }
    this.uploads.delete(uploadId)
    if (method === 'DELETE') {
      if (response !== null) response.statusCode = 204
      response?.end()
      return
    }
    const bytes = Buffer.concat([...parts].sort(([a], [b]) => a - b).map(([, each]) => each))
    this.objects.set(path, { bytes, metadata: this.#pending.get(uploadId) ?? {} })
    xml(response, `<CompleteMultipartUploadResult><ETag>${etagOf(bytes)}</ETag></CompleteMultipartUploadResult>`)
  }
}

function give(
  method: string,
  request: IncomingMessage,
  { bytes, metadata }: Kept,
  response: ServerResponse,
  trouble: Trouble | null | undefined,
): void {
  const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '')
  let part = bytes
  if (range !== null) {
    const start = Number(range[1])
    const end = Math.min(Number(range[2]) + 1, bytes.length)
    if (start >= bytes.length) {
      refuse(response, 416, 'InvalidRange')
      return
    }
    const most = trouble?.kind === 'short range' ? start + trouble.bytes : end
    part = bytes.subarray(start, Math.min(end, most))
    response.statusCode = 206
    response.setHeader('content-range', `bytes ${start}-${start + part.length - 1}/${bytes.length}`)
  }
  response.setHeader('etag', etagOf(bytes))
  response.setHeader('last-modified', new Date(0).toUTCString())
  response.setHeader('content-length', part.length)
  for (const [name, value] of Object.entries(metadata)) response.setHeader(name, value)
  if (method === 'HEAD') response.end()
  else if (trouble?.kind === 'truncated') response.write(part.subarray(0, trouble.bytes), () => response.destroy())
  else response.end(part)
}

function etagOf(bytes: Buffer): string {
  return `"${createHash('md5').update(bytes).digest('hex')}"`
}

function xml(response: ServerResponse | null, text: string): void {
  response?.setHeader('content-type', 'application/xml')
  response?.end(`<?xml version="1.0" encoding="UTF-8"?>${text}`)
}

function refuse(response: ServerResponse | null, status: number, code: string): void {
  if (response === null) return
  response.statusCode = status
  xml(response, `<Error><Code>${code}</Code><Message>as told</Message></Error>`)
}
