/**
 * The step that adds what web analytics asks of every event: when it arrived, from which kind of browser, from which network,
 * whether its clock can be believed, where it came from, and an id. Each fact is a pure function of the record and its origin.
 *
 * The id is made first, of the record as it came. Deletes name a key and are passed over; what is no record is left to the
 * conversion, which says so. Addresses are never written as they are: what cannot be read as one becomes null.
 */
import { Fault } from '../../../base/fault.ts'
import type { PipelineRecord, PipelineStep, RecordOrigin } from '../pipeline.ts'
import { NumberText, type RecordObject, type RecordValue, readRecord } from '../record.ts'
import type { ScalarRules } from '../scalar.ts'
import { hashAddress, truncateAddress } from './address.ts'
import { clockFacts, isoText } from './clock.ts'
import { mintEventId } from './event-id.ts'
import { hostOf, queryOf } from './page.ts'
import type { EnrichSettings } from './settings.ts'
import { UserAgents } from './user-agent.ts'

export interface EnrichParts {
  /** Where secrets are. */
  env: Readonly<Record<string, string | undefined>>
  /** How the stream reads times. */
  scalars: ScalarRules
  operationField?: string | undefined
}

/** Adds facts to a record in place. */
type Enrich = (record: RecordObject, origin: RecordOrigin) => void

/** @throws Fault `invalid` when the secret is not in the environment */
export function enrichStep(settings: EnrichSettings, parts: EnrichParts): PipelineStep {
  const enrichers = enrichersOf(settings, parts)
  return {
    name: 'enrich',
    run: (batch, origin) => {
      for (const record of batch) {
        const value = parsed(record)
        if (value === null || isDelete(record, value, parts.operationField)) continue
        for (const enrich of enrichers) enrich(value, origin)
        record.changed = true
      }
    },
  }
}

function enrichersOf(settings: EnrichSettings, parts: EnrichParts): Enrich[] {
  const { receivedAt, eventId, userAgent, ip, clock, referrer, query } = settings
  const all: Enrich[] = []
  if (eventId !== undefined) all.push(eventIdOf(eventId, parts.operationField))
  // Before the address and the header are replaced under the same names.
  if (userAgent !== undefined) all.push(userAgentOf(userAgent))
  if (ip !== undefined) all.push(addressOf(ip, parts.env))
  if (clock !== undefined) all.push(clockOf(clock, parts.scalars))
  if (referrer !== undefined) {
    all.push((record) => {
      record[referrer.column] = hostOf(textOf(record, referrer.from) ?? '')
    })
  }
  if (query !== undefined) {
    const names = Object.keys(query.columns)
    all.push((record) => {
      const found = queryOf(textOf(record, query.from) ?? '', names)
      for (const [at, name] of names.entries()) record[query.columns[name]!] = found[at]!
    })
  }
  if (receivedAt !== undefined) {
    // One text for all records of a request.
    let last = { ms: Number.NaN, text: '' }
    all.push((record, { receivedMs }) => {
      if (last.ms !== receivedMs) last = { ms: receivedMs, text: isoText(receivedMs) }
      record[receivedAt] = last.text
    })
  }
  return all
}

function eventIdOf(
  { column, client, fields }: NonNullable<EnrichSettings['eventId']>,
  operationField: string | undefined,
): Enrich {
  return (record) => {
    if ((member(record, column) ?? null) !== null) return
    // An insert and its repetition as an update are the same event.
    const { [operationField ?? '']: _operation, [column]: _none, ...content } = record
    record[column] = mintEventId(content, fields, client === undefined ? null : (member(record, client) ?? null))
  }
}

function userAgentOf({ from, columns }: NonNullable<EnrichSettings['userAgent']>): Enrich {
  const agents = new UserAgents()
  const facts = Object.entries(columns) as [keyof typeof columns, string][]
  return (record, origin) => {
    const said = agents.facts(from === undefined ? origin.userAgent : textOf(record, from))
    for (const [fact, column] of facts) record[column] = said[fact]
  }
}

function addressOf(settings: NonNullable<EnrichSettings['ip']>, env: EnrichParts['env']): Enrich {
  const { from, column, as, v4Bits, v6Bits } = settings
  const secret = addressSecret(settings, env)
  return (record, origin) => {
    const address = from === undefined ? origin.ip : textOf(record, from)
    if (from !== undefined && Object.hasOwn(record, from)) record[from] = null
    if (address === null) record[column] = null
    else
      record[column] =
        as === 'hash' ? hashAddress(address, secret) : truncateAddress(address, { v4: v4Bits, v6: v6Bits })
  }
}

/** What addresses are hashed with; empty: they are not. @throws Fault `invalid` when the environment has none, or a short one */
export function addressSecret(
  { as, secretEnv: name }: Pick<NonNullable<EnrichSettings['ip']>, 'as' | 'secretEnv'>,
  env: EnrichParts['env'],
): string {
  if (as !== 'hash') return ''
  const secret = env[name] ?? ''
  if (secret.length >= 16) return secret
  const got = secret === '' ? 'none' : `${secret.length}`
  throw new Fault(
    'invalid',
    `enrich.ip: expected a secret of 16 characters at least in the environment variable ${name}, got ${got}`,
  )
}

function clockOf(settings: NonNullable<EnrichSettings['clock']>, scalars: ScalarRules): Enrich {
  const { from, clamp, columns } = settings
  return (record, { receivedMs }) => {
    const said = member(record, from) ?? null
    const facts = clockFacts(said, receivedMs, settings, scalars)
    if (columns.skewed !== undefined) record[columns.skewed] = facts === null ? null : facts.skewed
    if (columns.skewMs !== undefined)
      record[columns.skewMs] = facts === null ? null : new NumberText(String(facts.skewMs))
    if (columns.original !== undefined) record[columns.original] = said
    if (clamp && facts?.skewed === true) record[from] = facts.clamped
  }
}

function parsed(record: PipelineRecord): RecordObject | null {
  if (record.value === null) {
    const read = readRecord(record.data)
    if (!read.ok) return null
    record.value = read.value
  }
  return record.value
}

function isDelete(record: PipelineRecord, value: RecordObject, operationField: string | undefined): boolean {
  const said = operationField === undefined ? undefined : member(value, operationField)
  return (record.operation ?? said) === 'delete'
}

function member(record: RecordObject, name: string): RecordValue | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined
}

function textOf(record: RecordObject, name: string): string | null {
  const value = member(record, name)
  return typeof value === 'string' ? value : null
}
