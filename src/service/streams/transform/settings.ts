/** The settings of a stream's transform function. */
import { z } from 'zod'
import { limits } from '../../../base/limits.ts'

export const transformSettings = z.strictObject({
  /**
   * File of the function, JavaScript or TypeScript. From the configuration file; for streams made through the API, in the folder
   * `functions` beside it. Absent: the other settings wait for one.
   */
  module: z.string().min(1).max(4_096).optional(),
  /** Export to call; absent: `handler` if there is one, else the default export. */
  function: z.string().min(1).max(255).optional(),
  /** `record`: called with each record. `batch`: with many, as functions of delivery streams are. Absent: `batch` for `handler`. */
  contract: z.enum(['record', 'batch']).optional(),
  /** What the function of contract `record` is given: a parsed object, text, or bytes. */
  input: z.enum(['json', 'text', 'bytes']).default('json'),
  /** Further tries after an invocation that failed. */
  numberOfRetries: z.int().min(0).max(limits.transformRetriesMax).default(3),
  /** What one invocation may take: one record, or one batch. */
  timeMs: z.int().min(10).max(limits.transformTimeMsMax).default(limits.transformTimeMs),
  /** JavaScript heap of a worker, and as much again for its buffers. */
  memoryMiB: z.int().min(16).max(4_096).default(limits.transformHeapMiB),
  /** Worker threads; one is started at once, the others come with demand. */
  workers: z.int().min(1).max(64).default(2),
  buffer: z
    .strictObject({
      /** Records handed over at a time have at most so many bytes together. */
      mebibytes: z.number().min(0.01).max(16).default(1),
      /** Taken and without effect: records are transformed before they are acknowledged, and never wait for more. */
      seconds: z.number().min(0).max(900).default(60),
    })
    .prefault({}),
})

export type TransformSettings = z.output<typeof transformSettings>
