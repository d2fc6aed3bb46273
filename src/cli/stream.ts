/** `tidewater stream`: streams of records into tables; by URL while a server runs, else on the home itself. */
import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import type { Command } from 'commander'
import { parse as parseYaml } from 'yaml'
import { cdkStreams, isCdkContext } from '../app/cdk-context.ts'
import { Fault, messageOf } from '../base/fault.ts'
import { uuidv7 } from '../base/ids.ts'
import { homeOption, requireFile } from './common.ts'
import { type OutputOptions, printItems, printPairs } from './output.ts'
import { type Answer, type ClientOptions, documentOf, type StreamClient, withClient } from './stream-client.ts'
import { operate, pathOf, printStatus, type TailOptions, tail } from './stream-operations.ts'

type StreamOptions = ClientOptions & OutputOptions
interface PutOptions extends StreamOptions {
  producer?: string
  epoch: string
  operation?: string
}

export function addStream(program: Command): void {
  const stream = program
    .command('stream')
    .description('streams of records into tables')
    .addHelpText(
      'after',
      '\nExamples:\n  tidewater stream create web examples/streams/web.yaml\n  tidewater stream put web events.ndjson\n\nWhile tidewater start holds the home, give its address: --api-url, or the variable TIDEWATER_API_URL.',
    )
  const sub = (usage: string, description: string, example: string) =>
    homeOption(stream.command(usage))
      .description(description)
      .option(
        '--api-url <url>',
        'server to ask, e.g. http://127.0.0.1:8321 (default: TIDEWATER_API_URL, or none: the home)',
      )
      .option('--api-key <secret>', 'its API key (default: TIDEWATER_API_KEY)')
      .option('--json', 'print JSON')
      .addHelpText('after', `\nExample:\n  tidewater stream ${example}`)

  sub(
    'create <name> [file]',
    'make a stream from a file of settings, YAML or JSON; or all streams of a cdk.context.json',
    'create web examples/streams/web.yaml\n  tidewater stream create cdk.context.json',
  ).action(async (name: string, file: string | undefined, options: StreamOptions) => {
    const streams = await streamsOf(name, file)
    await withClient(options, async (client) => {
      const made: Record<string, unknown>[] = []
      for (const [each, settings] of streams) {
        const body = JSON.stringify(settings)
        made.push(documentOf(await client.call('PUT', pathOf(each), body, { 'content-type': 'application/json' })))
      }
      if (made.length === 1) printPairs(made[0]!, options)
      else printItems(made, options, ({ name: each }) => String(each))
    })
  })
  sub('list', 'names of all streams', 'list --json').action((options: StreamOptions) =>
    withClient(options, async (client) => {
      const { DeliveryStreamNames: names } = documentOf(await client.call('GET', '/v1/streams'))
      printItems(names as string[], options, (name) => name)
    }),
  )
  sub('describe <name>', 'a stream as a delivery stream', 'describe web').action(
    (name: string, options: StreamOptions) => show(options, `${pathOf(name)}`),
  )
  sub('status <name>', 'how far a stream is behind what it has taken, and its settings', 'status web').action(
    (name: string, options: StreamOptions) =>
      withClient(options, async (client) =>
        printStatus(documentOf(await client.call('GET', pathOf(name, 'status'))), options),
      ),
  )
  sub('tail <name>', 'the records that a stream takes, as they come, until Ctrl-C', 'tail web --from start --json')
    .option('--from <place>', 'start (the oldest that its log holds), end, or an offset', 'end')
    .option('--committed', 'show a record when it is in a snapshot')
    .option('--max-count <n>', 'end after so many records')
    .option('--no-follow', 'end when nothing more is there')
    .action((name: string, options: TailOptions) => tail(name, options))
  sub(
    'update <name> <file>',
    'give a stream other settings, for the records that come from now on',
    'update web web.yaml',
  ).action(async (name: string, file: string, options: StreamOptions) => {
    await requireFile(file, 'the settings')
    const body = JSON.stringify(await readSettings(file))
    await withClient(options, async (client) =>
      printStatus(documentOf(await client.call('POST', pathOf(name, 'update'), body)), options),
    )
  })
  for (const [what, description] of [
    ['pause', 'hold the commits of a stream back, also after a restart; records are still taken'],
    ['resume', 'let its commits go again'],
    ['drain', 'commit what a stream has taken so far, also when it is paused'],
  ] as const)
    sub(`${what} <name>`, description, `${what} web`).action((name: string, options: StreamOptions) =>
      operate(name, what, options),
    )
  sub(
    'put <name> [file]',
    'send records, one JSON document on each line; - or nothing is standard input',
    'put web events.ndjson',
  )
    .option('--producer <id>', 'number the lines under this name: run again, it sends what is new')
    .option('--epoch <n>', "the producer's epoch", '0')
    .option('--operation <name>', 'insert, update or delete, for streams with unique keys')
    .action((name: string, file: string | undefined, options: PutOptions) => put(name, file ?? '-', options))
  sub('delete <name>', 'commit what the stream has taken and remove it; its table stays', 'delete web').action(
    (name: string, options: StreamOptions) =>
      withClient(options, async (client) => {
        documentOf(await client.call('DELETE', pathOf(name)))
        printPairs({ deleted: name }, options)
      }),
  )
}

async function readSettings(file: string): Promise<unknown> {
  try {
    return parseYaml(await readFile(file, 'utf8'))
  } catch (error) {
    throw new Fault('invalid', `${file} cannot be read as YAML or JSON: ${messageOf(error)}`)
  }
}

/** The streams that a file is to make, by name. @throws Fault `invalid`, `not-found` */
async function streamsOf(name: string, file: string | undefined): Promise<[string, unknown][]> {
  const from = file ?? name
  await requireFile(
    from,
    file === undefined ? 'a cdk.context.json (or give the name of the stream, and a file)' : 'the settings',
  )
  const document = await readSettings(from)
  if (!isCdkContext(document)) {
    if (file !== undefined) return [[name, document]]
    throw new Fault('invalid', `${from} is no cdk.context.json: give the name of the stream before the file`)
  }
  const { streams, notes } = cdkStreams(document, from)
  for (const note of notes) process.stderr.write(`${note}\n`)
  const all = Object.entries(streams)
  if (file === undefined) return all
  const chosen = all.length === 1 ? all[0]?.[1] : streams[name]
  if (chosen !== undefined) return [[name, chosen]]
  throw new Fault('invalid', `${from} has no stream ${name}, but ${all.map(([each]) => each).join(', ')}`)
}

function show(options: StreamOptions, path: string): Promise<void> {
  return withClient(options, async (client) => printPairs(documentOf(await client.call('GET', path)), options))
}

const BATCH_LINES = 500
const BATCH_CHARS = 2 ** 20
const TRIES_MAX = 10

async function put(name: string, file: string, options: PutOptions): Promise<void> {
  if (file !== '-') await requireFile(file, 'the records')
  const counts = { accepted: 0, deadLetters: 0, repeated: 0 }
  await withClient(options, async (client) => {
    const input = createInterface({ input: file === '-' ? process.stdin : createReadStream(file), crlfDelay: Infinity })
    let batch: string[] = []
    let chars = 0
    let sent = 0
    const flush = async () => {
      if (batch.length === 0) return
      const said = documentOf(await send(client, name, batch, sent, options))
      for (const key of Object.keys(counts) as (keyof typeof counts)[]) counts[key] += Number(said[key])
      sent += batch.length
      batch = []
      chars = 0
    }
    for await (const line of input) {
      if (line.trim() === '') continue
      batch.push(line)
      chars += line.length
      if (batch.length >= BATCH_LINES || chars >= BATCH_CHARS) await flush()
    }
    await flush()
  })
  printPairs(counts, options)
}

/** One batch, again and again while the failure may pass: it is recognised, and taken once. */
async function send(
  client: StreamClient,
  name: string,
  lines: readonly string[],
  sequence: number,
  options: PutOptions,
): Promise<Answer> {
  const { producer, epoch, operation } = options
  const headers: Record<string, string> = {
    'content-type': 'application/x-ndjson',
    ...(producer === undefined
      ? { 'idempotency-key': uuidv7(Date.now()) }
      : { 'producer-id': producer, 'producer-epoch': epoch, 'producer-sequence': String(sequence) }),
  }
  const path = `${pathOf(name)}/records${operation === undefined ? '' : `?operation=${encodeURIComponent(operation)}`}`
  for (let tries = 1; ; tries++) {
    try {
      const answer = await client.call('POST', path, `${lines.join('\n')}\n`, headers)
      if ((answer.status !== 429 && answer.status < 500) || tries === TRIES_MAX) {
        if (answer.status === 409 && producer !== undefined) throw refusal(answer)
        return answer
      }
    } catch (error) {
      if (tries === TRIES_MAX || !(error instanceof Fault) || error.kind !== 'unavailable') throw error
    }
    await delay(Math.min(5_000, 100 * 2 ** tries))
  }
}

function refusal({ text }: Answer): Fault {
  const { results = [] } = JSON.parse(text) as { results?: { message?: string }[] }
  const message = results.find((result) => result.message !== undefined)?.message ?? text.slice(0, 200)
  return new Fault('conflict', `${message}; a new --epoch begins anew`)
}
