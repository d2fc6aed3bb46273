/**
 * A server that speaks Rekognition's protocol for DetectLabels (AWS JSON 1.1), holds requests to the operation's shape, reads objects
 * from a map, and fails as it is told. What it answers is in `test/golden/rekognition`.
 */
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface DetectRequest {
  Image: { Bytes?: string; S3Object?: { Bucket: string; Name: string; Version?: string } }
  MaxLabels?: number
  MinConfidence?: number
}

interface Contract {
  requests: Record<'byName' | 'byVersion' | 'byBytes', DetectRequest>
  response: { LabelModelVersion: string; Labels: Record<string, unknown>[] }
  errors: { type: string; status: number }[]
}

export const contract = JSON.parse(
  readFileSync(new URL('../golden/rekognition/detect-labels.json', import.meta.url), 'utf8'),
) as Contract

/** How one call is answered instead: an error of the service, a lost connection, or work before the answer. */
export type Failing = { type: string } | 'cut' | (() => void | Promise<void>)

const BYTES_MAX = 5 * 1024 * 1024

export class FakeRekognition {
  readonly requests: DetectRequest[] = []
  /** Taken one by one; then calls are answered well. */
  readonly failing: Failing[] = []
  /** Objects that it can read, as `bucket/key` or `bucket/key@version`. */
  readonly objects = new Map<string, Uint8Array>()
  /** Requests under way, and the most there were. */
  underWay = 0
  mostUnderWay = 0
  answerMs = 0
  readonly #server = createServer((request, response) => void this.#serve(request, response))

  static async start(): Promise<FakeRekognition> {
    // For the SDK, which signs with them.
    process.env['AWS_ACCESS_KEY_ID'] = 'AKIDEXAMPLE'
    process.env['AWS_SECRET_ACCESS_KEY'] = 'secret'
    const fake = new FakeRekognition()
    await new Promise<void>((done) => fake.#server.listen(0, '127.0.0.1', done))
    return fake
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((done) => this.#server.close(done))
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.mostUnderWay = Math.max(this.mostUnderWay, ++this.underWay)
    try {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk as Buffer)
      const { headers } = request
      const isOurs =
        request.method === 'POST' &&
        request.url === '/' &&
        headers['content-type'] === 'application/x-amz-json-1.1' &&
        headers['x-amz-target'] === 'RekognitionService.DetectLabels' &&
        /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d{8}\/eu-west-1\/rekognition\/aws4_request, /.test(
          headers.authorization ?? '',
        )
      if (!isOurs) return refuse(response, 'UnknownOperationException', `${request.method} ${request.url}`)
      const asked = JSON.parse(Buffer.concat(chunks).toString('utf8')) as DetectRequest
      this.requests.push(asked)
      if (this.answerMs > 0) await new Promise((done) => setTimeout(done, this.answerMs))
      const failing = this.failing.shift()
      if (failing === 'cut') return void request.socket.destroy()
      if (typeof failing === 'function') await failing()
      else if (failing !== undefined) return refuse(response, failing.type, 'as told')
      const problem = this.#problem(asked)
      if (problem !== null) return refuse(response, problem, 'the request does not fit')
      const { LabelModelVersion, Labels } = contract.response
      answer(response, 200, { LabelModelVersion, Labels: Labels.slice(0, asked.MaxLabels ?? 1000) })
    } finally {
      this.underWay--
    }
  }

  /** The name of the error that the service would give. */
  #problem({ Image, MaxLabels = 1000, MinConfidence = 55, ...rest }: DetectRequest): string | null {
    const known = Object.keys(rest).length === 0 && Number.isInteger(MaxLabels) && MaxLabels >= 0
    const { Bytes, S3Object } = Image
    if (!known || MinConfidence < 0 || MinConfidence > 100 || (Bytes === undefined) === (S3Object === undefined))
      return 'InvalidParameterException'
    let bytes: Uint8Array | undefined
    if (S3Object !== undefined) {
      const { Bucket, Name, Version } = S3Object
      bytes = this.objects.get(`${Bucket}/${Name}${Version === undefined ? '' : `@${Version}`}`)
      if (bytes === undefined) return 'InvalidS3ObjectException'
    } else {
      bytes = Buffer.from(Bytes ?? '', 'base64')
      if (bytes.length > BYTES_MAX) return 'ImageTooLargeException'
    }
    const head = Buffer.from(bytes.subarray(0, 4)).toString('hex')
    return head.startsWith('ffd8ff') || head === '89504e47' ? null : 'InvalidImageFormatException'
  }
}

function refuse(response: ServerResponse, type: string, message: string): void {
  const status = contract.errors.find((error) => error.type === type)?.status ?? 400
  answer(response, status, { __type: type, Message: message })
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1', 'x-amzn-requestid': 'r-1' })
  response.end(JSON.stringify(body))
}
