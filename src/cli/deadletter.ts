/** `tidewater deadletter`: what could not be taken, and sending it again. */
import type { Command } from 'commander'
import { requireHome } from '../app/home.ts'
import { openReader } from '../app/reader.ts'
import {
  choiceTerms,
  DEAD_LETTERS,
  type ReplayCounts,
  type ReplayPart,
  replayLetters,
  requireStream,
} from '../app/replay.ts'
import { openSql } from '../app/sql.ts'
import { hasStreamLog } from '../app/stream-state.ts'
import { Fault, isFault } from '../base/fault.ts'
import { formatJsonLines, formatTable } from '../query/format.ts'
import type { StatementResult } from '../query/query.ts'
import { type HomeOptions, homeOption, requireFolder, settingOf, warn, withEngine } from './common.ts'
import { EXIT } from './exit.ts'
import { type OutputOptions, printPairs } from './output.ts'
import { progressLine } from './progress.ts'
import { type ClientOptions, clientAt, documentOf } from './stream-client.ts'

type LetterOptions = HomeOptions &
  OutputOptions &
  ClientOptions & {
    stream?: string
    all?: boolean
    objects?: string
    stage?: string
    directory?: string
    bucket?: string
  }

export function addDeadletter(program: Command): void {
  const letters = program.command('deadletter').description('what could not be taken, with its reason and its bytes')
  homeOption(letters.command('list'))
    .description('open letters, newest first')
    .option('--all', 'also those that were replayed, or settled because their object is gone or was replaced')
    .option('--stream <name>', 'only letters of this stream')
    .option('--stage <stage>', 'only letters of this stage (record, source, extract, commit)')
    .option('--json', 'print JSON, one document per line')
    .addHelpText(
      'after',
      '\nExamples:\n  tidewater deadletter list --stream web\n  tidewater deadletter list --stage commit --json',
    )
    .action(list)
  homeOption(letters.command('show <id>'))
    .description('one letter with its payload; the beginning of the id is enough')
    .option('--json', 'print JSON, one document per letter')
    .addHelpText('after', '\nExample:\n  tidewater deadletter show 3f9a')
    .action((id: string, options: LetterOptions) => show(id, options))
  homeOption(letters.command('replay [ids...]'))
    .description('send letters again: those named, or all open ones')
    .option('--api-url <url>', 'server that holds the home (default: TIDEWATER_API_URL, or none: the home)')
    .option('--api-key <secret>', 'its API key (default: TIDEWATER_API_KEY)')
    .option('--stream <name>', 'only letters of this stream')
    .option('--stage <stage>', 'only letters of this stage (record, source, extract, commit)')
    .option('--objects <dir>', 'where the bytes of recorded objects are, as for ingest')
    .option('--directory <dir>', 'attach this directory as the bucket named by --bucket')
    .option('--bucket <name>', "name of the directory's bucket")
    .option('--json', 'print the counts as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  tidewater deadletter replay\n  tidewater deadletter replay --stage extract --directory ~/Pictures --bucket photos',
    )
    .action(async (ids: string[], options: LetterOptions) => {
      if (options.objects !== undefined) await requireFolder(options.objects, '--objects')
      if (options.directory !== undefined) await requireFolder(options.directory, '--directory')
      const apiUrl = options.apiUrl ?? process.env['TIDEWATER_API_URL']
      const counts = apiUrl === undefined ? await replayHere(ids, options) : await replayThere(apiUrl, ids, options)
      printPairs({ ...counts }, options)
      if (counts.failed + counts.cut === 0) return
      process.exitCode = EXIT.partly
      warn(`${counts.failed + counts.cut} letters stay open; tidewater deadletter list tells why`)
    })
  letters.addHelpText('after', '\nExamples:\n  tidewater deadletter list\n  tidewater deadletter replay')
}

function list(options: LetterOptions): Promise<void> {
  const terms = [...(options.all === true ? [] : ["status = 'open'"]), ...choiceTerms(options)]
  const where = terms.length === 0 ? '' : `WHERE ${terms.join(' AND ')}`
  return query(
    options,
    `SELECT id, stage, code, subject, reason, payload_bytes, status, updated_at FROM ${DEAD_LETTERS} ${where} ORDER BY updated_at DESC, id`,
    () => process.stdout.write(options.json === true ? '' : 'no dead letters\n'),
  )
}

async function replayHere(ids: string[], options: LetterOptions): Promise<ReplayCounts> {
  const setting = await settingOf(options)
  await requireHome(setting.home)
  return withEngine(setting, (engine) => replayLetters(engine, { ids, ...options }))
}

/** Part by part, so that no request takes long. */
async function replayThere(apiUrl: string, ids: string[], options: LetterOptions): Promise<ReplayCounts> {
  if (options.objects !== undefined || options.directory !== undefined)
    throw new Fault(
      'invalid',
      'the server knows its buckets and directories: leave out --objects and --directory; or end it, and leave out --api-url and TIDEWATER_API_URL',
    )
  const client = clientAt(apiUrl, options.apiKey)
  const progress = progressLine()
  const sum: ReplayCounts = { replayed: 0, failed: 0, cut: 0 }
  for (let after: string | null | undefined; after !== null; ) {
    const { stage, stream } = options
    const body = JSON.stringify({ ...(ids.length === 0 ? {} : { ids }), stage, stream, after })
    const said = documentOf(await client.call('POST', '/v1/deadletters/replay', body)) as unknown as ReplayPart
    for (const name of ['replayed', 'failed', 'cut'] as const) sum[name] += said[name]
    progress.show(`${sum.replayed + sum.failed + sum.cut} letters`)
    after = said.next
  }
  progress.clear()
  return sum
}

async function query(
  options: LetterOptions,
  sql: string,
  missing: () => void,
  human: (result: StatementResult) => string = formatTable,
): Promise<void> {
  const { home, config } = await settingOf(options)
  const reader = await openReader(home, config)
  try {
    const session = await openSql(reader)
    try {
      await requireStream(
        session,
        options.stream,
        async (name) => Object.hasOwn(config.streams, name) || (await hasStreamLog(home, name)),
      )
      const result = await session.run(sql).catch((error: unknown) => {
        // A home that never had a letter has no table of them.
        if (isFault(error, 'not-found')) return null
        throw error
      })
      if (result === null || result.rows.length === 0) missing()
      else process.stdout.write(options.json === true ? formatJsonLines(result) : human(result))
    } finally {
      await session.close()
    }
  } finally {
    await reader.close()
  }
}

async function show(id: string, options: LetterOptions): Promise<void> {
  if (!/^[0-9a-f]{4,32}$/.test(id))
    throw new Fault('invalid', `expected an id of 4 to 32 hex digits (see tidewater deadletter list), got "${id}"`)
  await query(
    options,
    `SELECT *, TRY(decode(payload)) AS payload_text FROM ${DEAD_LETTERS} WHERE id LIKE '${id}%'`,
    () => {
      throw new Fault(
        'not-found',
        `no dead letter has an id that begins with ${id}; see tidewater deadletter list --all`,
      )
    },
    letterText,
  )
}

/** Letters for people: their facts, then the payload as text, or as hex digits when it is none. */
function letterText(result: StatementResult): string {
  const letters = formatJsonLines(result).trimEnd().split('\n')
  return letters.map((line) => letterLines(JSON.parse(line) as Record<string, unknown>)).join('\n')
}

function letterLines({ payload, payload_text: text, ...facts }: Record<string, unknown>): string {
  const width = Math.max(...Object.keys(facts).map((name) => name.length))
  const lines = Object.entries(facts).map(([name, value]) => `${name.padEnd(width)}  ${harmless(String(value))}`)
  return `${lines.join('\n')}\n\n${harmless(typeof text === 'string' ? text : String(payload))}\n`
}

/** Bytes of strangers must not steer the terminal: all control characters but the ends of lines and tabs as escapes. */
function harmless(text: string): string {
  return text.replaceAll(/[^\P{Cc}\n\t]/gu, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
