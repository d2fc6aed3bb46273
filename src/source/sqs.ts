/**
 * SQS: a message whose body is another document as text; `body` in Lambda's events, `Body` in the answer to
 * `ReceiveMessage`.
 */
import { type Members, requiredText } from './fields.ts'

export function isSqsMessage(document: Members): boolean {
  return Object.hasOwn(document, 'body') || Object.hasOwn(document, 'Body')
}

/** The text that the message carries, and in which member. @throws Fault `invalid` when it carries none */
export function readSqsMessage(message: Members): { text: string; member: 'body' | 'Body' } {
  const member = Object.hasOwn(message, 'body') ? 'body' : 'Body'
  return { text: requiredText(message[member], member), member }
}
