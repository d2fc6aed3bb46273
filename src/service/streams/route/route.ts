/**
 * The step that says which table each record goes to, by expressions over the record, and that holds every destination, also
 * those that a transform function gave, to the tables that a stream may write.
 *
 * A record whose destination cannot be told, or is not allowed, becomes a dead letter; it never goes to another table instead.
 */
import type { Json } from '../../../base/json.ts'
import type { PipelineRecord, PipelineStep } from '../pipeline.ts'
import { NumberText, type RecordProblem, type RecordProblemCode, type RecordValue, readRecord } from '../record.ts'
import { destinationOf, readTarget } from '../transform/target.ts'
import { type Condition, compileCondition } from './condition.ts'
import { compileExpression, type Expression } from './expression.ts'
import { type RouteRule, type RouteSettings, routeSettings } from './settings.ts'

export interface RouteOptions {
  /** The stream's own table: records go there unless something says otherwise. */
  table: string
  /** Absent: records go where a transform function sent them, within the bounds of the defaults. */
  settings: RouteSettings | undefined
  /** Is a table written by something else? */
  isTaken?: (destination: string) => boolean
  /** Tables that the stream writes already, its own among them. */
  known?: () => Iterable<string>
}

/** Tables of our own are written by nobody else. */
const OWN = /^tidewater\./i

type Member = 'database' | 'table' | 'operation'

interface Rule {
  when: Condition
  drop: boolean
  members: { member: Member; text: string; expression: Expression }[]
}

export class RouteStep implements PipelineStep {
  readonly name = 'route'
  readonly #table: string
  readonly #settings: RouteSettings
  readonly #rules: Rule[]
  readonly #allowed: RegExp | null
  readonly #options: RouteOptions

  constructor(options: RouteOptions) {
    this.#options = options
    this.#table = options.table
    this.#settings = options.settings ?? routeSettings.parse({})
    const { rules, database, table, operation, destinations } = this.#settings
    const last = { database, table, operation, drop: false }
    const hasLast = database !== undefined || table !== undefined || operation !== undefined
    this.#rules = [...rules, ...(hasLast ? [last] : [])].map(compileRule)
    this.#allowed = destinations === undefined ? null : patternOf(destinations)
  }

  run(batch: readonly PipelineRecord[]): void {
    const checked = new Map<string, RecordProblem | null>()
    for (const record of batch) {
      // A function that sent the record elsewhere has the say.
      if (record.destination === this.#table) this.#route(record)
      const { destination } = record
      if (record.outcome !== null || destination === this.#table) continue
      let problem = checked.get(destination)
      if (problem === undefined) {
        problem = this.#check(destination, checked)
        checked.set(destination, problem)
      }
      if (problem !== null) record.outcome = { kind: 'failed', problem }
    }
  }

  #route(record: PipelineRecord): void {
    if (this.#rules.length === 0 && this.#settings.otherwise === 'table') return
    const document = documentOf(record)
    if (document === null) return
    const rule = this.#rules.find(({ when }) => when(document))
    if (rule === undefined) {
      if (this.#settings.otherwise === 'drop') record.outcome = { kind: 'dropped' }
      if (this.#settings.otherwise === 'dead-letter') fail(record, 'Unroutable', 'no routing rule holds for the record')
      return
    }
    if (rule.drop) {
      record.outcome = { kind: 'dropped' }
      return
    }
    const said: { [member in Member]?: string } = {}
    for (const { member, text, expression } of rule.members) {
      const value = expression.read(document)
      if (value === null) {
        fail(record, 'Unroutable', `expected one text as ${member} by ${text}, and the record has none there`)
        return
      }
      said[member] = value
    }
    const target = readTarget(said)
    if (!target.ok) fail(record, target.code, target.message)
    else if (target.to !== null) {
      record.destination = destinationOf(record.destination, target.to)
      record.operation ??= target.to.operation
    }
  }

  /** @param checked what this batch goes to already */
  #check(destination: string, checked: ReadonlyMap<string, RecordProblem | null>): RecordProblem | null {
    const { isTaken, known } = this.#options
    const refused = (message: string): RecordProblem => ({ code: 'DestinationNotAllowed', message })
    if (OWN.test(destination) || isTaken?.(destination) === true)
      return refused(`table ${destination} is written by another service or stream`)
    if (this.#allowed !== null && !this.#allowed.test(destination))
      return refused(`table ${destination} is not among route.destinations`)
    const all = new Set(known?.())
    if (all.has(destination)) return null
    for (const [table, problem] of checked) if (problem === null) all.add(table)
    all.add(this.#table)
    const { destinationsMax } = this.#settings
    if (all.size < destinationsMax) return null
    const message = `table ${destination} would be one more than route.destinationsMax (${destinationsMax})`
    return { code: 'TooManyDestinations', message }
  }
}

function compileRule({ when, drop, ...target }: Omit<RouteRule, 'when'> & { when?: string | undefined }): Rule {
  return {
    when: when === undefined ? () => true : compileCondition(when),
    drop,
    members: (['database', 'table', 'operation'] as const).flatMap((member) => {
      const text = target[member]
      return text === undefined ? [] : [{ member, text, expression: compileExpression(text) }]
    }),
  }
}

/** `*` stands for a part of a name, not for a dot. */
function patternOf(tables: readonly string[]): RegExp {
  const parts = tables.map((table) => table.replaceAll('.', '\\.').replaceAll('*', '[^.]*'))
  return new RegExp(`^(?:${parts.join('|')})$`)
}

function fail(record: PipelineRecord, code: RecordProblemCode, message: string): void {
  record.outcome = { kind: 'failed', problem: { code, message: message.slice(0, 500) } }
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** The record as plain JSON; null when it is none, which is then its outcome. */
function documentOf(record: PipelineRecord): Json | null {
  if (record.value !== null) return plain(record.value)
  try {
    const document = JSON.parse(utf8.decode(record.data)) as Json
    if (typeof document === 'object' && document !== null && !Array.isArray(document)) return document
  } catch {
    // Told below, in the words that records are told in.
  }
  const read = readRecord(record.data)
  if (!read.ok) {
    record.outcome = { kind: 'failed', problem: read.problem }
    return null
  }
  return plain(read.value)
}

function plain(value: RecordValue): Json {
  if (value instanceof NumberText) return Number(value.text)
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, plain(member)]))
}
