/** `deadLetters`: the settings of the service of dead letters. */
import { z } from 'zod'

export const deadLettersSettings = z
  .strictObject({
    /** Letters that nothing has happened to for so many days are deleted, open ones too; absent: never. */
    keepDays: z.int().min(1).max(36_500).optional(),
  })
  .prefault({})
