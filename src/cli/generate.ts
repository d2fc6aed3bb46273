/** `tidewater generate`: made-up web events for a stream, to try it and to load it. */
import { setTimeout as delay } from 'node:timers/promises'
import { type Command, Option } from 'commander'
import { Fault } from '../base/fault.ts'
import { PORT_DEFAULT } from '../http/http.ts'
import { progressLine } from './progress.ts'
import { clientAt } from './stream-client.ts'
import { Disorder, LATE_MAX, type WebEvent, WebEvents } from './web-events.ts'

interface GenerateOptions {
  streamName: string
  apiUrl?: string
  apiKey?: string
  apiMethod: 'record' | 'records'
  maxCount: string
  batch: string
  rate: string
  skew: string
  duplicates: string
  disorder: string
  bad: string
  seed: string
  dryRun?: boolean
}

export function addGenerate(program: Command): void {
  program
    .command('generate')
    .description('send made-up web events (visit, view, list, like, cart, purchase) to a stream')
    .requiredOption('--stream-name <name>', 'the stream')
    .option('--api-url <url>', 'the server, with or without /v1 (default: TIDEWATER_API_URL, or http://127.0.0.1:8321)')
    .option('--api-key <secret>', 'its API key (default: TIDEWATER_API_KEY)')
    .addOption(
      new Option('--api-method <how>', 'one record per request, or several')
        .choices(['record', 'records'])
        .default('record'),
    )
    .option('--max-count <n>', 'requests to send', '10')
    .option('--batch <n>', 'records of a request with --api-method records', '1')
    .option('--rate <n>', 'requests per second; 0: as fast as they are answered', '2')
    .option('--skew <s>', "exponent of Zipf's law by which visitors and products come; 0: all alike", '1')
    .option('--duplicates <share>', 'share of requests that are sent twice, as after a lost answer', '0')
    .option('--disorder <share>', `share of records that come late, behind up to ${LATE_MAX} others`, '0')
    .option('--bad <share>', 'share of records with something wrong', '0')
    .option('--seed <text>', 'the same seed gives the same events, but for their time', '1')
    .option('--dry-run', 'print the records instead of sending them')
    .addHelpText(
      'after',
      '\nExamples:\n  tidewater generate --stream-name web --api-method records --max-count 5\n  tidewater generate --stream-name web --max-count 1000 --rate 0 --duplicates 0.05 --disorder 0.1 --bad 0.01',
    )
    .action(run)
}

async function run(options: GenerateOptions): Promise<void> {
  const max = numberOf('--max-count', options.maxCount, 1e9)
  const batch = options.apiMethod === 'record' ? 1 : numberOf('--batch', options.batch, 500)
  const rate = numberOf('--rate', options.rate, 1e6)
  const [duplicates, disorder, bad] = [
    numberOf('--duplicates', options.duplicates, 1),
    numberOf('--disorder', options.disorder, 1),
    numberOf('--bad', options.bad, 1),
  ]
  const client = clientAt(
    options.apiUrl ?? process.env['TIDEWATER_API_URL'] ?? `http://127.0.0.1:${PORT_DEFAULT}`,
    options.apiKey,
  )
  const events = new WebEvents(options.seed, numberOf('--skew', options.skew, 10))
  const order = new Disorder<WebEvent>()
  const make = (atMs: number) => () => (events.chance(bad) ? events.bad(atMs) : events.next(atMs))
  const lateBy = () => (disorder > 0 && events.chance(disorder) ? 1 + events.below(LATE_MAX) : 0)
  const progress = progressLine()
  const say = (line: string) => {
    progress.clear()
    process.stdout.write(`${line}\n`)
  }
  const path = `/v1/streams/${encodeURIComponent(options.streamName)}/${options.apiMethod}`
  const run = Date.now()
  let sent = 0
  for (let count = 0; count < max; count++) {
    const nowMs = Date.now()
    const records = Array.from({ length: batch }, () => order.next(make(nowMs), lateBy))
    const body = bodyOf(options.apiMethod, records)
    if (options.dryRun === true) {
      say(body)
      continue
    }
    sent += batch
    const headers = {
      'content-type': 'application/json',
      'idempotency-key': `generate-${options.seed}-${run}-${count}`,
    }
    for (let times = events.chance(duplicates) ? 2 : 1; times > 0; times--) {
      const { status, reason, text } = await client.call('PUT', path, body, headers)
      say(`[${status} ${reason}] ${text}`)
      if (status !== 200)
        throw new Fault('unavailable', `the server answered ${status}; stopped after ${count} requests`)
    }
    progress.show(`requests, ${sent} records`, count + 1, max)
    // By the clock, so that slow answers do not add up.
    if (rate > 0 && count + 1 < max) await delay(Math.max(0, run + ((count + 1) * 1000) / rate - Date.now()))
  }
  progress.clear()
}

function bodyOf(method: 'record' | 'records', records: readonly WebEvent[]): string {
  if (method === 'record') return JSON.stringify({ Data: records[0] })
  return JSON.stringify({ records: records.map((record) => ({ data: `${JSON.stringify(record)}\n` })) })
}

function numberOf(option: string, text: string, max: number): number {
  const value = Number(text)
  if (text.trim() !== '' && Number.isFinite(value) && value >= 0 && value <= max) return value
  throw new Fault('invalid', `${option}: expected a number from 0 to ${max}, got "${text}"`)
}
