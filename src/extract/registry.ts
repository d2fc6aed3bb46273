/**
 * Which extractors there are, and running them on one object. Facts are merged at the top level in the order of
 * registration, a later extractor's member replacing an earlier one's, except that objects of built-in extractors become one
 * (`phash` adds to `image`); `_truncated` lists are joined. One extractor's
 * failure becomes a fault and takes nothing from the others, with one exception: when the object turns out to be another
 * than the one that was asked for, nothing that was read of it may be stored.
 */
import { Fault, isFault, messageOf } from '../base/fault.ts'
import type { Json } from '../base/json.ts'
import { archiveExtractor } from './archive-extractor.ts'
import { canonical, canonicalBounds, canonicalFacts, type Facts, TRUNCATED } from './canonical.ts'
import { exifExtractor } from './exif-extractor.ts'
import {
  type ExtractFault,
  type Extraction,
  type Extractor,
  type ExtractorVersions,
  type ExtractSubject,
  isRefusal,
} from './extract.ts'
import { fitting } from './fact-check.ts'
import { imageExtractor } from './image-extractor.ts'
import { mediaExtractor } from './media-extractor.ts'
import { officeExtractor } from './office-extractor.ts'
import { pdfExtractor, pdfTextExtractor } from './pdf-extractor.ts'
import { blurhashExtractor, phashExtractor } from './pixel-extractors.ts'
import { sniff } from './sniff.ts'
import type { BoundedSource } from './source.ts'
import { tableExtractor } from './table-extractor.ts'

/** Readers of our own, which neither hang nor crash: they run together. */
const SWIFT: readonly Extractor[] = [imageExtractor, exifExtractor]

/** Built on libraries that parse what strangers wrote: each runs with a time and a memory of its own, as the operator's do. */
const FOREIGN: readonly Extractor[] = [
  pdfExtractor,
  pdfTextExtractor,
  officeExtractor,
  mediaExtractor,
  archiveExtractor,
  tableExtractor,
  phashExtractor,
  blurhashExtractor,
]

/** The extractors that are part of Tidewater, in order. */
export const builtinExtractors: readonly Extractor[] = [...SWIFT, ...FOREIGN]

/** Those that run only when they are asked for: they decode pixels. */
const OFF_BY_DEFAULT: ReadonlySet<string> = new Set(['phash', 'blurhash'])

export const defaultExtractors: readonly Extractor[] = builtinExtractors.filter(({ name }) => !OFF_BY_DEFAULT.has(name))

/** True for those whose death must cost the object nothing but their own facts. */
export function runsAlone(extractor: Extractor): boolean {
  return !SWIFT.includes(extractor)
}

/**
 * The built-in extractors that are to run, in their order: a list names them, an object turns single ones on or off.
 * @throws Fault `invalid` for a name that none has
 */
export function chosenExtractors(
  choice: readonly string[] | { readonly [name: string]: boolean | undefined } = {},
): readonly Extractor[] {
  const isList = Array.isArray(choice)
  const names: readonly string[] = isList ? choice : Object.keys(choice)
  const unknown = names.find((name) => !builtinExtractors.some((extractor) => extractor.name === name))
  if (unknown !== undefined) {
    const known = builtinExtractors.map(({ name }) => name).join(', ')
    throw new Fault('invalid', `There is no built-in extractor "${unknown}": expected some of ${known}.`)
  }
  if (isList) return builtinExtractors.filter(({ name }) => names.includes(name))
  const switches = choice as { readonly [name: string]: boolean | undefined }
  return builtinExtractors.filter((extractor) => switches[extractor.name] ?? defaultExtractors.includes(extractor))
}

/** What one extractor gave for one object. */
export interface Outcome {
  extractor: string
  facts: Facts
  /** No fewer than the bytes of the facts as JSON. */
  bytesAtMost: number
  faults: ExtractFault[]
}

/** Subject without what only the bytes can tell. */
export type SubjectFields = Omit<ExtractSubject, 'sniffed'>

const KINDS = new Set([
  'empty',
  'truncated',
  'invalid',
  'limit',
  'timeout',
  'crash',
  'superseded',
  'missing',
  'unavailable',
])

/** A thrown value as an extraction fault. Failures of reading are told under `read`, whoever was reading. */
export function faultOf(extractor: string, error: unknown): ExtractFault {
  const message = messageOf(error).slice(0, 500).toWellFormed().replaceAll('\0', '\ufffd')
  if (!isFault(error)) return { extractor, kind: 'crash', message }
  switch (error.kind) {
    case 'superseded':
      return { extractor: 'read', kind: 'superseded', message }
    case 'not-found':
      return { extractor: 'read', kind: 'missing', message }
    case 'unavailable':
    case 'cancelled':
      return { extractor: 'read', kind: 'unavailable', message, ...(isRefusal(error) && { isRefused: true }) }
    case 'limit':
      return { extractor, kind: 'limit', message }
    default: {
      const reason = error.facts['reason']
      return { extractor, kind: typeof reason === 'string' && KINDS.has(reason) ? reason : 'invalid', message }
    }
  }
}

/** The outcome of an extractor that threw. */
export function failed(extractor: string, error: unknown): Outcome {
  return { extractor, facts: {}, bytesAtMost: 2, faults: [faultOf(extractor, error)] }
}

/** Runs one extractor; never rejects. */
export async function runExtractor(
  extractor: Extractor,
  subject: ExtractSubject,
  source: BoundedSource,
): Promise<Outcome | null> {
  const { name } = extractor
  try {
    if (!extractor.appliesTo(subject)) return null
    if (subject.sizeBytes === 0 && builtinExtractors.includes(extractor)) throw emptyFault()
    const { facts, bytesAtMost } = canonical(await extractor.extract(subject, source))
    return { extractor: name, bytesAtMost, ...fitting(extractor, facts) }
  } catch (error) {
    return failed(name, error)
  }
}

function emptyFault(): Fault {
  return new Fault('corrupt', 'empty: the object has no bytes', { reason: 'empty' })
}

/** Finds out what the object is. Rejects with the reader's fault. */
export async function sniffSubject(fields: SubjectFields, source: BoundedSource): Promise<ExtractSubject> {
  return { ...fields, sniffed: fields.sizeBytes === 0 ? null : await sniff(await source.head(), fields.sizeBytes) }
}

/** Joins outcomes, in order. @param known name and version of the extractors that there are */
export function mergeOutcomes(
  outcomes: readonly Outcome[],
  bytesRead: number,
  known: readonly { name: string; version: number }[],
): Extraction {
  const faults: ExtractFault[] = []
  const metadata: Facts = {}
  const truncated: Json[] = []
  for (const outcome of outcomes) {
    for (const fault of outcome.faults) {
      const isKnown = faults.some((known) => known.extractor === fault.extractor && known.kind === fault.kind)
      if (fault.extractor !== 'read' || !isKnown) faults.push(fault)
    }
    const joins = isBuiltin(outcome.extractor)
    for (const [key, value] of Object.entries(outcome.facts)) {
      const before = joins && Object.hasOwn(metadata, key) ? metadata[key] : undefined
      if (key === TRUNCATED && Array.isArray(value)) truncated.push(...value)
      else if (isPlain(before) && isPlain(value)) metadata[key] = { ...before, ...value }
      else if (key !== '__proto__') metadata[key] = value
      else Object.defineProperty(metadata, key, { value, enumerable: true, configurable: true, writable: true })
    }
  }
  if (truncated.length > 0) metadata[TRUNCATED] = truncated
  // Facts of a newer object must not be stored under the older one's etag.
  if (faults.some((fault) => fault.kind === 'superseded')) return { metadata: {}, faults, bytesRead }
  const extractors = versionsOf(outcomes, known)
  const bytesAtMost = outcomes.reduce((sum, outcome) => sum + outcome.bytesAtMost, 0)
  const fits = bytesAtMost <= canonicalBounds.bytesMax
  return {
    metadata: fits ? metadata : canonicalFacts(metadata),
    faults,
    bytesRead,
    ...(faults.some(({ extractor }) => extractor === 'read') ? {} : { extractors }),
  }
}

function versionsOf(
  outcomes: readonly Outcome[],
  known: readonly { name: string; version: number }[],
): ExtractorVersions {
  const applied = new Set(outcomes.map(({ extractor }) => extractor))
  return Object.fromEntries(known.flatMap(({ name, version }) => (applied.has(name) ? [[name, version]] : [])))
}

function isBuiltin(name: string): boolean {
  return builtinExtractors.some((extractor) => extractor.name === name)
}

function isPlain(value: Json | undefined): value is Facts {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** All extractors on one object, in this thread and without a time limit: for tests, tools and the workers' inner loop. */
export async function extractFacts(
  fields: SubjectFields,
  source: BoundedSource,
  extractors = defaultExtractors,
): Promise<Extraction> {
  const outcomes: Outcome[] = []
  try {
    const subject = await sniffSubject(fields, source)
    for (const extractor of extractors) {
      const outcome = await runExtractor(extractor, subject, source)
      if (outcome !== null) outcomes.push(outcome)
    }
  } catch (error) {
    outcomes.push(failed('read', error))
  }
  return mergeOutcomes(outcomes, source.bytesRead, extractors)
}
