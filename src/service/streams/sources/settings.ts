/** What a source is, as configuration gives it. No secret stands there: settings name the variables that hold them. */
import { z } from 'zod'
import { limits } from '../../../base/limits.ts'
import { STREAM_NAME } from '../definition.ts'

/** Name of a variable of the environment. */
const variable = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'expected the name of an environment variable')
const column = z.string().min(1).max(255)

export const kafkaSettings = z.strictObject({
  /** Brokers to begin with. */
  brokers: z
    .array(z.string().regex(/^(\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}$/, 'expected host:port'))
    .min(1)
    .max(100),
  /** Consumer group; default `tidewater-` and the source's name. It belongs to this home alone. */
  group: z.string().min(1).max(249).optional(),
  topics: z
    .array(z.string().regex(/^[A-Za-z0-9._-]{1,249}$/, 'expected letters, digits, ".", "_" or "-"'))
    .min(1)
    .max(limits.kafkaTopicsMax),
  /** Where a partition is begun of which nothing was taken yet. */
  from: z.enum(['earliest', 'latest']).default('earliest'),
  /** When the broker no longer has what comes next: stop reading the partition, or go on with the first or the next it has. */
  outOfRange: z.enum(['fail', 'earliest', 'latest']).default('fail'),
  /** Whether messages of open and taken back transactions are read. */
  isolation: z.enum(['read_committed', 'read_uncommitted']).default('read_committed'),
  /** How the key of a message without a value names the row to delete: its text, or JSON. An object in JSON is always read. */
  keys: z.enum(['text', 'json']).default('text'),
  /** Columns that get what stands beside a message's value. */
  columns: z
    .strictObject({
      topic: column.optional(),
      partition: column.optional(),
      offset: column.optional(),
      timestamp: column.optional(),
      key: column.optional(),
      headers: column.optional(),
    })
    .prefault({}),
  /** `true`, or files in PEM, from the configuration file. */
  tls: z
    .union([
      z.boolean(),
      z.strictObject({
        caFile: z.string().optional(),
        certFile: z.string().optional(),
        keyFile: z.string().optional(),
        /** Variable with the passphrase of the key. */
        passphraseVariable: variable.optional(),
      }),
    ])
    .default(false),
  sasl: z
    .discriminatedUnion('mechanism', [
      z.strictObject({
        mechanism: z.enum(['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512']),
        usernameVariable: variable,
        passwordVariable: variable,
      }),
      z.strictObject({ mechanism: z.literal('OAUTHBEARER'), tokenVariable: variable }),
    ])
    .optional(),
})

export const filesSettings = z.strictObject({
  /** Watched with its subdirectories; from the configuration file. */
  directory: z.string().min(1),
  /** Default: by the file's name (`.ndjson`, `.jsonl`, `.json`, `.csv`, `.tsv`, `.parquet`, and `.gz`, `.zst` behind the texts). */
  format: z.enum(['ndjson', 'csv', 'parquet']).optional(),
  /** Names that are taken, with `*` and `?`; default: all of a known format. */
  match: z.array(z.string().min(1).max(255)).max(100).optional(),
  /** A file is taken when it has held still for so long. Writers that pause longer give it another name until it is whole. */
  quietSeconds: z
    .number()
    .min(0.1)
    .max(limits.fileQuietMsMax / 1000)
    .default(2),
  /** What becomes of a file that was taken: `move` puts it into `moveTo`. */
  after: z.enum(['keep', 'move', 'delete']).default('keep'),
  /** From the configuration file. Inside `directory` it is not looked into. */
  moveTo: z.string().min(1).optional(),
  csv: z
    .strictObject({
      delimiter: z.string().length(1).optional(),
      quote: z.string().length(1).default('"'),
      /** Text that stands for no value. */
      nullText: z.string().max(64).default(''),
    })
    .prefault({}),
})

export const sourceSettings = z
  .strictObject({
    /** The stream that takes the records. */
    stream: z.string().regex(STREAM_NAME),
    kafka: kafkaSettings.optional(),
    files: filesSettings.optional(),
  })
  .refine(({ kafka, files }) => (kafka === undefined) !== (files === undefined), 'expected either kafka or files')
  .refine(({ files }) => files === undefined || (files.after === 'move') === (files.moveTo !== undefined), {
    message: 'expected moveTo with after: move, and only then',
    path: ['files', 'moveTo'],
  })

export type KafkaSettings = z.output<typeof kafkaSettings>
export type FilesSettings = z.output<typeof filesSettings>
export type SourceSettings = z.output<typeof sourceSettings>

/** The consumer group that a source joins. */
export function kafkaGroup(source: string, { group }: Pick<KafkaSettings, 'group'>): string {
  return group ?? `tidewater-${source}`
}
