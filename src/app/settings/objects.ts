/** `objects`: the settings of the objects service, whose parts stand beside this file. */
import { z } from 'zod'
import { STREAM_NAME } from '../../service/streams/definition.ts'
import { bucketSettings } from './buckets.ts'
import { builtinChoice, extractorSettings } from './extractors.ts'
import { labelSettings } from './labels.ts'
import { contentSettings, flatContent, flatSettings } from './object-content.ts'
import { objectSourceSettings } from './object-sources.ts'

const tableSettings = z.strictObject({
  /** Partition fields, e.g. `day(record_timestamp)` or `bucket(16, key)`. Taken when the table is created. */
  partitioning: z.array(z.string()).default([]),
  /** Sort terms, e.g. `bucket, key`. Taken when the table is created. */
  sortOrder: z.array(z.string()).default([]),
  /** Iceberg table properties, e.g. `write.parquet.compression-codec`. */
  properties: z.record(z.string(), z.string()).default({}),
})

export const objectsSettings = z
  .strictObject({
    content: contentSettings.prefault({}),
    schema: flatSettings.optional(),
    /** Buckets of object stores by name; `*`: all that events name and that are not named here. See docs/buckets.md. */
    buckets: z.record(z.string().min(1), bucketSettings).default({}),
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
    extractors: z.array(extractorSettings).default([]),
    /** What tells of objects by itself, by name, see docs/point-it-at-your-bucket.md. */
    sources: z.record(z.string().regex(STREAM_NAME), objectSourceSettings).default({}),
    /** Labels of pictures, see docs/extractors.md. */
    labels: labelSettings.optional(),
    /** Worker threads for extractors; default: the number of cores. */
    workers: z.int().min(1).max(64).optional(),
  })
  .prefault({})

export type ObjectsSettings = z.output<typeof objectsSettings>

/** The flat columns become `content`. Every problem is added to `problems`. */
export function settleContent(objects: ObjectsSettings, problems: string[]): void {
  if (objects.schema === undefined) return
  if (objects.content.columns !== undefined)
    problems.push('objects.schema: give either objects.content.columns or this')
  objects.content = flatContent(objects.schema, problems)
}
