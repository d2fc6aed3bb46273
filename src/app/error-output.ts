/** Refused records as objects: which stream wants them, and where. */
import path from 'node:path'
import type { Clock } from '../base/clock.ts'
import type { Fault } from '../base/fault.ts'
import type { Log } from '../log/log.ts'
import type { StoredLetter } from '../service/deadletter/deadletter.ts'
import { ErrorOutput, type ErrorTarget } from '../service/deadletter/error-output.ts'
import { type Streams, streamLogName } from '../service/streams/streams.ts'
import { openFileStore } from '../store/file.ts'
import type { Home } from './home.ts'

export interface ErrorOutputSetting {
  home: Home
  /** Folder that `errorOutput.directory` starts from. */
  configDir: string
  streams: Streams
  /** Names of streams that the configuration has. */
  configured: ReadonlySet<string>
  /** The dead letters'. */
  log: Log
  clock: Clock
  onStalled: (fault: Fault, retryInMs: number) => void
  onPassed: () => Promise<void>
}

/** @throws Fault `unavailable` */
export function openErrorOutput(setting: ErrorOutputSetting): ErrorOutput {
  const { home, log, clock, onStalled, onPassed } = setting
  return new ErrorOutput({
    log,
    clock,
    path: home.statePath('error-output.db'),
    targetOf: (letter) => targetOf(setting, letter),
    openStore: (directory) => openFileStore({ root: directory, create: true }),
    onStalled,
    onPassed,
  })
}

function targetOf(
  { home, configDir, streams, configured }: ErrorOutputSetting,
  letter: StoredLetter,
): ErrorTarget | null {
  if (letter.stage !== 'record' && letter.stage !== 'commit') return null
  const own = (name: string) => (letter.stage === 'record' ? name : streamLogName(name)) === letter.stream
  const stream = streams.list().find(({ name }) => own(name))
  if (stream === undefined) return null
  const { errorOutput, errorOutputPrefix } = stream.definition
  const prefix = errorOutput?.prefix ?? errorOutputPrefix
  if (prefix === undefined) return null
  const named = configured.has(stream.name) ? errorOutput?.directory : undefined
  return {
    stream: stream.name,
    version: stream.version,
    // Not the stream's name alone, which may be "..".
    directory:
      named === undefined
        ? path.join(home.dir, 'error-output', streamLogName(stream.name))
        : path.resolve(configDir, named),
    prefix,
  }
}
