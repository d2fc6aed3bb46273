/**
 * API keys out of a file and a text, read again when the file changes or somebody says so, without a restart.
 *
 * A file that cannot be read, or has a mistake, or has lost its last key changes nothing: the keys that were good stay, and it is
 * told. So a slip of the pen neither locks everybody out nor lets everybody in.
 */
import { readFile, stat } from 'node:fs/promises'
import { Fault, messageOf } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { type ApiKey, parseKeys } from './access.ts'

export interface KeySources {
  /** One key on each line, see `access.ts`; null: none. */
  file: string | null
  /** Further keys, as in a file. */
  text: string
  /** Told of keys taken anew, and of what was wrong with them. */
  onReload: (message: string) => void
}

export class KeyFile {
  readonly #sources: KeySources
  #keys: readonly ApiKey[] = []
  #seen = ''
  #timer: NodeJS.Timeout | null = null

  private constructor(sources: KeySources) {
    this.#sources = sources
  }

  /** @throws Fault `not-found`, `invalid` */
  static async open(sources: KeySources): Promise<KeyFile> {
    const keys = new KeyFile(sources)
    keys.#seen = await keys.#stamp()
    keys.#keys = await keys.#read()
    return keys
  }

  /** The keys as they are now. */
  current = (): readonly ApiKey[] => this.#keys

  /** Reads the keys anew, whether or not the file looks changed. Never throws. */
  async reload(): Promise<void> {
    try {
      this.#seen = await this.#stamp()
      const keys = await this.#read()
      if (keys.length === 0 && this.#keys.length > 0) throw new Fault('invalid', 'there is no key left in them')
      this.#keys = keys
      this.#sources.onReload(`API keys read anew: ${keys.length}`)
    } catch (error) {
      this.#sources.onReload(`API keys stay as they were: ${messageOf(error)}`)
    }
  }

  /** Looks at the file now and then until `close`. */
  watch(): this {
    if (this.#sources.file === null) return this
    this.#timer = setInterval(async () => {
      if ((await this.#stamp()) !== this.#seen) await this.reload()
    }, limits.httpKeysPollMs).unref()
    return this
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
  }

  async #stamp(): Promise<string> {
    const { file } = this.#sources
    if (file === null) return ''
    return stat(file).then(
      ({ mtimeMs, size, ino }) => `${mtimeMs} ${size} ${ino}`,
      () => 'not there',
    )
  }

  async #read(): Promise<ApiKey[]> {
    const { file, text } = this.#sources
    const lines =
      file === null
        ? ''
        : await readFile(file, 'utf8').catch((error: unknown) => {
            throw new Fault('not-found', `http.keysFile: cannot read ${file}: ${messageOf(error)}`)
          })
    return parseKeys(`${lines}\n${text}`, file === null ? 'TIDEWATER_API_KEYS' : 'the API keys')
  }
}
