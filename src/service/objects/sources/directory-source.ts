/** A directory that is watched as a source among others. One that cannot be watched is told of and tried again. */
import type { Clock } from '../../../base/clock.ts'
import type { Fault } from '../../../base/fault.ts'
import { follow } from '../../../base/follow.ts'
import { limits } from '../../../base/limits.ts'
import type { DirectoryBucket, DirectoryBucketParts } from '../directory-bucket.ts'
import type { ObjectSourceStatus } from './sources.ts'

export interface DirectorySourceOptions {
  open: (told: DirectoryBucketParts['objects'], onSkip: (text: string) => void) => Promise<DirectoryBucket>
  objects: DirectoryBucketParts['objects']
  clock: Clock
  notice: (text: string) => void
}

export class DirectorySource {
  readonly #options: DirectorySourceOptions
  readonly #told: DirectoryBucketParts['objects']
  /** Entries that are no objects and were told: each comparison finds them again. */
  readonly #skipped = new Set<string>()
  #accepted = 0
  #trouble: string | null = 'not begun yet'
  #lastError: ObjectSourceStatus['lastError'] = null

  constructor(options: DirectorySourceOptions) {
    this.#options = options
    const { objects } = options
    this.#told = {
      accept: async (events) => {
        const end = await objects.accept(events)
        this.#accepted += events.length
        return end
      },
      get accepted() {
        return objects.accepted
      },
      passed: (offset, signal) => objects.passed(offset, signal),
    }
  }

  /** Watches until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { open, objects, clock, notice } = this.#options
    const turn = async () => {
      // What was told before is known before anything is compared with what is known.
      await objects.passed(objects.accepted, signal)
      const directory = await open(this.#told, (text) => this.#skip(text))
      this.#trouble = null
      await directory.watch(signal, (text) => this.#warn(text))
    }
    const onFault = ({ message }: Fault) => {
      if (message !== this.#trouble) notice(message)
      this.#trouble = message
      this.#note(message)
    }
    await follow({ clock, turn, onFault }, signal)
  }

  status(): Omit<ObjectSourceStatus, 'source'> {
    return {
      type: 'directory',
      trouble: this.#trouble,
      lastError: this.#lastError,
      waiting: null,
      inFlight: 0,
      received: this.#accepted,
      taken: { accepted: this.#accepted, problems: 0, ignored: {} },
      oldestSeconds: null,
    }
  }

  #warn(text: string): void {
    this.#note(text)
    this.#options.notice(text)
  }

  #note(message: string): void {
    this.#lastError = { message, at: new Date(this.#options.clock.nowMs()).toISOString() }
  }

  #skip(text: string): void {
    if (this.#skipped.has(text) || this.#skipped.size >= limits.skippedKept) return
    this.#skipped.add(text)
    this.#options.notice(text)
  }
}
