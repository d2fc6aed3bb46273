/** `tidewater start`: everything that the configuration names, until it is told to end. */
import path from 'node:path'
import type { Command } from 'commander'
import type { Engine } from '../app/engine.ts'
import { reextractPart } from '../app/reextract.ts'
import { replayWhileServing } from '../app/replay.ts'
import { Fault, messageOf } from '../base/fault.ts'
import { KeyFile, Metrics, PORT_DEFAULT, type Server, startServer } from '../http/http.ts'
import type { FeedEvent } from '../table/table.ts'
import { type HomeOptions, homeOption, interruptSignal, type Setting, settingOf, withEngine } from './common.ts'

interface StartOptions extends HomeOptions {
  host?: string
  port?: string
}

export function addStart(program: Command): void {
  homeOption(program.command('start'))
    .description('serve everything that is configured, until Ctrl-C or SIGTERM')
    .option('--host <name>', 'address to listen on (default: http.host, or 127.0.0.1)')
    .option('--port <n>', 'port to listen on, 0 for a free one (default: http.port, TIDEWATER_PORT, or 8321)')
    .addHelpText(
      'after',
      `
Examples:
  tidewater start
  tidewater start --home /var/lib/tidewater --port 9000

Prints one line on standard output when it takes requests. When it is told to end, it answers what is under way, commits what it
has taken, and ends with exit code 0. API keys: http.keysFile, and the variable TIDEWATER_API_KEYS; the file is read again when it
changes, and on SIGHUP.`,
    )
    .action(async (options: StartOptions) => {
      const setting = await settingOf(options)
      const keys = await keysOf(setting)
      const metrics = new Metrics(true)
      const signal = interruptSignal()
      for (const note of setting.notes) log(note)
      const onEvent = (event: FeedEvent) => {
        metrics.feed(event)
        tell(event)
      }
      const reload = () => void keys.reload()
      process.on('SIGHUP', reload)
      try {
        await withEngine({ ...setting, onEvent, onNotice: log }, async (engine) => {
          if (engine.filled.rows > 0) log(`${engine.filled.rows} rows had their new columns filled from their metadata`)
          engine.start((fault, retryInMs) => {
            metrics.logStalled()
            log(`waiting ${retryInMs} ms: ${fault.message}`)
          })
          engine.objectSources.start()
          const server = await serve(engine, setting, options, keys, metrics)
          engine.sources.start()
          process.stdout.write(`tidewater accepts requests on ${server.url}\n`)
          await aborted(signal)
          log('ending: no more requests are taken, what was taken is committed')
          await server.close()
          await engine.finish()
        })
      } finally {
        process.off('SIGHUP', reload)
        keys.close()
      }
    })
}

/** @throws Fault `invalid` for a port that is none */
async function serve(
  engine: Engine,
  { config }: Setting,
  options: StartOptions,
  keys: KeyFile,
  metrics: Metrics,
): Promise<Server> {
  const port = options.port ?? String(config.http.port ?? process.env['TIDEWATER_PORT'] ?? PORT_DEFAULT)
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535)
    throw new Fault('invalid', `--port: expected a number from 0 to 65535, got "${port}"`)
  return startServer({
    streams: engine.streams,
    objectSources: engine.objectSources,
    clock: engine.clock,
    reader: engine,
    replay: (request) => replayWhileServing(engine, request),
    reextract: (request) => reextractPart(engine, request),
    host: options.host ?? config.http.host,
    port: Number(port),
    keys: keys.current,
    cors: config.http.cors,
    trustProxy: config.http.trustProxy,
    metrics,
    onUnexpected: (error) => log(`unexpected: ${error instanceof Error ? error.stack : messageOf(error)}`),
  })
}

async function keysOf({ config, configDir }: Setting): Promise<KeyFile> {
  const { keysFile } = config.http
  const keys = await KeyFile.open({
    file: keysFile === undefined ? null : path.resolve(configDir, keysFile),
    text: process.env['TIDEWATER_API_KEYS'] ?? '',
    onReload: log,
  })
  return keys.watch()
}

function tell(event: FeedEvent): void {
  switch (event.kind) {
    case 'committed': {
      const { table, rowsWritten, rowsRemoved, elapsedMs, oldestMs, waitingEntries } = event.report
      const age = oldestMs === null ? '' : `; its oldest record came ${(oldestMs / 1000).toFixed(1)} s before`
      log(
        `committed ${table}: ${rowsWritten} rows written, ${rowsRemoved} removed, ${elapsedMs} ms${age}; ${waitingEntries} entries wait`,
      )
      return
    }
    case 'stalled':
      log(`${event.table} waits ${event.retryInMs} ms: ${event.fault.message}`)
      return
    case 'upkeep-failed':
      log(`upkeep of ${event.table} waits ${event.retryInMs} ms, commits go on: ${event.fault.message}`)
      return
    case 'unchanged':
    case 'upkeep':
      return
  }
}

function log(text: string): void {
  process.stderr.write(`${new Date().toISOString()} ${text}\n`)
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((done) => signal.addEventListener('abort', () => done(), { once: true }))
}
