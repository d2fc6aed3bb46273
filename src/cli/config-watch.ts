/**
 * The configuration file while the server runs: looked at now and then, and when somebody says so. What can be taken without a
 * restart is; the rest is named. A file that is wrong, or gone, changes nothing, and is told once.
 */
import { stat } from 'node:fs/promises'
import type { Config } from '../app/config.ts'
import { type ConfigChanges, changesOf, withContent } from '../app/reload.ts'
import { messageOf } from '../base/fault.ts'
import { limits } from '../base/limits.ts'

export interface ConfigWatchOptions {
  /** Null: there is none, and nothing is watched. */
  file: string | null
  running: Config
  /** Reads the file as it is now. @throws Fault */
  load: (stamp: string) => Promise<Config>
  /** Takes other content columns; gives how many rows were filled. @throws Fault: the ones before stay */
  remap: (next: Config) => Promise<{ rows: number; castErrors: number }>
  tell: (level: 'info' | 'warn', event: string, message: string, facts?: Record<string, string | number>) => void
  /** Default `limits.configPollMs`. */
  pollMs?: number
}

const MISSED_TOLD = 2

export class ConfigWatch {
  readonly #options: ConfigWatchOptions
  #running: Config
  #seen = ''
  /** What was told to wait for a restart. */
  #named = ''
  /** Looks, one after another, that found no file. */
  #missed = 0
  #timer: NodeJS.Timeout | null = null
  #turn: Promise<void> = Promise.resolve()

  private constructor(options: ConfigWatchOptions) {
    this.#options = options
    this.#running = options.running
  }

  static async open(options: ConfigWatchOptions): Promise<ConfigWatch> {
    const watch = new ConfigWatch(options)
    watch.#seen = await watch.#stamp()
    if (options.file !== null)
      watch.#timer = setInterval(() => void watch.#look(), options.pollMs ?? limits.configPollMs).unref()
    return watch
  }

  /** Reads the file anew, whether or not it looks changed. Never throws. */
  reload(): Promise<void> {
    this.#turn = this.#turn.then(() => this.#reload())
    return this.#turn
  }

  /** Resolves when what was begun is done. */
  async close(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer)
    await this.#turn
  }

  async #look(): Promise<void> {
    const { file, tell } = this.#options
    const stamp = await this.#stamp()
    if (stamp === '') {
      this.#missed++
      // A file that is being replaced may be gone for a moment.
      if (this.#missed === MISSED_TOLD)
        tell(
          'warn',
          'config-refused',
          `${file} is gone; the settings stay as they were, put it back before the next start`,
        )
      return
    }
    const wasTold = this.#missed >= MISSED_TOLD
    this.#missed = 0
    if (wasTold) tell('info', 'config-read', `${file} is there again`)
    if (stamp !== this.#seen) await this.reload()
  }

  async #reload(): Promise<void> {
    const { file, load, tell } = this.#options
    if (file === null) return
    const stamp = await this.#stamp()
    if (stamp === '') return tell('warn', 'config-refused', `${file} is not there; the settings stay as they were`)
    this.#seen = stamp
    let next: Config
    try {
      next = await load(stamp)
    } catch (error) {
      return tell('warn', 'config-refused', `the settings stay as they were: ${messageOf(error)}`)
    }
    const changes = changesOf(this.#running, next)
    this.#name(changes)
    if (changes.content) await this.#remap(next)
    else if (changes.restart.length === 0)
      tell('info', 'config-read', 'the configuration was read anew: nothing has changed')
  }

  #name({ restart }: ConfigChanges): void {
    const named = restart.join(', ')
    if (named !== '' && named !== this.#named)
      this.#options.tell('warn', 'config-needs-restart', `changed, and taken at the next start: ${named}`, {
        settings: named,
      })
    this.#named = named
  }

  async #remap(next: Config): Promise<void> {
    const { remap, tell } = this.#options
    try {
      const { rows, castErrors } = await remap(next)
      this.#running = withContent(this.#running, next)
      const misfits = castErrors === 0 ? '' : `, ${castErrors} values did not fit`
      tell('info', 'content-columns', `content columns changed: ${rows} rows had theirs filled${misfits}`, {
        rows,
        castErrors,
      })
    } catch (error) {
      tell('warn', 'config-refused', `content columns stay as they were: ${messageOf(error)}`)
    }
  }

  async #stamp(): Promise<string> {
    const { file } = this.#options
    if (file === null) return ''
    return stat(file).then(
      ({ mtimeMs, size, ino }) => `${mtimeMs}-${size}-${ino}`,
      () => '',
    )
  }
}
