/**
 * The check of an AWS Signature Version 4 in the header of a request, in two steps: whose it says it is, before its body is read,
 * and that its sender has the secret and sent these bytes, after.
 */
import { createHash, createHmac } from 'node:crypto'
import { type ApiKey, sameText } from './access.ts'

export interface SignedRequest {
  method: string
  /** Path and query as they came. */
  url: string
  header(name: string): string | undefined
  nowMs: number
}

export type SignatureProblemCode =
  | 'MissingAuthenticationTokenException'
  | 'IncompleteSignatureException'
  | 'UnrecognizedClientException'
  | 'InvalidSignatureException'

export interface SignatureProblem {
  code: SignatureProblemCode
  message: string
}

/** What a request says of its signature; nothing of it is proven yet. */
export interface Claim {
  key: ApiKey
  region: string
  day: string
  time: string
  signedNames: readonly string[]
  signature: string
}

/** A request is good for so long after (or before) the time it names. */
const SKEW_MAX_MS = 15 * 60_000
const SERVICE = 'firehose'
const CREDENTIAL =
  /^AWS4-HMAC-SHA256 Credential=([^/,\s]+)\/(\d{8})\/([\w-]*)\/([\w-]*)\/aws4_request, ?SignedHeaders=([\w;-]+), ?Signature=([0-9a-f]{64})$/

/** Whose the request says it is, if that can be true. */
export function claimOf(request: SignedRequest, keys: readonly ApiKey[]): Claim | SignatureProblem {
  const header = request.header('authorization')
  if (header === undefined) return problem('MissingAuthenticationTokenException', 'Missing Authentication Token')
  const match = CREDENTIAL.exec(header)
  if (match === null)
    return problem(
      'IncompleteSignatureException',
      'Authorization header requires existence of Credential, SignedHeaders and Signature parameters.',
    )
  const [, id = '', day = '', region = '', service = '', signed = '', signature = ''] = match
  const time = request.header('x-amz-date') ?? ''
  const sentMs = timeOf(time)
  const signedNames = signed.split(';')
  if (sentMs === null || !time.startsWith(day))
    return problem('IncompleteSignatureException', 'Date in Credential scope does not match YYYYMMDD from x-amz-date.')
  // What decides about the request may not have been changed on the way.
  for (const name of ['host', 'x-amz-date', 'x-amz-target', 'x-amz-content-sha256'])
    if (!signedNames.includes(name) && (name === 'host' || request.header(name) !== undefined))
      return problem('IncompleteSignatureException', `'${name}' must be a 'SignedHeader' in the AWS Authorization.`)
  const key = keys.find((candidate) => candidate.id === id)
  if (key === undefined)
    return problem('UnrecognizedClientException', 'The security token included in the request is invalid.')
  if (service !== SERVICE)
    return problem('InvalidSignatureException', `Credential should be scoped to correct service: '${SERVICE}'.`)
  if (!/^[a-z][a-z0-9-]{0,31}$/.test(region))
    return problem('InvalidSignatureException', 'Credential should be scoped to a valid region.')
  const skewMs = request.nowMs - sentMs
  if (Math.abs(skewMs) > SKEW_MAX_MS)
    return problem(
      'InvalidSignatureException',
      `Signature ${skewMs > 0 ? 'expired' : 'not yet current'}: ${time} is more than 15 minutes ${skewMs > 0 ? 'before' : 'after'} ${new Date(request.nowMs).toISOString()}.`,
    )
  return { key, region, day, time, signedNames, signature }
}

/** Null: the claim is true, and the body is the one that was signed. */
export function checkClaim(claim: Claim, request: SignedRequest, body: Uint8Array): SignatureProblem | null {
  const { key, day, region, time, signedNames, signature } = claim
  const toSign = `AWS4-HMAC-SHA256\n${time}\n${day}/${region}/${SERVICE}/aws4_request\n${sha256(canonicalRequest(request, signedNames, body))}`
  const signingKey = [day, region, SERVICE, 'aws4_request'].reduce<Buffer>(
    (secret, part) => createHmac('sha256', secret).update(part).digest(),
    Buffer.from(`AWS4${key.secret}`),
  )
  const expected = createHmac('sha256', signingKey).update(toSign).digest('hex')
  if (sameText(expected, signature)) return null
  return problem(
    'InvalidSignatureException',
    'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method.',
  )
}

function problem(code: SignatureProblemCode, message: string): SignatureProblem {
  return { code, message }
}

function canonicalRequest(request: SignedRequest, names: readonly string[], body: Uint8Array): string {
  const [path = '/', query = ''] = request.url.split('?', 2)
  const pairs = query === '' ? [] : query.split('&').map((pair) => (pair.includes('=') ? pair : `${pair}=`))
  const headers = names.map((name) => `${name}:${(request.header(name) ?? '').trim().replaceAll(/ +/g, ' ')}\n`)
  return [request.method, path, pairs.sort().join('&'), headers.join(''), names.join(';'), sha256(body)].join('\n')
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
