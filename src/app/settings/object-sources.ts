/**
 * `objects.sources`: what tells of objects by itself, as configuration gives it. Properties of a connection have the names that
 * Iceberg's users know; secrets may name the variable that holds them: `env:NAME`.
 */
import { z } from 'zod'
import { limits } from '../../base/limits.ts'
import { kafkaSettings } from '../../service/streams/sources/settings.ts'

const url = z.url({ protocol: /^https?$/, error: 'expected an address that begins with http:// or https://' })

const sqsSettings = z.strictObject({
  type: z.literal('sqs'),
  queueUrl: url,
  /** Messages are received by so many at once, ten at a time. */
  receivers: z.int().min(1).max(limits.queueReceiversMax).default(2),
  /** A message that is neither deleted nor worked on comes again after so long; while it is worked on the time is made longer. */
  visibilitySeconds: z.int().min(10).max(43_200).default(60),
  /** Connection of `s3` whose region and credentials are taken where none stand here. */
  s3: z.string().min(1).optional(),
  /** Default: the host of `queueUrl`. */
  'sqs.endpoint': url.optional(),
  /** Default: the region in `queueUrl`, or what AWS's chain says. */
  'client.region': z.string().min(1).optional(),
  /** Default: AWS's chain. */
  'client.access-key-id': z.string().min(1).optional(),
  'client.secret-access-key': z.string().min(1).optional(),
  'client.session-token': z.string().min(1).optional(),
})

const webhookSettings = z.strictObject({
  type: z.literal('webhook'),
  /** What a sender shows. Default: an API key with the scope `write`. */
  token: z.string().min(1).optional(),
})

const directorySettings = z.strictObject({
  type: z.literal('directory'),
  /** From the configuration file. */
  path: z.string().min(1),
  /** Name of its bucket; default: the directory's own name. */
  bucket: z
    .string()
    .regex(/^[^/\0]{1,255}$/, 'expected a bucket name of 1 to 255 characters without "/"')
    .optional(),
})

const topicSettings = kafkaSettings.omit({ columns: true, keys: true }).extend({ type: z.literal('kafka') })

export const objectSourceSettings = z
  .discriminatedUnion('type', [sqsSettings, webhookSettings, topicSettings, directorySettings])
  .refine(
    (settings) =>
      settings.type !== 'sqs' ||
      (settings['client.access-key-id'] === undefined) === (settings['client.secret-access-key'] === undefined),
    'expected client.access-key-id and client.secret-access-key together, or neither',
  )

export type ObjectSourceSettings = z.output<typeof objectSourceSettings>
export type SqsSettings = z.output<typeof sqsSettings>
