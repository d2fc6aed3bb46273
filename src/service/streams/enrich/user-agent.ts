/** A user agent's text → what it says of browser, system and device, and whether it is a program that nobody sits before. */
import bowser from 'bowser'
import { isbot } from 'isbot'
import { limits } from '../../../base/limits.ts'

export interface UserAgentFacts {
  browser: string | null
  browserVersion: string | null
  os: string | null
  osVersion: string | null
  /** `desktop`, `mobile`, `tablet`, `tv`, `bot` and the like. */
  device: string | null
  deviceModel: string | null
  engine: string | null
  isBot: boolean | null
}

/** Facts of the texts seen last: a few thousand cover nearly all visitors. */
export class UserAgents {
  readonly #known = new Map<string, UserAgentFacts>()

  facts(text: string | null): UserAgentFacts {
    // What stands behind is no browser's, and patterns are not to be run over it.
    const key = (text ?? '').slice(0, limits.streamUserAgentCharactersMax)
    const known = this.#known.get(key)
    if (known !== undefined) return known
    if (this.#known.size >= limits.streamUserAgentsKept) {
      const [oldest] = this.#known.keys()
      this.#known.delete(oldest!)
    }
    const facts = read(key)
    this.#known.set(key, facts)
    return facts
  }
}

const NOTHING: UserAgentFacts = {
  browser: null,
  browserVersion: null,
  os: null,
  osVersion: null,
  device: null,
  deviceModel: null,
  engine: null,
  isBot: null,
}

function read(text: string): UserAgentFacts {
  if (text === '') return NOTHING
  const { browser, os, platform, engine } = bowser.parse(text)
  return {
    browser: browser.name || null,
    browserVersion: browser.version || null,
    os: os.name || null,
    osVersion: os.version || null,
    device: platform.type || null,
    deviceModel: platform.model || null,
    engine: engine.name || null,
    isBot: isbot(text) || platform.type === 'bot',
  }
}
