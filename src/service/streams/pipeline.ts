/**
 * What happens to the records of a request before they become rows: steps, each over all records, one after the other.
 *
 * A step changes records in place. One that it sets an outcome on is passed over by the steps after it: `dropped` leaves it out,
 * `failed` makes it a dead letter with the bytes as they came. A step that throws fails the whole request, which may then be
 * sent again: nothing of it was taken.
 */
import type { Clock } from '../../base/clock.ts'
import type { StreamDefinition } from './definition.ts'
import { enrichStep } from './enrich/enrich.ts'
import type { RecordObject, RecordProblem } from './record.ts'
import type { Operation } from './request.ts'
import { RouteStep } from './route/route.ts'
import { scalarRules } from './scalar-settings.ts'
import { TransformStep } from './transform/transform.ts'
import { validateStep } from './validate/validate.ts'

/** Where a request came from. */
export interface RecordOrigin {
  /** Arrival, ms since 1970. */
  readonly receivedMs: number
  readonly ip: string | null
  readonly userAgent: string | null
}

export interface PipelineRecord {
  /** Place in the request. */
  readonly index: number
  /** As it came, or as a transform function gave it. */
  data: Uint8Array
  /** Parsed when a step needed it; null: not parsed yet. */
  value: RecordObject | null
  /** `value` differs from `data`: `data` is not to be taken as the row. */
  changed: boolean
  /** `namespace.name` of the table that it goes to. */
  destination: string
  operation: Operation | undefined
  outcome: null | { kind: 'dropped' } | { kind: 'failed'; problem: RecordProblem }
}

export interface PipelineStep {
  readonly name: string
  run(batch: readonly PipelineRecord[], origin: RecordOrigin): Promise<void> | void
  close?(): Promise<void>
}

/** What steps need of their surroundings. */
export interface PipelineDeps {
  clock: Clock
  /** The absolute path of a function's file. @throws Fault `invalid` when it is not there, or not allowed */
  resolveModule: (module: string) => Promise<string>
  /** Is a table written by something else? */
  isTaken: (destination: string) => boolean
  /** Tables that the stream writes already. */
  known: () => Iterable<string>
  /** What the operator should know of a stream, now and then. */
  notice: (text: string) => void
}

/**
 * The steps of a stream, in their order: transform, validate, enrich, route.
 * @throws Fault `invalid` (a function that cannot be used), `unavailable` (no worker starts)
 */
export async function openPipeline(definition: StreamDefinition, deps: PipelineDeps): Promise<PipelineStep[]> {
  const { name, table, transform, validate, enrich, route, operationField } = definition
  // Before the workers of a function: what is wrong with these leaves none behind.
  const checks: PipelineStep[] = []
  if (validate !== undefined) checks.push(validateStep(validate, operationField))
  if (enrich !== undefined)
    checks.push(enrichStep(enrich, { env: process.env, scalars: scalarRules(definition), operationField }))
  const steps: PipelineStep[] = []
  const { isTaken, known, clock, notice } = deps
  if (transform?.module !== undefined) {
    const module = await deps.resolveModule(transform.module)
    steps.push(await TransformStep.open({ stream: name, settings: transform, module, clock, notice }))
  }
  steps.push(...checks)
  if (transform?.module !== undefined || route !== undefined)
    steps.push(new RouteStep({ table, settings: route, isTaken, known }))
  return steps
}

/** Ends what the steps hold. */
export async function closePipeline(steps: readonly PipelineStep[]): Promise<void> {
  for (const step of steps) await step.close?.()
}

/** Runs the steps over the records that have no outcome yet. */
export async function runPipeline(
  steps: readonly PipelineStep[],
  batch: readonly PipelineRecord[],
  origin: RecordOrigin,
): Promise<void> {
  for (const step of steps) {
    const open = batch.filter((record) => record.outcome === null)
    if (open.length === 0) return
    await step.run(open, origin)
  }
}
