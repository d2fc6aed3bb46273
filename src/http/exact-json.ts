/** JSON whose numbers keep their text: what is parsed and written again says the same to the last digit. */
import { Fault, messageOf } from '../base/fault.ts'

const rawJson = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON
const utf8 = new TextDecoder('utf-8', { fatal: true })

/** @throws Fault `invalid` */
export function parseExact(body: Uint8Array, what: string): unknown {
  try {
    return JSON.parse(utf8.decode(body), ((_name: string, value: unknown, context?: { source?: string }) =>
      typeof value === 'number' && context?.source !== undefined ? rawJson(context.source) : value) as (
      this: unknown,
      key: string,
      value: unknown,
    ) => unknown)
  } catch (error) {
    throw new Fault('invalid', `${what}: expected JSON (${messageOf(error)})`)
  }
}

/** A value of `parseExact` as bytes: text stands for itself, everything else is written as JSON. */
export function bytesOf(value: unknown): Buffer {
  return Buffer.from(typeof value === 'string' ? value : (JSON.stringify(value) ?? ''))
}
