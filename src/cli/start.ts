/** `tidewater start`: everything that the configuration names, until it is told to end. */
import path from 'node:path'
import { type Command, Option } from 'commander'
import { loadConfig } from '../app/config-file.ts'
import type { AskedAgain, Engine } from '../app/engine.ts'
import { awaitWarehouse, lookOutside, type Reach } from '../app/reach.ts'
import { ReconcileSchedule, reconcileLine } from '../app/reconcile-schedule.ts'
import { reextractPart } from '../app/reextract.ts'
import { replayWhileServing } from '../app/replay.ts'
import { s3Place } from '../app/warehouse.ts'
import { Fault, messageOf } from '../base/fault.ts'
import { type BucketHolds, KeyFile, Metrics, PORT_DEFAULT, type Server, startServer } from '../http/http.ts'
import type { FeedEvent } from '../table/table.ts'
import { type HomeOptions, homeOption, interruptSignal, type Setting, settingOf, withEngine } from './common.ts'
import { ConfigWatch } from './config-watch.ts'
import { LOG_FORMATS, type LogFormat, StartLog } from './start-log.ts'

interface StartOptions extends HomeOptions {
  host?: string
  port?: string
  logFormat: LogFormat
}

export function addStart(program: Command): void {
  homeOption(program.command('start'))
    .description('serve everything that is configured, until Ctrl-C or SIGTERM')
    .option('--host <name>', 'address to listen on (default: http.host, or 127.0.0.1)')
    .option('--port <n>', 'port to listen on, 0 for a free one (default: http.port, TIDEWATER_PORT, or 8321)')
    .addOption(
      new Option('--log-format <format>', 'what is told on standard error: sentences, or one JSON object on each line')
        .choices(LOG_FORMATS)
        .default('text'),
    )
    .addHelpText(
      'after',
      `
Examples:
  tidewater start
  tidewater start --home /var/lib/tidewater --port 9000

Prints one line on standard output when it takes requests. When it is told to end, it answers what is under way, commits what it
has taken, and ends with exit code 0. A warehouse on S3 that does not answer is waited for, ten minutes at most. API keys: http.keysFile, and the variable TIDEWATER_API_KEYS; the file is read again when it
changes, and on SIGHUP. So is the configuration file: other content columns are added and filled while everything goes on;
what else has changed is named, and taken at the next start.`,
    )
    .action(async (options: StartOptions) => {
      const setting = await settingOf(options, true)
      const log = new StartLog({
        format: options.logFormat,
        write: (line) => process.stderr.write(line),
        nowMs: () => Date.now(),
        holdsOf: (bucket) => holdsOf(setting.config, bucket),
      })
      const keys = await keysOf(setting, log)
      let isLooking = true
      const metrics = new Metrics({
        ofProcess: true,
        // That the warehouse does not answer is told by the look at it.
        onBucket: (turn) => {
          if (!isLooking) log.bucket(turn)
        },
      })
      const signal = interruptSignal()
      for (const note of setting.notes) log.tell('info', 'note', note)
      const onEvent = (event: FeedEvent) => {
        metrics.feed(event)
        log.feed(event)
      }
      let config: ConfigWatch | null = null
      const reload = () => {
        void keys.reload()
        void config?.reload()
      }
      process.on('SIGHUP', reload)
      try {
        if (!(await look(setting, metrics, log, signal))) return
        isLooking = false
        const onNotice = (text: string) => log.tell('warn', 'notice', text)
        const onAskedAgain = (event: AskedAgain) => {
          metrics.askedAgain(event)
          log.askedAgain(event)
        }
        await withEngine({ ...setting, onEvent, onNotice, onAskedAgain, onRequest: metrics.s3 }, async (engine) => {
          const { rows } = engine.filled
          if (rows > 0)
            log.tell('info', 'content-columns', `${rows} rows had their new columns filled from their metadata`, {
              rows,
            })
          engine.start((fault, retryInMs) => {
            metrics.logStalled()
            log.waits('log-stalled', `waiting ${retryInMs} ms: ${fault.message}`, fault, retryInMs)
          })
          engine.objectSources.start()
          const reconciles = await ReconcileSchedule.open(engine, {
            onNotice,
            onEvent: (event) => {
              metrics.reconciled(event)
              log.tell(event.kind === 'failed' ? 'warn' : 'info', `reconcile-${event.kind}`, reconcileLine(event), {
                bucket: event.bucket,
              })
            },
          })
          const server = await serve(engine, setting, options, keys, metrics, log)
          engine.sources.start()
          config = await watchConfig(engine, setting, log)
          reconciles.start()
          process.stdout.write(`tidewater accepts requests on ${server.url}\n`)
          await aborted(signal)
          log.tell('info', 'ending', 'ending: no more requests are taken, what was taken is committed')
          await server.close()
          await config.close()
          await reconciles.stop()
          await engine.finish()
          log.tell('info', 'ended', 'ended: everything that was taken is committed')
        })
      } finally {
        process.off('SIGHUP', reload)
        keys.close()
      }
    })
}

/**
 * Tells of what cannot be reached, each as soon as it is known, and waits for nothing but the warehouse.
 * @returns false: the server was told to end while it waited
 * @throws Fault `unavailable` for a warehouse that would not do
 */
async function look(setting: Setting, metrics: Metrics, log: StartLog, signal: AbortSignal): Promise<boolean> {
  const options = { ...setting, onRequest: metrics.s3 }
  let waited = false
  const onOutage = (outages: readonly Reach[]) => {
    waited = true
    for (const found of outages) log.reach(found)
  }
  const warehouse = await awaitWarehouse(options, { signal, onOutage })
  if (warehouse === null) {
    log.tell('info', 'ended', 'ended before the warehouse answered: nothing was taken')
    return false
  }
  if (waited) log.tell('info', 'warehouse-answers', 'the warehouse answers: the start goes on')
  for (const found of warehouse) log.reach(found)
  void lookOutside(options, (found) => log.reach(found))
  return true
}

/** The bucket of the warehouse is one of objects too where it is named as one. */
function holdsOf({ warehouse, objects }: Setting['config'], bucket: string): BucketHolds {
  if (warehouse.location === undefined || s3Place(warehouse.location)?.bucket !== bucket) return 'objects'
  return Object.hasOwn(objects.buckets, bucket) ? 'both' : 'tables'
}

function watchConfig(engine: Engine, { config, configFile, configDir }: Setting, log: StartLog): Promise<ConfigWatch> {
  return ConfigWatch.open({
    file: configFile,
    running: config,
    load: async (stamp) => (await loadConfig(configFile ?? undefined, configDir, stamp)).config,
    remap: (next) => engine.remap(next),
    tell: (level, event, message, facts) => log.tell(level, event, message, facts),
  })
}

/** @throws Fault `invalid` for a port that is none */
async function serve(
  engine: Engine,
  { config }: Setting,
  options: StartOptions,
  keys: KeyFile,
  metrics: Metrics,
  log: StartLog,
): Promise<Server> {
  const port = options.port ?? String(config.http.port ?? process.env['TIDEWATER_PORT'] ?? PORT_DEFAULT)
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535)
    throw new Fault('invalid', `--port: expected a number from 0 to 65535, got "${port}"`)
  return startServer({
    streams: engine.streams,
    objectSources: engine.objectSources,
    waitingObjects: () => engine.objects.waiting(),
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
    onUnexpected: (error) =>
      log.tell('error', 'unexpected', `unexpected: ${error instanceof Error ? error.stack : messageOf(error)}`),
  })
}

async function keysOf({ config, configDir }: Setting, log: StartLog): Promise<KeyFile> {
  const { keysFile } = config.http
  const keys = await KeyFile.open({
    file: keysFile === undefined ? null : path.resolve(configDir, keysFile),
    text: process.env['TIDEWATER_API_KEYS'] ?? '',
    onReload: (text) => log.tell('info', 'api-keys', text),
  })
  return keys.watch()
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((done) => signal.addEventListener('abort', () => done(), { once: true }))
}
