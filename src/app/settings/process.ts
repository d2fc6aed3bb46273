/** `http` and `limits`: how the process is reached, and what it may take. */
import { z } from 'zod'
import { limits } from '../../base/limits.ts'

const MiB = 1024 ** 2

export const httpSettings = z
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
  .prefault({})

export const limitsSettings = z
  .strictObject({
    /** Bound of DuckDB's buffers; the process takes about 300 MiB more. */
    memoryMiB: z.int().min(128).max(1_048_576).default(600),
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
  .prefault({})
