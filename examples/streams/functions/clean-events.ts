/**
 * Cleans web events, one at a time. To use it, name it in a stream's settings:
 *
 *     transform:
 *       module: ./examples/streams/functions/clean-events.ts
 */

interface Context {
  readonly receivedMs: number
  readonly ip: string | null
  readonly userAgent: string | null
  ok(record?: object, target?: { database?: string; table?: string; operation?: string }): object
  drop(): object
  fail(message: string): object
}

interface WebEvent {
  event?: unknown
  ip?: unknown
  user_agent?: unknown
  uri?: unknown
  timestamp?: unknown
}

const EVENTS = ['visit', 'view', 'list', 'like', 'cart', 'purchase']

export default function clean(record: WebEvent, context: Context): object {
  if (record.event === 'ping') return context.drop()
  if (typeof record.event !== 'string' || !EVENTS.includes(record.event)) {
    return context.fail(`expected an event such as visit, got ${JSON.stringify(record.event)}`)
  }
  // What the browser did not say, the request did.
  record.ip ??= context.ip
  record.user_agent ??= context.userAgent
  record.timestamp ??= new Date(context.receivedMs).toISOString()
  if (typeof record.uri === 'string') record.uri = record.uri.split('?')[0]
  return record
}
