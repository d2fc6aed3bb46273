/** What a look at something outside has shown. */
import { isFault, messageOf } from '../base/fault.ts'

export type Look =
  | { level: 'ok' | 'note'; message: string }
  /** `settings`: it stays until somebody changes a setting, a right or a name. `outage`: it may pass by itself. */
  | { level: 'problem'; cause: 'settings' | 'outage'; message: string }

/** What somebody has answered and refused stays refused; where nobody has answered, somebody may yet. */
export function troubleOf(error: unknown): Extract<Look, { level: 'problem' }> {
  const isAnswer = isFault(error) && (error.kind !== 'unavailable' || LASTING.test(String(error.facts['code'])))
  const message = messageOf(error)
  return isAnswer
    ? { level: 'problem', cause: 'settings', message }
    : { level: 'problem', cause: 'outage', message: `${message}; ${IS_IT_THERE}` }
}

export const IS_IT_THERE = 'is its address right, and does it run?'

/** Error codes of S3 and SQS, and ours for what AWS's chain does not find. */
const LASTING =
  /NoSuchBucket|AccessDenied|Forbidden|^403$|AllAccessDisabled|InvalidAccessKeyId|InvalidClientTokenId|UnrecognizedClient|InvalidSignature|SignatureDoesNotMatch|ExpiredToken|InvalidToken|NoCredentials|CredentialsProviderError|NoRegion|PermanentRedirect|AuthorizationHeaderMalformed|AccountProblem|NotSignedUp|OptInRequired/
