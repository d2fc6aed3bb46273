/** The settings of a stream that say what its values may be, and the rules that they give. */
import { z } from 'zod'
import { compileDateFormat } from './date-format.ts'
import type { ScalarRules } from './scalar.ts'

export const scalarSettings = {
  /** `exact`: a value has its column's type. `convert`: a text that says a number is one, and anything may become text. */
  strictness: z.enum(['exact', 'convert']).default('exact'),
  /** What a number in a timestamp column counts since 1970, `auto` by its size; absent: numbers are refused there. */
  epochUnit: z.enum(['s', 'ms', 'us', 'ns', 'auto']).optional(),
  /** Patterns such as `dd/MM/yyyy HH:mm:ss` that dates and timestamps may have, tried in order before ISO 8601. */
  dateFormats: z
    .array(
      z
        .string()
        .min(1)
        .max(100)
        .superRefine((pattern, context) => {
          try {
            compileDateFormat(pattern)
          } catch (error) {
            context.addIssue({ code: 'custom', message: (error as Error).message })
          }
        }),
    )
    .max(16)
    .default([]),
}

export type ScalarSettings = z.output<z.ZodObject<typeof scalarSettings>>

export function scalarRules({ strictness, epochUnit, dateFormats }: ScalarSettings): ScalarRules {
  return { strictness, epochUnit, dateFormats: dateFormats.map(compileDateFormat) }
}
