/** The check of an AWS Signature Version 4 in the header of a request: that its sender has the secret, and sent these bytes. */
import { createHash, createHmac } from 'node:crypto'
import { type ApiKey, sameText } from './access.ts'

export interface SignedRequest {
  method: string
  /** Path and query as they came. */
  url: string
  header(name: string): string | undefined
  body: Uint8Array
  nowMs: number
}

export type SignatureProblem =
  | 'MissingAuthenticationTokenException'
  | 'IncompleteSignatureException'
  | 'UnrecognizedClientException'
  | 'InvalidSignatureException'

/** A request is good for so long after (or before) the time it names. */
const SKEW_MAX_MS = 15 * 60_000

export function checkSignature(request: SignedRequest, keys: readonly ApiKey[]): ApiKey | SignatureProblem {
  const header = request.header('authorization')
  if (header === undefined) return 'MissingAuthenticationTokenException'
  const match =
    /^AWS4-HMAC-SHA256 Credential=([^/,\s]+)\/(\d{8})\/([\w-]+)\/([\w-]+)\/aws4_request, ?SignedHeaders=([\w;-]+), ?Signature=([0-9a-f]{64})$/.exec(
      header,
    )
  if (match === null) return 'IncompleteSignatureException'
  const [, id = '', day = '', region = '', service = '', signed = '', signature = ''] = match
  const time = request.header('x-amz-date') ?? ''
  const sentMs = timeOf(time)
  const names = signed.split(';')
  if (sentMs === null || !time.startsWith(day) || !names.includes('host')) return 'IncompleteSignatureException'
  const key = keys.find((candidate) => candidate.id === id)
  if (key === undefined) return 'UnrecognizedClientException'
  if (Math.abs(request.nowMs - sentMs) > SKEW_MAX_MS) return 'InvalidSignatureException'
  const scope = `${day}/${region}/${service}/aws4_request`
  const toSign = `AWS4-HMAC-SHA256\n${time}\n${scope}\n${sha256(canonicalRequest(request, names))}`
  const signingKey = [day, region, service, 'aws4_request'].reduce<Buffer>(
    (secret, part) => createHmac('sha256', secret).update(part).digest(),
    Buffer.from(`AWS4${key.secret}`),
  )
  const expected = createHmac('sha256', signingKey).update(toSign).digest('hex')
  return sameText(expected, signature) ? key : 'InvalidSignatureException'
}

function canonicalRequest(request: SignedRequest, names: readonly string[]): string {
  const [path = '/', query = ''] = request.url.split('?', 2)
  const pairs = query === '' ? [] : query.split('&').map((pair) => (pair.includes('=') ? pair : `${pair}=`))
  const headers = names.map((name) => `${name}:${(request.header(name) ?? '').trim().replaceAll(/ +/g, ' ')}\n`)
  return [request.method, path, pairs.sort().join('&'), headers.join(''), names.join(';'), sha256(request.body)].join(
    '\n',
  )
}

function timeOf(text: string): number | null {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text)
  if (match === null) return null
  const [year = 0, month = 1, day = 1, hours = 0, minutes = 0, seconds = 0] = match.slice(1).map(Number)
  return Date.UTC(year, month - 1, day, hours, minutes, seconds)
}

function sha256(data: Uint8Array | string): string {
  return createHash('sha256').update(data).digest('hex')
}
