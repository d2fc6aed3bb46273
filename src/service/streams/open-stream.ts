/** One stream made ready: log, memory, tables and steps, or nothing of it. */
import type { Log } from '../../log/log.ts'
import type { Backlog } from './backlog.ts'
import type { StreamDefinition } from './definition.ts'
import { streamLogName } from './destination.ts'
import { Destinations, type SharedParts } from './destinations.ts'
import type { MemoryFile } from './memory.ts'
import { closePipeline, openPipeline, type PipelineDeps, type PipelineStep } from './pipeline.ts'
import { Progress } from './progress.ts'
import { Repetitions } from './repetitions.ts'
import type { SourceStatus } from './sources/sources.ts'
import { Stream } from './stream.ts'
import type { TableOwners } from './table-owners.ts'
import { resolveModule } from './transform/load.ts'

export interface OpenStreamOptions extends SharedParts {
  openLog: (name: string) => Promise<Log>
  memory: MemoryFile
  backlog: Backlog
  owners: TableOwners
  configDir: string
  notice: (text: string) => void
  /** What brings records to a stream by itself. */
  sources: (stream: string) => SourceStatus[]
  /** Default: the steps that the settings name. */
  openSteps?: typeof openPipeline
}

export interface KnownStream {
  definition: StreamDefinition
  createdMs: number
  /** The configuration names it. */
  configured: boolean
}

/**
 * Opens a stream: its log, what it remembers, its tables. Commits begin with `destinations.follow`.
 * @throws Fault: nothing is left open
 */
export async function openStream(
  options: OpenStreamOptions,
  { definition, createdMs, configured }: KnownStream,
): Promise<Stream> {
  const { name } = definition
  const { memory, backlog, owners, deadLetters, clock } = options
  owners.claim(definition.table, name)
  const log = await options.openLog(streamLogName(name)).catch((error: unknown) => {
    owners.releaseAll(name)
    throw error
  })
  const progress = new Progress()
  const at: { stream: Stream | null } = { stream: null }
  let destinations: Destinations | null = null
  let steps: PipelineStep[] = []
  try {
    steps = await stepsOf(options, definition, {
      configured,
      known: () => destinations?.all.map(({ table }) => table) ?? [],
    })
    const seen = new Set<string>()
    const repetitions = await Repetitions.open(memory, name, log, (table) => seen.add(table))
    destinations = new Destinations({
      ...options,
      stream: name,
      log,
      memory,
      repetitions,
      definition: () => at.stream?.definition ?? definition,
      claim: (table) => owners.claim(table, name),
      release: (table) => owners.release(table),
      oldestAtMs: () => progress.oldestAtMs,
      onMoved: () => {
        if (at.stream !== null) progress.reach(at.stream.parts.destinations.position)
      },
      onEvent: (event) => {
        if (event.kind === 'committed') at.stream?.committed()
        options.onEvent(event)
      },
    })
    await destinations.start(seen)
    const sources = () => options.sources(name)
    const parts = { log, destinations, repetitions, deadLetters, progress, backlog, clock, sources }
    at.stream = new Stream(definition, createdMs, parts, steps, memory.notes(name).version)
    await at.stream.measure()
    return at.stream
  } catch (error) {
    if (at.stream !== null) await at.stream.close()
    else {
      await destinations?.close()
      await closePipeline(steps)
      await log.close()
    }
    owners.releaseAll(name)
    throw error
  }
}

/** The steps that a stream's settings name. @throws Fault `invalid`, `unavailable` */
export function stepsOf(
  { clock, configDir, notice, owners, openSteps = openPipeline }: OpenStreamOptions,
  definition: StreamDefinition,
  { configured, known }: { configured: boolean; known: PipelineDeps['known'] },
): Promise<PipelineStep[]> {
  const deps: PipelineDeps = {
    clock,
    notice,
    resolveModule: (module) => resolveModule(module, configDir, configured),
    isTaken: (table) => owners.other(table, definition.name) !== null,
    known,
  }
  return openSteps(definition, deps)
}
