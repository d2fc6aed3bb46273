/** `s3` and `warehouse`: connections to S3 and stores of its protocol, and where the tables' files are. */
import { z } from 'zod'

/** The name of the connection that is used where none is named; without one of that name it is AWS, with its own chain. */
export const DEFAULT_CONNECTION = 'default'

const CONNECTION_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

/** By name: properties as Iceberg's programs have them, see docs/configuration.md. */
export const s3Settings = z
  .record(
    z.string().regex(CONNECTION_NAME, 'expected a name of 1 to 64 letters, digits, ".", "_" or "-"'),
    z.record(z.string(), z.union([z.string(), z.boolean()], { error: 'expected text, or true or false' })),
  )
  .default({})

export type S3Settings = z.output<typeof s3Settings>

export const warehouseSettings = z
  .strictObject({
    /** `s3://bucket/prefix`. Absent: the folder `warehouse` of the home. */
    location: z.string().optional(),
    /** Name of the connection; default: `default`. */
    s3: z.string().optional(),
    /** Bound of the local copies of files on S3. */
    cacheMiB: z.int().min(1024).max(104_857_600).optional(),
  })
  .prefault({})

export type WarehouseSettings = z.output<typeof warehouseSettings>
