/** The settings of enrichment: which facts a stream adds to its records, from which members, into which columns. */
import { z } from 'zod'

/** A member of a record, or a column. */
const name = z
  .string()
  .min(1)
  .max(255)
  .refine((text) => text !== '__proto__', 'expected another name')

const seconds = z
  .number()
  .min(0)
  .max(10 * 366 * 24 * 3600)

const userAgent = z.strictObject({
  /** Member with the user agent; absent: the request's header. */
  from: name.optional(),
  /** Fact to column. */
  columns: z.strictObject({
    browser: name.optional(),
    browserVersion: name.optional(),
    os: name.optional(),
    osVersion: name.optional(),
    device: name.optional(),
    deviceModel: name.optional(),
    engine: name.optional(),
    isBot: name.optional(),
  }),
})

const ip = z.strictObject({
  /** Member with the address; absent: the sender's. Unless it is the column, it is taken out of the record. */
  from: name.optional(),
  column: name,
  /** Cut to its network, or hashed with a secret. */
  as: z.enum(['network', 'hash']).default('network'),
  /** Bits that are kept. */
  v4Bits: z.int().min(0).max(32).default(24),
  v6Bits: z.int().min(0).max(128).default(48),
  /** Environment variable that holds the secret of `hash`, 16 characters at least. */
  secretEnv: z
    .string()
    .regex(/^[A-Z_][A-Z0-9_]{0,99}$/)
    .default('TIDEWATER_IP_SECRET'),
})

const clock = z.strictObject({
  /** Member with the event's time; it is what `clamp` changes. */
  from: name,
  aheadSeconds: seconds.default(300),
  behindSeconds: seconds.nullable().default(null),
  /** Is a time beyond these set to the nearest within? */
  clamp: z.boolean().default(false),
  columns: z.strictObject({
    /** True when the time is beyond them. */
    skewed: name.optional(),
    /** Arrival less event, in ms. */
    skewMs: name.optional(),
    /** The time as the producer gave it, before `clamp`. */
    original: name.optional(),
  }),
})

export const enrichSettings = {
  /** Facts that are added to every record. What it says itself under these names is replaced, but for an event's id. */
  enrich: z
    .strictObject({
      /** Column for the time of arrival. */
      receivedAt: name.optional(),
      /** An id made of the content, for records without one. */
      eventId: z
        .strictObject({
          column: name,
          /** Member that says whose event it is. */
          client: name.optional(),
          /** Members that make the id; absent: all. */
          fields: z.array(name).min(1).max(100).optional(),
        })
        .optional(),
      userAgent: userAgent.optional(),
      ip: ip.optional(),
      clock: clock.optional(),
      /** The host of the page that led here. */
      referrer: z.strictObject({ from: name, column: name }).optional(),
      /** Parameters of a page's query, by name to column: `utm_source` and the like. */
      query: z.strictObject({ from: name, columns: z.record(name, name) }).optional(),
    })
    .optional(),
}

export type EnrichSettings = NonNullable<z.output<z.ZodObject<typeof enrichSettings>>['enrich']>

/** Columns that enrichment fills, each with the place in the settings that names it. */
export function enrichedColumns(settings: EnrichSettings): { column: string; path: string }[] {
  const { receivedAt, eventId, userAgent: agent, ip: address, clock: time, referrer, query } = settings
  const under = (path: string, columns: Readonly<Record<string, string | undefined>> = {}) =>
    Object.entries(columns).map(([fact, column]): [string, string | undefined] => [`${path}.columns.${fact}`, column])
  const named: [string, string | undefined][] = [
    ['receivedAt', receivedAt],
    ['eventId.column', eventId?.column],
    ...under('userAgent', agent?.columns),
    ['ip.column', address?.column],
    ...under('clock', time?.columns),
    ['referrer.column', referrer?.column],
    ...under('query', query?.columns),
  ]
  return named.flatMap(([path, column]) => (column === undefined ? [] : [{ column, path: `enrich.${path}` }]))
}
