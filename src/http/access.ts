/**
 * Who may do what: API keys with scopes.
 *
 * A key has a line of its own: `<id> <secret> <scope>[,<scope>…]`. A program sends the secret (`Authorization: Bearer …` or
 * `X-Api-Key`); an AWS client signs with id and secret as its access key (`sigv4.ts`). Without any key everybody who reaches the
 * port may do everything: then the server listens on loopback only.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { Fault } from '../base/fault.ts'

/** `read`: list and describe. `write`: put records. `admin`: make and remove streams; holds the others. */
export const SCOPES = ['read', 'write', 'admin'] as const
export type Scope = (typeof SCOPES)[number]

export interface ApiKey {
  id: string
  secret: string
  scopes: ReadonlySet<Scope>
}

/** Lines, or the same separated by `;`. `#` begins a comment. @throws Fault `invalid` naming the line, never the secret */
export function parseKeys(text: string, source: string): ApiKey[] {
  const keys: ApiKey[] = []
  for (const [at, line] of text.split(/[\n;]/).entries()) {
    const words = line.replace(/#.*$/, '').trim().split(/\s+/)
    if (words[0] === '') continue
    const where = `${source}, line ${at + 1}`
    const [id = '', secret = '', scopeText = '', ...rest] = words
    if (rest.length > 0 || scopeText === '')
      throw new Fault('invalid', `${where}: expected "<id> <secret> <scopes>", got ${words.length} words`)
    if (!/^[\w.-]{1,128}$/.test(id))
      throw new Fault('invalid', `${where}: an id has 1 to 128 letters, digits, ".", "_" or "-"`)
    if (secret.length < 16) throw new Fault('invalid', `${where}: a secret has at least 16 characters`)
    if (keys.some((key) => key.id === id)) throw new Fault('invalid', `${where}: there is a key "${id}" already`)
    const scopes = scopeText.split(',')
    const wrong = scopes.find((scope) => !SCOPES.includes(scope as Scope))
    if (wrong !== undefined)
      throw new Fault('invalid', `${where}: expected scopes out of ${SCOPES.join(', ')}, got "${wrong}"`)
    const held = scopes.includes('admin') ? SCOPES : (scopes as Scope[])
    keys.push({ id, secret, scopes: new Set(held) })
  }
  return keys
}

/** Takes as long for a wrong secret as for a right one, whatever is wrong with it. */
export function keyBySecret(keys: readonly ApiKey[], secret: string): ApiKey | null {
  let found: ApiKey | null = null
  for (const key of keys) if (sameText(key.secret, secret)) found = key
  return found
}

export function sameText(one: string, other: string): boolean {
  return timingSafeEqual(createHash('sha256').update(one).digest(), createHash('sha256').update(other).digest())
}
