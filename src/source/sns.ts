/**
 * SNS: a document whose `Message` is another document as text. Lambda gets the same under `Sns` in `Records`. With raw
 * delivery there is no such wrapper, and nothing to do. Signatures are for whoever received the request to check.
 */
import { type Members, requiredText } from './fields.ts'
import type { Ignored } from './source.ts'

/** SNS's own types of message. */
const TYPES = ['Notification', 'SubscriptionConfirmation', 'UnsubscribeConfirmation']

export function isSns(document: Members): boolean {
  return typeof document['Type'] === 'string' && TYPES.includes(document['Type']) && Object.hasOwn(document, 'Message')
}

/** The text that SNS carries. @throws Fault `invalid` when it carries none */
export function readSns(document: Members): { text: string } | Ignored {
  if (document['Type'] !== 'Notification') return { reason: 'subscription', name: String(document['Type']) }
  return { text: requiredText(document['Message'], 'Message') }
}
