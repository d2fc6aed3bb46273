/** `streams`, `sources` and `cdkContext`: the settings of the streams service. What one stream or source may have is the service's own. */
import { z } from 'zod'
import { messageOf } from '../../base/fault.ts'
import { parseStream, STREAM_NAME, streamSettings } from '../../service/streams/definition.ts'
import { sourceSettings } from '../../service/streams/sources/settings.ts'
import { laidOver, readCdkContext } from '../cdk-context.ts'

/** By name, see docs/streams.md. */
export const streamsSettings = z
  .record(
    z.string().regex(STREAM_NAME, 'expected a stream name of 1 to 64 letters, digits, ".", "_" or "-"'),
    streamSettings,
  )
  .default({})

/** What brings records to streams by itself, by name, see docs/streams-sources.md. */
export const sourcesSettings = z.record(z.string().regex(STREAM_NAME), sourceSettings).default({})

export type StreamsSettings = z.output<typeof streamsSettings>
export type SourcesSettings = z.output<typeof sourcesSettings>

/** The context of a CDK application: its file, from the configuration's, or what is in it. `streams` lie over its streams. */
export const cdkContextSettings = z.union([z.string(), z.looseObject({})]).optional()

/** What is wrong with streams beside their form, in sentences that begin with the path of the setting. */
export function streamProblems(streams: StreamsSettings): string[] {
  return Object.entries(streams).flatMap(([name, settings]) => {
    try {
      parseStream(name, settings)
      return []
    } catch (error) {
      return `streams.${messageOf(error).replace(/^stream /, '')}`
    }
  })
}

/** The input with the streams of its context among its own. */
export function withCdkStreams(input: unknown, path: string, problems: string[]): unknown {
  const { cdkContext: context, streams = {} } = input as { cdkContext?: unknown; streams?: unknown }
  if (typeof context === 'string') problems.push('cdkContext: expected the file to be read already')
  if (typeof context !== 'object' || context === null) return input
  const { streams: theirs } = readCdkContext(context, path, problems)
  return { ...(input as object), streams: laidOver(theirs, streams) }
}

/** What a configuration's context says that is not needed, in sentences. */
export function cdkNotes(cdkContext: z.output<typeof cdkContextSettings>, path: string): string[] {
  return typeof cdkContext === 'object' ? readCdkContext(cdkContext, path, []).notes : []
}
