import { Fault } from '../base/fault.ts'
import { sha256Hex } from '../base/hash.ts'
import { limits } from '../base/limits.ts'
import type { Problem, ProblemReason } from './source.ts'

/** The fault that a reader raises on a bad record: its reason travels as a fact, and `envelope.ts` catches it. */
export function refuse(reason: ProblemReason, message: string): Fault {
  return new Fault('invalid', message, { reason })
}

/** The reason that `refuse` put into a fault. */
export function reasonOf(fault: Fault): ProblemReason {
  return fault.facts.reason as ProblemReason
}

/** A problem with text, cut between characters. */
export function textProblem(reason: ProblemReason, message: string, text: string): Problem {
  const bytes = Buffer.from(text)
  const kept = bytes.length > limits.deadLetterPayloadBytesMax ? cutAtCharacter(bytes) : text
  return { reason, message, payload: kept, encoding: 'text', sizeBytes: bytes.length, sha256: sha256Hex(bytes) }
}

function cutAtCharacter(bytes: Buffer): string {
  let end: number = limits.deadLetterPayloadBytesMax
  // A byte 10xxxxxx continues a character: step back to where that character begins.
  while (end > 0 && (bytes[end]! & 0xc0) === 0x80) end--
  return bytes.subarray(0, end).toString('utf8')
}

/** A problem with bytes that are no text, or that were only hashed beyond their first part. */
export function bytesProblem(
  reason: ProblemReason,
  message: string,
  first: Uint8Array,
  whole: { sizeBytes: number; sha256: string },
): Problem {
  const payload = Buffer.from(first.subarray(0, limits.deadLetterPayloadBytesMax)).toString('base64')
  return { reason, message, payload, encoding: 'base64', ...whole }
}

/** Any value in a message: short, on one line. Lists and objects are only named: they may be of any size and depth. */
export function shown(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (typeof value === 'string') return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value)
  if (typeof value !== 'object' || value === null) return String(value)
  return Array.isArray(value) ? `a list of ${value.length}` : 'an object'
}
