/**
 * Dead letters that nothing has happened to for as many days as the configuration says are deleted: by deletes in their own log, which
 * their feed commits like every other change.
 *
 * Crash story: nothing is kept here. A letter that is still in the table is found again.
 */
import type { Clock } from '../base/clock.ts'
import { isFault } from '../base/fault.ts'
import { Follower } from '../base/follow.ts'
import { limits } from '../base/limits.ts'
import type { DeadLetters } from '../service/deadletter/deadletter.ts'
import { DEAD_LETTERS } from './open-letters.ts'
import type { Reader } from './reader.ts'
import { openSql } from './sql.ts'

export interface LetterExpiryOptions {
  reader: Pick<Reader, 'catalog' | 'io' | 'clock'>
  deadLetters: DeadLetters
  keepDays: number
  /** Commits what the letters' log holds. */
  commit: () => Promise<void>
  /** What the operator should know. */
  notice: (text: string) => void
}

const DAY_MS = 24 * 3600 * 1000

export class LetterExpiry {
  readonly #options: LetterExpiryOptions
  readonly #clock: Clock
  readonly #follower: Follower

  constructor(options: LetterExpiryOptions) {
    this.#options = options
    this.#clock = options.reader.clock
    const { notice, keepDays } = options
    this.#follower = new Follower({
      clock: this.#clock,
      turn: async (signal) => {
        const deleted = await this.run(signal)
        if (deleted > 0) notice(`${deleted} dead letters were deleted: nothing happened to them for ${keepDays} days`)
        await this.#clock.sleep(limits.letterExpiryMs, signal)
      },
      onFault: ({ message }) => notice(`old dead letters wait to be deleted: ${message}`),
      pause: { firstMs: limits.letterExpiryMs, maxMs: limits.letterExpiryMs },
    })
  }

  /** Looks at once, and then now and then until `stop`. */
  start(): void {
    this.#follower.start()
  }

  stop(): Promise<void> {
    return this.#follower.stop()
  }

  /** @returns how many were deleted @throws Fault of the table or the log */
  async run(signal?: AbortSignal): Promise<number> {
    const { reader, deadLetters, keepDays, commit } = this.#options
    const before = new Date(this.#clock.nowMs() - keepDays * DAY_MS).toISOString().replace('T', ' ').replace('Z', '')
    let deleted = 0
    while (signal?.aborted !== true) {
      // What was deleted is out of the table before the next look at it.
      await commit()
      const session = await openSql(reader)
      try {
        const { rows } = await session.run(
          `SELECT id FROM ${DEAD_LETTERS} WHERE updated_at < TIMESTAMP '${before}' LIMIT ${limits.lettersExpiredAtOnce}`,
        )
        if (rows.length === 0) break
        await deadLetters.forget(rows.map(([id]) => String(id)))
        deleted += rows.length
      } catch (error) {
        // A home that never had a letter has no table of them.
        if (isFault(error, 'not-found')) break
        throw error
      } finally {
        await session.close()
      }
    }
    return deleted
  }
}
