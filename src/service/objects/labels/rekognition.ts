/**
 * Amazon Rekognition's DetectLabels: one call per picture, whole label objects kept as the service tells them. The SDK is loaded when the
 * first client is opened; it does not try again by itself, since our pace and count of calls must see each of them.
 */
import type { Label, RekognitionClient } from '@aws-sdk/client-rekognition'
import { Fault, messageOf } from '../../../base/fault.ts'
import type { Json } from '../../../base/json.ts'
import { limits } from '../../../base/limits.ts'
import { type LabelClient, type LabelFacts, type LabelImage, LabelTrouble } from './labels.ts'

export interface RekognitionSettings {
  /** Default: as the SDK finds it (AWS_REGION, the profile). */
  region?: string | undefined
  /** Default: AWS. */
  endpoint?: string | undefined
  /** 1 to 1000. */
  maxLabels: number
  /** Percent. */
  minConfidence: number
}

/** Credentials are found by the SDK's own chain: environment, profile, role. @throws Fault `unavailable` when the SDK does not load */
export async function openRekognition(settings: RekognitionSettings): Promise<LabelClient> {
  const sdk = await import('@aws-sdk/client-rekognition').catch((error: unknown) => {
    throw new Fault('unavailable', `@aws-sdk/client-rekognition cannot be loaded: ${messageOf(error)}`, {}, error)
  })
  const { region, endpoint, maxLabels, minConfidence } = settings
  const client: RekognitionClient = new sdk.RekognitionClient({
    maxAttempts: 1,
    ...(region === undefined ? {} : { region }),
    ...(endpoint === undefined ? {} : { endpoint }),
  })
  return {
    detect: async (image) => {
      try {
        const input = { Image: imageParameter(image), MaxLabels: maxLabels, MinConfidence: minConfidence }
        const answer = await client.send(new sdk.DetectLabelsCommand(input), {
          abortSignal: AbortSignal.timeout(limits.labelCallMs),
        })
        const { Labels = [], LabelModelVersion } = answer
        return factsOf(Labels.slice(0, maxLabels), LabelModelVersion)
      } catch (error) {
        throw troubleOf(error, image)
      }
    },
    close: () => client.destroy(),
  }
}

function imageParameter(image: LabelImage) {
  if (image.kind === 'bytes') return { Bytes: image.bytes }
  const { bucket, key, versionId } = image
  return { S3Object: { Bucket: bucket, Name: key, ...(versionId === undefined ? {} : { Version: versionId }) } }
}

function factsOf(labels: readonly Label[], version: string | undefined): LabelFacts {
  return {
    labels: JSON.parse(JSON.stringify(labels)) as { [member: string]: Json }[],
    label_model: { by: 'rekognition', version: version ?? null },
  }
}

const THROTTLED = new Set([
  'ThrottlingException',
  'ProvisionedThroughputExceededException',
  'TooManyRequestsException',
  'RequestLimitExceeded',
  'LimitExceededException',
  'SlowDown',
])

/** Nobody may call, or nobody as whom we call. */
const REFUSED =
  /^(AccessDenied|UnrecognizedClient|InvalidSignature|SignatureDoesNotMatch|ExpiredToken|InvalidClientTokenId|MissingAuthenticationToken|IncompleteSignature|OptInRequired|Credentials|TokenProvider)/

/** What went wrong, by the name of the service's error; `InternalServerError`, lost connections and what is unknown may pass. */
function troubleOf(error: unknown, image: LabelImage): LabelTrouble {
  const { name = '', $metadata } = (error ?? {}) as { name?: string; $metadata?: { httpStatusCode?: number } }
  const status = $metadata?.httpStatusCode
  const message = `${name}: ${messageOf(error)}`.slice(0, 400)
  switch (name) {
    case 'InvalidImageFormatException':
    case 'InvalidParameterException':
      return new LabelTrouble('final', message, 'invalid')
    case 'ImageTooLargeException':
      return new LabelTrouble('final', message, 'limit')
    case 'InvalidS3ObjectException':
      return new LabelTrouble('unreadable', `${message}; ${advice(image)}`)
  }
  if (THROTTLED.has(name) || status === 429) return new LabelTrouble('throttled', message)
  if (REFUSED.test(name) || /Region is missing/.test(message)) return new LabelTrouble('refused', message)
  return new LabelTrouble('passing', message)
}

function advice(image: LabelImage): string {
  return image.kind === 's3'
    ? `the caller needs s3:GetObject on ${image.bucket}, which must be in Rekognition's region; or set objects.labels.image to bytes`
    : 'set objects.labels.image to bytes'
}
