/**
 * What a failed request to an S3 means, whoever answered: AWS, a store of the same protocol, a proxy before it, or nobody.
 *
 * A code of the answer's body decides where there is one; answers to HEAD have none, so there the status does.
 */
import { Fault, type FaultFacts, messageOf, systemCode } from '../base/fault.ts'

export type S3Failure =
  /** No such object or version; `marker`: a delete marker is in its place. */
  | { readonly kind: 'missing'; readonly marker: boolean }
  | { readonly kind: 'no-bucket' }
  /** A condition of the request (etag, absence) does not hold. */
  | { readonly kind: 'condition' }
  /** Somebody else writes the same key at this moment: to be tried again. */
  | { readonly kind: 'race' }
  | { readonly kind: 'throttled'; readonly retryAfterMs?: number }
  /** No answer, a broken one, or an error of the server: it is unknown whether the request took effect. */
  | { readonly kind: 'unknown'; readonly timeout: boolean }
  | { readonly kind: 'not-implemented' }
  | { readonly kind: 'no-upload' }
  /** The start of the range lies past the object. */
  | { readonly kind: 'range' }
  /** Anything else that the server says no to: rights, names, sizes. */
  | { readonly kind: 'refused'; readonly code: string }

interface Answer {
  readonly name: string
  readonly status: number | undefined
  readonly header: (name: string) => string | undefined
}

const throttles = new Set([
  'SlowDown',
  'SlowDownRead',
  'SlowDownWrite',
  'ServiceUnavailable',
  'RequestLimitExceeded',
  'Throttling',
  'ThrottlingException',
  'ThrottledException',
  'RequestThrottled',
  'RequestThrottledException',
  'TooManyRequests',
  'TooManyRequestsException',
  'BandwidthLimitExceeded',
])

/** The request broke on its way though the server answered: it says so by name, with a status of the 400s. */
const broken = new Set([
  'RequestTimeout',
  'RequestTimeTooSkewed',
  'IncompleteBody',
  'BadDigest',
  'XAmzContentChecksumMismatch',
])

export function failureOf(error: unknown): S3Failure {
  const { name, status, header } = answerOf(error)
  // The SDK calls connections that were reset late, too.
  const code = systemCode(error)
  if (code === 'ECONNRESET' || code === 'EPIPE') return { kind: 'unknown', timeout: false }
  if (name === 'TimeoutError' || name === 'AbortError') return { kind: 'unknown', timeout: true }
  if (name === 'CredentialsProviderError' || /^Region is missing/.test(messageOf(error))) {
    return { kind: 'refused', code: name === 'Error' ? 'NoRegion' : 'NoCredentials' }
  }
  if (status === undefined) return { kind: 'unknown', timeout: code === 'ETIMEDOUT' }
  if (throttles.has(name) || status === 429 || status === 503) {
    const retryAfterMs = retryAfter(header('retry-after'))
    return { kind: 'throttled', ...(retryAfterMs !== undefined && { retryAfterMs }) }
  }
  if (name === 'NoSuchBucket') return { kind: 'no-bucket' }
  if (name === 'NoSuchUpload') return { kind: 'no-upload' }
  if (broken.has(name)) return { kind: 'unknown', timeout: false }
  if (status === 501 || name === 'NotImplemented') return { kind: 'not-implemented' }
  // 200: an error in a body whose head was sent before it was known, as of a copy.
  if (status >= 500 || status < 300) return { kind: 'unknown', timeout: false }
  switch (status) {
    case 404:
      return { kind: 'missing', marker: header('x-amz-delete-marker') === 'true' }
    case 405:
      return header('x-amz-delete-marker') === 'true' || name === 'MethodNotAllowed'
        ? { kind: 'missing', marker: true }
        : { kind: 'refused', code: name }
    case 409:
      return name === 'ConditionalRequestConflict' || name === 'OperationAborted'
        ? { kind: 'race' }
        : { kind: 'refused', code: name }
    case 412:
      return { kind: 'condition' }
    case 416:
      return { kind: 'range' }
    default:
      return { kind: 'refused', code: name }
  }
}

/** Whether the same request may be sent again, and whether it may have taken effect. */
export function mayPass(failure: S3Failure): boolean {
  return failure.kind === 'throttled' || failure.kind === 'unknown' || failure.kind === 'race'
}

function answerOf(error: unknown): Answer {
  const fields = (typeof error === 'object' && error !== null ? error : {}) as {
    name?: unknown
    $metadata?: { httpStatusCode?: number }
    $response?: { headers?: Record<string, string>; statusCode?: number }
  }
  const headers = fields.$response?.headers ?? {}
  return {
    name: typeof fields.name === 'string' ? fields.name : 'Error',
    status: fields.$metadata?.httpStatusCode ?? fields.$response?.statusCode,
    header: (name) => headers[name],
  }
}

/** The error's name and text; null for an answer without a body, as every one to HEAD. */
export function saidBy(error: unknown): string | null {
  return messageOf(error) === 'UnknownError' ? null : `${answerOf(error).name}: ${messageOf(error)}`
}

/** RFC 9110, section 10.2.3, in its form of seconds. */
function retryAfter(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,6}$/.test(text) ? Number(text) * 1000 : undefined
}

/**
 * The fault for a request that has failed for good.
 *
 * @param what the request in words: `read object "k" of s3://b`
 */
export function s3Fault(error: unknown, what: string, facts: FaultFacts, attempts: number): Fault {
  if (error instanceof Fault) return error
  const failure = failureOf(error)
  const said = saidBy(error) ?? `HTTP status ${answerOf(error).status}, and nothing else`
  const tried = attempts > 1 ? `, also after ${attempts} tries` : ''
  switch (failure.kind) {
    case 'missing': {
      const marker = failure.marker ? ': a delete marker is in its place' : ''
      const more = failure.marker ? { ...facts, deleteMarker: true } : facts
      return new Fault('not-found', `cannot ${what}: there is no such object or version${marker}`, more, error)
    }
    case 'no-bucket':
      return new Fault(
        'unavailable',
        `cannot ${what}: there is no such bucket; is its name right, and the endpoint?`,
        { ...facts, code: 'NoSuchBucket' },
        error,
      )
    case 'condition':
      return new Fault('superseded', `cannot ${what}: the object is another than the one asked for`, facts, error)
    case 'race':
      return new Fault('unavailable', `cannot ${what}: others write the same key at this moment${tried}`, facts, error)
    case 'throttled':
      return new Fault(
        'unavailable',
        `cannot ${what}: the store asks for fewer requests (${said})${tried}; it is asked more slowly from now on`,
        { ...facts, ...(failure.retryAfterMs !== undefined && { retryAfterMs: failure.retryAfterMs }) },
        error,
      )
    case 'unknown':
      return new Fault(
        'unavailable',
        `cannot ${what}: the store does not answer as it should (${said})${tried}`,
        facts,
        error,
      )
    case 'not-implemented':
      return new Fault(
        'unsupported',
        `cannot ${what}: the store does not have this (${said}); use one that has`,
        facts,
        error,
      )
    case 'no-upload':
      return new Fault(
        'unavailable',
        `cannot ${what}: the store has forgotten the upload in parts${tried}`,
        facts,
        error,
      )
    case 'range':
      return new Fault('invalid', `cannot ${what}: the object is shorter`, facts, error)
    case 'refused':
      return new Fault(
        refusedKind(failure.code),
        `cannot ${what}: the store refuses (${said})${hint(failure.code)}`,
        {
          ...facts,
          code: failure.code,
        },
        error,
      )
  }
}

/** Rights may be given while we wait; a name or a size does not change by waiting. */
function refusedKind(code: string): 'unavailable' | 'invalid' | 'limit' {
  switch (code) {
    case 'EntityTooLarge':
    case 'TooManyParts':
      return 'limit'
    case 'KeyTooLongError':
    case 'InvalidArgument':
    case 'InvalidBucketName':
    case 'InvalidRequest':
    case 'XMinioInvalidObjectName':
    case 'XMinioInvalidResourceName':
      return 'invalid'
    default:
      return 'unavailable'
  }
}

function hint(code: string): string {
  switch (code) {
    case 'AccessDenied':
    case 'Forbidden':
    case '403':
      return '; give the key the right to it'
    case 'InvalidAccessKeyId':
    case 'SignatureDoesNotMatch':
      return '; check s3.access-key-id and s3.secret-access-key'
    case 'NoCredentials':
      return '; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or s3.access-key-id and s3.secret-access-key'
    case 'NoRegion':
      return '; set client.region, or AWS_REGION'
    case 'ExpiredToken':
      return '; the session token has expired'
    case 'PermanentRedirect':
    case 'AuthorizationHeaderMalformed':
      return '; check client.region'
    default:
      return ''
  }
}
