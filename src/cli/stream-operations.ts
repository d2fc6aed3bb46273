/** `tidewater stream tail|pause|resume|drain|update`, and what `status` says to people. */
import { setTimeout as delay } from 'node:timers/promises'
import { quotedName } from '../app/tables.ts'
import { Fault } from '../base/fault.ts'
import { stringifyJson } from '../base/json.ts'
import { limits } from '../base/limits.ts'
import { interruptSignal, warn } from './common.ts'
import { type OutputOptions, printPairs } from './output.ts'
import { type ClientOptions, documentOf, type StreamClient, withClient } from './stream-client.ts'

export interface TailOptions extends ClientOptions, OutputOptions {
  from: string
  committed?: boolean
  maxCount?: string
  follow?: boolean
}

interface Entry {
  offset: number
  table: string
  operation: string
  row: unknown
}

interface Entries {
  entries: Entry[]
  passedOver: number
  next: number
  committed: number
}

export async function operate(
  name: string,
  what: 'pause' | 'resume' | 'drain',
  options: ClientOptions & OutputOptions,
): Promise<void> {
  await withClient(options, async (client) => {
    const status = documentOf(await client.call('POST', pathOf(name, what)))
    process.stdout.write(`${options.json === true ? stringifyJson(status) : operated(what, status)}\n`)
  })
}

/** What was done, in a line. */
function operated(what: 'pause' | 'resume' | 'drain', { name, waiting, freshness }: Record<string, unknown>): string {
  const { waitingBytes, paused } = freshness as Freshness
  const left = `${waiting} entries of ${waitingBytes} bytes wait`
  switch (what) {
    case 'pause':
      return `${name}: commits are paused, records are still taken; ${left}`
    case 'resume':
      return `${name}: commits go on; ${left}`
    case 'drain':
      return `${name}: what was taken is committed${paused ? ', and commits are still paused' : ''}; ${left}`
  }
}

export function pathOf(name: string, what?: string): string {
  return `/v1/streams/${encodeURIComponent(name)}${what === undefined ? '' : `/${what}`}`
}

interface Freshness {
  waitingBytes: number
  oldestWaitingMs: number | null
  lastCommitMs: number | null
  paused: boolean
  destinations: { table: string; committed: number }[]
  sources: unknown[]
}

/** The log forgets what is committed: where it is now. */
async function tellForgotten(client: StreamClient, name: string, count: number, from: number): Promise<void> {
  const { freshness } = documentOf(await client.call('GET', pathOf(name, 'status')))
  const tables = (freshness as Freshness).destinations.map(
    ({ table }) => `tidewater sql 'SELECT * FROM ${quotedName(table)}'`,
  )
  warn(
    `the log begins at offset ${from + count}: the ${count} entries before it are committed, and it has forgotten them. They are in ${tables.length === 1 ? 'the table' : 'the tables'}: ${tables.join('; ')}`,
  )
}

/** The whole document for programs; for people how far the stream is behind, then its settings. */
export function printStatus(status: Record<string, unknown>, options: OutputOptions): void {
  if (options.json === true) {
    printPairs(status, options)
    return
  }
  const { freshness, settings, ...facts } = status
  const { waitingBytes, oldestWaitingMs, lastCommitMs, paused, destinations, sources } = freshness as Freshness
  printPairs(
    {
      ...facts,
      backlog: `${waitingBytes} bytes${paused ? ', commits are paused' : ''}`,
      oldestWaiting: oldestWaitingMs === null ? 'none' : `${(oldestWaitingMs / 1000).toFixed(1)} s`,
      lastCommit: lastCommitMs === null ? 'none since the start' : new Date(lastCommitMs).toISOString(),
      destinations: destinations.map(({ table, committed }) => `${table} up to ${committed}`).join(', '),
      ...(sources.length === 0 ? {} : { sources }),
      settings,
    },
    options,
  )
}

/** Follows what a stream accepts, or what is committed of it, until Ctrl-C. Without a server: what waits in its log. */
export async function tail(name: string, options: TailOptions): Promise<void> {
  if (!/^(start|end|\d{1,15})$/.test(options.from))
    throw new Fault('invalid', `--from: expected start, end or an offset, got "${options.from}"`)
  const most = options.maxCount === undefined ? Infinity : Number(options.maxCount)
  if (Number.isNaN(most) || most < 0)
    throw new Fault('invalid', `--max-count: expected a number, got "${options.maxCount}"`)
  const isServed = options.apiUrl !== undefined || process.env['TIDEWATER_API_URL'] !== undefined
  await withClient(options, (client) => follow(client, name, options, most, isServed && options.follow !== false))
}

async function follow(
  client: StreamClient,
  name: string,
  options: TailOptions,
  most: number,
  goesOn: boolean,
): Promise<void> {
  const signal = interruptSignal()
  // Without following there is nothing to come.
  let from = options.from === 'start' || (options.from === 'end' && !goesOn) ? '0' : options.from
  let shown = 0
  let kept: Entry[] = []
  const waitSeconds = limits.httpEntriesWaitMs / 1000
  while (!signal.aborted) {
    const isPending = options.committed === true && kept.length > 0
    const seconds = !goesOn ? 0 : isPending ? 1 : waitSeconds
    const path = `${pathOf(name, 'entries')}?from=${from}&timeout=${seconds}`
    const answer = client.call('GET', path).then((said) => documentOf(said) as unknown as Entries)
    const said = await Promise.race([answer, aborted(signal)])
    if (said === null) {
      answer.catch(() => undefined)
      return
    }
    if (said.passedOver > 0) await tellForgotten(client, name, said.passedOver, Number(from))
    kept.push(...said.entries)
    if (kept.length > KEPT_MAX)
      throw new Fault('limit', `${kept.length} entries wait to be committed; tail without --committed`)
    const ready = options.committed === true ? kept.filter(({ offset }) => offset < said.committed) : kept
    kept = kept.slice(ready.length)
    for (const entry of ready) {
      if (shown++ >= most) return
      process.stdout.write(options.json === true ? `${stringifyJson(entry)}\n` : `${lineOf(entry)}\n`)
    }
    if (shown >= most || (!goesOn && said.entries.length === 0)) return
    from = String(said.next)
    if (goesOn && said.entries.length === 0 && isPending) await delay(PAUSE_MS)
  }
}

const KEPT_MAX = 1_000_000
const PAUSE_MS = 200

function lineOf({ offset, table, operation, row }: Entry): string {
  return `${offset}  ${table}  ${operation}  ${stringifyJson(row)}`
}

function aborted(signal: AbortSignal): Promise<null> {
  if (signal.aborted) return Promise.resolve(null)
  return new Promise((done) => signal.addEventListener('abort', () => done(null), { once: true }))
}
