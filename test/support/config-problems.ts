/** What a configuration is refused with. */
import assert from 'node:assert/strict'
import { parseConfig } from '../../src/app/config.ts'
import { isFault } from '../../src/base/fault.ts'

/** The lines of the fault that a configuration is refused with. @param env where its secrets are looked for; absent: they are not */
export function problemsOf(input: unknown, env?: NodeJS.ProcessEnv): string[] {
  try {
    parseConfig(input, 'the file', 'cdkContext', env)
  } catch (error) {
    assert.ok(isFault(error, 'invalid'), String(error))
    const [head, ...lines] = error.message.split('\n')
    assert.match(
      head!,
      lines.length === 1 ? /^the file has a problem:$/ : new RegExp(`^the file has ${lines.length} problems:$`),
    )
    return lines.map((line) => line.trim())
  }
  return []
}
