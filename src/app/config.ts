/**
 * Configuration: read once, checked as a whole, every problem reported with its path.
 *
 * One file, `tidewater.config.ts` (default export, see `defineConfig`), or the same as `tidewater.config.yaml`; or the context
 * file of a CDK application with a delivery stream, which may also be named in ours (`cdkContext`).
 * The content columns may also be given with the keys `include_raw_metadata`, `custom_metadata_fields`,
 * `field.<name>.type` and `field.<name>.jpath`.
 */
import { access, readFile } from 'node:fs/promises'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { parse as parseYaml } from 'yaml'
import { z } from 'zod'
import { Fault, messageOf } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { builtinExtractors } from '../extract/registry.ts'
import { parseStream, STREAM_NAME, streamSettings } from '../service/streams/definition.ts'
import { kafkaGroup, sourceSettings } from '../service/streams/sources/settings.ts'
import { isCdkContext, laidOver, readCdkContext } from './cdk-context.ts'
import { isAt, issueText, pathsOf, without } from './config-issues.ts'
import { durationMs } from './duration.ts'
import { objectSourceSettings } from './object-source-settings.ts'
import { secretNotes } from './object-sources.ts'
import { tableProblems } from './object-tables.ts'
import { DEFAULT_CONNECTION, s3Notes, s3Problems } from './s3-connections.ts'
import { warehouseProblems } from './warehouse.ts'

const tableSettings = z.strictObject({
  /** Partition fields, e.g. `day(record_timestamp)` or `bucket(16, key)`. Taken when the table is created. */
  partitioning: z.array(z.string()).default([]),
  /** Sort terms, e.g. `bucket, key`. Taken when the table is created. */
  sortOrder: z.array(z.string()).default([]),
  /** Iceberg table properties, e.g. `write.parquet.compression-codec`. */
  properties: z.record(z.string(), z.string()).default({}),
})

const MiB = 1024 ** 2
const COLUMN_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/
const COLUMN_NAME_RULE = 'expected a column name of letters, digits and _ that does not begin with a digit'

const contentColumn = z.strictObject({ type: z.string(), jpath: z.string() })

const content = z.strictObject({
  includeRawMetadata: z.boolean().default(true),
  /** Column name → type and JSONPath. Absent: labels, image_width, image_height. */
  columns: z.record(z.string().regex(COLUMN_NAME, COLUMN_NAME_RULE), contentColumn).optional(),
})

/** The flat form; its keys `field.<name>.…` are checked by `flatContent`. */
const flatSchema = z.record(
  z.string(),
  z.union([z.string(), z.boolean()], { error: 'expected text, or true or false' }),
)

const BUILTIN: readonly string[] = builtinExtractors.map(({ name }) => name)
/** One problem with all names in it: a union would tell of each of its forms by itself. */
const builtinChoice = z.custom<readonly string[] | { readonly [name: string]: boolean }>(
  (value) =>
    Array.isArray(value)
      ? value.every((name) => BUILTIN.includes(name as string))
      : typeof value === 'object' &&
        value !== null &&
        Object.entries(value).every(([name, isOn]) => BUILTIN.includes(name) && typeof isOn === 'boolean'),
  { error: `expected a list of ${BUILTIN.join(', ')}, or an object with true or false for some of them` },
)

const extractorLimits = z.strictObject({
  timeMs: z.int().min(100).max(600_000).optional(),
  memoryMiB: z.int().min(32).max(65_536).optional(),
  bytesMax: z.int().min(65_536).max(4_294_967_296).optional(),
})

const extractor = z.strictObject({
  /** A file, from the configuration's, or the name of a package that is installed beside it. */
  module: z.string().min(1),
  name: z.string().optional(),
  /** For modules that export `create(options)`. */
  options: z.unknown().optional(),
  /** Its worker threads at most; default: `objects.workers`. */
  workers: z.int().min(1).max(64).optional(),
  /** What it may take for one object. */
  limits: extractorLimits.optional(),
})

function checkEvery(text: string, context: z.RefinementCtx): void {
  const [min, max] = [limits.reconcileEveryMsMin, limits.reconcileEveryMsMax]
  try {
    const everyMs = durationMs(text)
    if (everyMs >= min && everyMs <= max) return
    context.addIssue(`expected between ${min / 60_000}m and ${max / 86_400_000}d, got ${text}`)
  } catch (error) {
    context.addIssue(messageOf(error))
  }
}

const bucket = z.strictObject({
  /** Name of the connection in `s3`. */
  s3: z.string().default(DEFAULT_CONNECTION),
  /** Only objects whose keys begin so. */
  prefix: z.string().default(''),
  /** No objects whose keys begin so. */
  exclude: z
    .array(z.string().min(1, 'expected the beginning of keys, got an empty one, which is that of every key'))
    .max(limits.excludedPrefixesMax)
    .default([]),
  /** What the store is asked of each object beside its bytes: `all`, `head` (all but tags), `none`. */
  describe: z.enum(['all', 'head', 'none']).default('all'),
  /** Compare the bucket with its listing by itself while `tidewater start` runs, and mend what differs. */
  reconcile: z.strictObject({ every: z.string().superRefine(checkEvery) }).optional(),
})

const CONNECTION_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
const three = z.tuple([z.number(), z.number(), z.number()])

const onnx = z.strictObject({
  type: z.literal('onnx'),
  /** The model, and the names of its classes, one a line; paths from the configuration's file. */
  model: z.string().min(1),
  labels: z.string().min(1),
  /** Default: what is installed beside the configuration, the native one first. */
  runtime: z.enum(['onnxruntime-node', 'onnxruntime-web']).optional(),
  maxLabels: z.int().min(1).max(1000).default(3),
  /** Percent. */
  minConfidence: z.number().min(0).max(100).default(10),
  input: z
    .strictObject({
      name: z.string().optional(),
      width: z.int().min(1).max(4096).optional(),
      height: z.int().min(1).max(4096).optional(),
      layout: z.enum(['NCHW', 'NHWC']).optional(),
      colors: z.enum(['RGB', 'BGR']).default('RGB'),
      scale: z.number().default(1 / 255),
      mean: three.default([0.485, 0.456, 0.406]),
      std: three
        .refine((each) => !each.includes(0), 'expected three numbers other than 0')
        .default([0.229, 0.224, 0.225]),
      fit: z.enum(['cover', 'fill', 'contain']).default('cover'),
    })
    .prefault({}),
  output: z
    .strictObject({
      name: z.string().optional(),
      activation: z.enum(['softmax', 'sigmoid', 'none']).default('softmax'),
    })
    .prefault({}),
  workers: z.int().min(1).max(64).default(1),
  limits: extractorLimits.prefault({}),
  /** Raised with another model, to have rows labelled anew by `tidewater reextract`. */
  version: z.int().min(1).default(1),
})

const rekognition = z.strictObject({
  type: z.literal('rekognition'),
  /** Default: as AWS's own tools find it. */
  region: z.string().optional(),
  endpoint: z.string().optional(),
  maxLabels: z.int().min(1).max(1000).default(3),
  /** Percent. */
  minConfidence: z.number().min(0).max(100).default(55),
  /** How the service is told of a picture: by its name in S3, or by its bytes, which is the default. */
  image: z.enum(['s3', 'bytes']).optional(),
  callsPerSecond: z.number().positive().max(1000).default(5),
  callsAtOnce: z.int().min(1).max(limits.labelCallsAtOnceMax).default(4),
  /** The cap on what it costs: pictures beyond it wait. */
  callsPerHourMax: z.int().min(1).max(10_000_000).default(3600),
  /** Raised to have rows labelled anew by `tidewater reextract`. */
  version: z.int().min(1).default(1),
})

const schema = z.strictObject({
  /** Connections to S3 and stores of its protocol, by name: properties as Iceberg's programs have them, see docs/configuration.md. */
  s3: z
    .record(
      z.string().regex(CONNECTION_NAME, 'expected a name of 1 to 64 letters, digits, ".", "_" or "-"'),
      z.record(z.string(), z.union([z.string(), z.boolean()], { error: 'expected text, or true or false' })),
    )
    .default({}),
  /** Where the tables' files are. */
  warehouse: z
    .strictObject({
      /** `s3://bucket/prefix`. Absent: the folder `warehouse` of the home. */
      location: z.string().optional(),
      /** Name of the connection; default: `default`. */
      s3: z.string().optional(),
      /** Bound of the local copies of files on S3. */
      cacheMiB: z.int().min(1024).max(104_857_600).optional(),
    })
    .prefault({}),
  objects: z
    .strictObject({
      content: content.prefault({}),
      schema: flatSchema.optional(),
      /** Buckets of object stores by name; `*`: all that events name and that are not named here. See docs/buckets.md. */
      buckets: z.record(z.string().min(1), bucket).default({}),
      tables: z
        .strictObject({
          content: tableSettings.prefault({}),
          journal: tableSettings.prefault({}),
          inventory: tableSettings.prefault({}),
        })
        .prefault({}),
      /** Which built-in extractors run: a list of names, or single ones turned on or off (`{ pdf: false, phash: true }`). */
      extract: builtinChoice.default({}),
      /** Extractors of your own, after the built-in ones: modules with `appliesTo` and `extract`. Paths from the file. */
      extractors: z.array(extractor).default([]),
      /** What tells of objects by itself, by name, see docs/point-it-at-your-bucket.md. */
      sources: z.record(z.string().regex(STREAM_NAME), objectSourceSettings).default({}),
      /** Labels of pictures, see docs/extractors.md. */
      labels: z.discriminatedUnion('type', [rekognition, onnx]).optional(),
      /** Worker threads for extractors; default: the number of cores. */
      workers: z.int().min(1).max(64).optional(),
    })
    .prefault({}),
  /** The context of a CDK application: its file, from this one, or what is in it. `streams` below lie over its streams. */
  cdkContext: z.union([z.string(), z.looseObject({})]).optional(),
  /** Streams by name, see docs/streams.md. */
  streams: z
    .record(
      z.string().regex(STREAM_NAME, 'expected a stream name of 1 to 64 letters, digits, ".", "_" or "-"'),
      streamSettings,
    )
    .default({}),
  /** What brings records to streams by itself, by name, see docs/streams-sources.md. */
  sources: z.record(z.string().regex(STREAM_NAME), sourceSettings).default({}),
  deadLetters: z
    .strictObject({
      /** Letters that nothing has happened to for so many days are deleted, open ones too; absent: never. */
      keepDays: z.int().min(1).max(36_500).optional(),
    })
    .prefault({}),
  http: z
    .strictObject({
      host: z.string().default('127.0.0.1'),
      port: z.int().min(0).max(65_535).optional(),
      /** Origins that browsers may send from; `*`: all. */
      cors: z.array(z.string()).default([]),
      /** File of API keys, one per line; the variable TIDEWATER_API_KEYS adds to them. Path from the configuration file. */
      keysFile: z.string().optional(),
      /** Addresses or ranges of proxies whose word on a sender's address is taken. */
      trustProxy: z.array(z.string()).default([]),
    })
    .prefault({}),
  limits: z
    .strictObject({
      /** Bound of DuckDB's buffers; the process takes about 300 MiB more. */
      memoryMiB: z.int().min(128).max(1_048_576).default(700),
      threads: z.int().min(1).max(256).optional(),
      /** What of a stream may wait to be committed, beyond which it takes no more for the moment. */
      streamBacklogMiB: z
        .int()
        .min(1)
        .max(limits.streamsBacklogBytesMax / MiB)
        .default(limits.streamBacklogBytesMax / MiB),
      /** How long a commit waits for more entries after the first. */
      commitLingerMs: z.int().min(0).max(60_000).optional(),
    })
    .prefault({}),
})

type StreamInput = z.input<typeof streamSettings>

/** What a configuration file may hold. */
export type ConfigInput = Omit<z.input<typeof schema>, 'streams'> & {
  /** A stream of `cdkContext` needs nothing here; what is here counts before it. */
  streams?: Record<string, StreamInput | Partial<StreamInput>>
}
export type Config = z.output<typeof schema>

/** Types a configuration in `tidewater.config.ts`. */
export function defineConfig(config: ConfigInput): ConfigInput {
  return config
}

/**
 * @param file names the source in messages
 * @param cdkPath of the context in it
 * @throws Fault `invalid` listing every problem with its path
 */
export function parseConfig(input: unknown, file: string, cdkPath = 'cdkContext'): Config {
  const problems: string[] = []
  const { config, issues } = parseShape(withCdkStreams(input ?? {}, cdkPath, problems))
  problems.push(...issues.map(issueText))
  if (config !== null) {
    const wrong = issues.flatMap(pathsOf).map((path) => path.join('.'))
    // Of a setting that was left out for its form, nothing more can be said.
    problems.push(...meaningProblems(config).filter((problem) => !wrong.some((path) => isAt(problem, path))))
  }
  if (config === null || problems.length > 0) throw refused(file, problems)
  return config
}

/**
 * The configuration, and what is wrong with its form. Settings of a wrong form are left out, so that the others can be looked
 * at too; null when nothing is left to look at.
 */
function parseShape(input: unknown): { config: Config | null; issues: z.core.$ZodIssue[] } {
  const first = schema.safeParse(input)
  if (first.success) return { config: first.data, issues: [] }
  const { issues } = first.error
  let rest = without(input, issues.flatMap(pathsOf))
  // Where something that must be there was left out, what holds it goes too.
  for (let depth = 0; depth < DEPTH_MAX; depth++) {
    const next = schema.safeParse(rest)
    if (next.success) return { config: next.data, issues }
    rest = without(
      rest,
      next.error.issues.flatMap(pathsOf).map((path) => path.slice(0, -1)),
    )
  }
  return { config: null, issues }
}

/** Levels of the configuration. */
const DEPTH_MAX = 8

/** What is wrong with settings that have the right form. The flat columns become `objects.content`. */
function meaningProblems(config: Config): string[] {
  const { objects } = config
  const problems: string[] = []
  if (objects.schema !== undefined) {
    if (objects.content.columns !== undefined)
      problems.push('objects.schema: give either objects.content.columns or this')
    objects.content = flatContent(objects.schema, problems)
  }
  problems.push(
    ...s3Problems(config.s3),
    ...bucketProblems(config),
    ...warehouseProblems(config),
    ...tableProblems(config),
  )
  for (const [name, settings] of Object.entries(config.streams)) {
    try {
      parseStream(name, settings)
    } catch (error) {
      problems.push(`streams.${messageOf(error).replace(/^stream /, '')}`)
    }
  }
  problems.push(...sharedGroups(config))
  return problems
}

/**
 * Members of one Kafka group share its partitions out, so that each of two sources would get a part of the messages that both want.
 * Where brokers differ altogether, it is a group of another cluster.
 */
function sharedGroups({ sources, objects }: Config): string[] {
  const members = [
    ...Object.entries(sources).flatMap(([name, { kafka }]) =>
      kafka === undefined ? [] : [{ at: `sources.${name}`, setting: 'kafka.group', name, kafka }],
    ),
    ...Object.entries(objects.sources).flatMap(([name, source]) =>
      source.type === 'kafka' ? [{ at: `objects.sources.${name}`, setting: 'group', name, kafka: source }] : [],
    ),
  ].map(({ name, ...member }) => ({ ...member, group: kafkaGroup(name, member.kafka) }))
  return members.flatMap(({ at, setting, kafka, group }, place) => {
    const other = members
      .slice(0, place)
      .find(
        (member) =>
          member.group === group &&
          shared(member.kafka.brokers, kafka.brokers).length > 0 &&
          shared(member.kafka.topics, kafka.topics).length > 0,
      )
    if (other === undefined) return []
    const topics = shared(other.kafka.topics, kafka.topics).join(', ')
    return [
      `${at}.${setting}: expected a group of its own, got "${group}", by which ${other.at} reads ${topics} too: each would get a part of the messages`,
    ]
  })
}

function shared(one: readonly string[], other: readonly string[]): string[] {
  return one.filter((item) => other.includes(item))
}

function bucketProblems({ objects, s3 }: Config): string[] {
  return Object.entries(objects.buckets).flatMap(([name, { s3: connection }]) =>
    connection === DEFAULT_CONNECTION || Object.hasOwn(s3, connection)
      ? []
      : `objects.buckets.${name}.s3: there is no connection "${connection}" in s3`,
  )
}

/** The input with the streams of its context among its own. */
function withCdkStreams(input: unknown, path: string, problems: string[]): unknown {
  const { cdkContext: context, streams = {} } = input as { cdkContext?: unknown; streams?: unknown }
  if (typeof context === 'string') problems.push('cdkContext: expected the file to be read already')
  if (typeof context !== 'object' || context === null) return input
  const { streams: theirs } = readCdkContext(context, path, problems)
  return { ...(input as object), streams: laidOver(theirs, streams) }
}

/** What a configuration's context says that is not needed, in sentences. */
function cdkNotes({ cdkContext }: Config, path: string): string[] {
  return typeof cdkContext === 'object' ? readCdkContext(cdkContext, path, []).notes : []
}

function refused(file: string, problems: readonly string[]): Fault {
  const count = problems.length === 1 ? 'a problem' : `${problems.length} problems`
  return new Fault('invalid', `${file} has ${count}:\n${problems.map((problem) => `  ${problem}`).join('\n')}`)
}

/** The flat keys as content columns. Every problem is added to `problems`. */
function flatContent(flat: Record<string, string | boolean>, problems: string[]): Config['objects']['content'] {
  const problem = (key: string, message: string) => problems.push(`objects.schema.${key}: ${message}`)
  const text = (key: string): string | undefined => (flat[key] === undefined ? undefined : String(flat[key]))
  const raw = text('include_raw_metadata') ?? 'true'
  if (raw !== 'true' && raw !== 'false') problem('include_raw_metadata', `expected true or false, got "${raw}"`)
  const names = (text('custom_metadata_fields') ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
  const columns: Record<string, { type: string; jpath: string }> = {}
  for (const name of names) {
    const type = text(`field.${name}.type`)
    const jpath = text(`field.${name}.jpath`)
    if (!COLUMN_NAME.test(name)) problem('custom_metadata_fields', `${COLUMN_NAME_RULE}, got "${name}"`)
    if (type === undefined) problem(`field.${name}.type`, `missing, because custom_metadata_fields names ${name}`)
    if (jpath === undefined) problem(`field.${name}.jpath`, `missing, because custom_metadata_fields names ${name}`)
    if (type !== undefined && jpath !== undefined) columns[name] = { type, jpath }
  }
  for (const key of Object.keys(flat)) {
    const name = /^field\.(.+)\.(type|jpath)$/.exec(key)?.[1]
    if (key === 'include_raw_metadata' || key === 'custom_metadata_fields') continue
    if (name === undefined) {
      problem(key, 'expected include_raw_metadata, custom_metadata_fields, field.<name>.type or field.<name>.jpath')
    } else if (!names.includes(name)) problem(key, `custom_metadata_fields does not name ${name}`)
  }
  return { includeRawMetadata: raw === 'true', columns }
}

const CONFIG_FILES = ['tidewater.config.ts', 'tidewater.config.mjs', 'tidewater.config.yaml', 'tidewater.config.yml']

export interface LoadedConfig {
  config: Config
  /** The file that it came from; null: defaults. */
  file: string | null
  /** What was understood in it and is not needed. */
  notes: string[]
}

/**
 * Reads `file`, or the first configuration file in `dir`, or gives the defaults.
 * @param stamp other than before for a file that was read before and may have changed
 * @throws Fault `invalid`, `not-found`
 */
export async function loadConfig(file: string | undefined, dir: string, stamp = ''): Promise<LoadedConfig> {
  const named = file === undefined ? null : path.resolve(dir, file)
  const found = await firstExisting(named === null ? CONFIG_FILES.map((name) => path.join(dir, name)) : [named])
  if (found === null && named !== null) throw new Fault('not-found', `there is no configuration file ${named}`)
  if (found === null) return { config: parseConfig({}, 'defaults'), file: null, notes: [] }
  const input = await readConfigFile(found, stamp)
  const cdkPath = isCdkContext(input) ? '' : 'cdkContext'
  const config = parseConfig(await withCdkFile(input, found), found, cdkPath)
  const notes = [...s3Notes(config.s3), ...secretNotes(config.objects.sources), ...cdkNotes(config, cdkPath)]
  return { config, file: found, notes }
}

/** A context file is a configuration by itself; one that the configuration names is read. */
async function withCdkFile(input: unknown, file: string): Promise<unknown> {
  if (isCdkContext(input)) return { cdkContext: input }
  const { cdkContext } = (input ?? {}) as { cdkContext?: unknown }
  if (typeof cdkContext !== 'string') return input
  const context = path.resolve(path.dirname(file), cdkContext)
  if ((await firstExisting([context])) === null)
    throw new Fault('not-found', `${file}: cdkContext: there is no file ${context}`)
  return { ...(input as object), cdkContext: await readConfigFile(context) }
}

async function readConfigFile(file: string, stamp = ''): Promise<unknown> {
  let loaded: unknown
  try {
    loaded = /\.(ts|mjs|js)$/.test(file)
      ? // A module is evaluated once per address.
        await import(`${pathToFileURL(file).href}${stamp === '' ? '' : `?${stamp}`}`)
      : file.endsWith('.json')
        ? JSON.parse(await readFile(file, 'utf8'))
        : parseYaml(await readFile(file, 'utf8'))
  } catch (error) {
    throw new Fault('invalid', `${file} cannot be read as configuration: ${messageOf(error)}`, {}, error)
  }
  if (!/\.(ts|mjs|js)$/.test(file)) return loaded
  const { default: config } = loaded as { default?: unknown }
  if (config === undefined) throw new Fault('invalid', `${file} has no default export: write export default { … }`)
  return config
}

async function firstExisting(files: readonly string[]): Promise<string | null> {
  for (const file of files) {
    if (
      await access(file).then(
        () => true,
        () => false,
      )
    )
      return file
  }
  return null
}
