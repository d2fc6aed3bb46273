/**
 * The configuration as a whole: its settings are composed here out of `settings/`, one file per service, read once, checked
 * together, every problem reported with its path. `config-file.ts` finds and reads the file that it is in.
 */
import { z } from 'zod'
import { inOurWords, problemTexts } from '../base/expected.ts'
import { Fault } from '../base/fault.ts'
import type { streamSettings } from '../service/streams/definition.ts'
import { isAt, pathsOf, without } from './config-issues.ts'
import { tableProblems } from './object-tables.ts'
import { connectionProblems, s3Problems } from './s3-connections.ts'
import { type Environment, secretProblems } from './secrets.ts'
import { bucketProblems } from './settings/buckets.ts'
import { deadLettersSettings } from './settings/dead-letters.ts'
import { sharedGroups } from './settings/kafka-groups.ts'
import { objectsSettings, settleContent } from './settings/objects.ts'
import { httpSettings, limitsSettings } from './settings/process.ts'
import { s3Settings, warehouseSettings } from './settings/s3.ts'
import {
  cdkContextSettings,
  sourcesSettings,
  streamProblems,
  streamsSettings,
  withCdkStreams,
} from './settings/streams.ts'
import { warehouseProblems } from './warehouse.ts'

const schema = z.strictObject({
  /** Connections to S3 and stores of its protocol, by name: properties as Iceberg's programs have them, see docs/configuration.md. */
  s3: s3Settings,
  /** Where the tables' files are. */
  warehouse: warehouseSettings,
  objects: objectsSettings,
  /** The context of a CDK application: its file, from this one, or what is in it. `streams` below lie over its streams. */
  cdkContext: cdkContextSettings,
  /** Streams by name, see docs/streams.md. */
  streams: streamsSettings,
  /** What brings records to streams by itself, by name, see docs/streams-sources.md. */
  sources: sourcesSettings,
  deadLetters: deadLettersSettings,
  http: httpSettings,
  limits: limitsSettings,
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
 * @param env the environment that must have the variables which sources and streams name; absent: they are not looked up
 * @throws Fault `invalid` listing every problem with its path
 */
export function parseConfig(input: unknown, file: string, cdkPath = 'cdkContext', env?: Environment): Config {
  const problems: string[] = []
  const { config, issues } = parseShape(withCdkStreams(input ?? {}, cdkPath, problems))
  problems.push(...issues.flatMap((issue) => problemTexts(issue)))
  if (config !== null) {
    const wrong = issues.flatMap(pathsOf).map((path) => path.join('.'))
    // Of a setting that was left out for its form, nothing more can be said.
    const meaning = [...meaningProblems(config), ...(env === undefined ? [] : secretProblems(config, env))]
    problems.push(...meaning.filter((problem) => !wrong.some((path) => isAt(problem, path))))
  }
  if (config === null || problems.length > 0) throw refused(file, problems)
  return config
}

/**
 * The configuration, and what is wrong with its form. Settings of a wrong form are left out, so that the others can be looked
 * at too; null when nothing is left to look at.
 */
function parseShape(input: unknown): { config: Config | null; issues: z.core.$ZodIssue[] } {
  const first = schema.safeParse(input, inOurWords)
  if (first.success) return { config: first.data, issues: [] }
  const { issues } = first.error
  let rest = without(input, issues.flatMap(pathsOf))
  // Where something that must be there was left out, what holds it goes too.
  for (let depth = 0; depth < DEPTH_MAX; depth++) {
    const next = schema.safeParse(rest, inOurWords)
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
  const problems: string[] = []
  settleContent(config.objects, problems)
  return [
    ...problems,
    ...s3Problems(config.s3),
    ...connectionProblems(config),
    ...bucketProblems(config.objects.buckets),
    ...warehouseProblems(config),
    ...tableProblems(config),
    ...streamProblems(config.streams),
    ...sharedGroups(config),
  ]
}

/** All problems of a configuration in one message. */
export function refused(file: string, problems: readonly string[]): Fault {
  const count = problems.length === 1 ? 'a problem' : `${problems.length} problems`
  return new Fault('invalid', `${file} has ${count}:\n${problems.map((problem) => `  ${problem}`).join('\n')}`)
}
