/**
 * Who may do what: API keys with scopes, for all streams or some, and with rates.
 *
 * A key has a line of its own: `<id> <secret> <scope>[,<scope>…] [records=<n>/s] [bytes=<n>[KiB|MiB]/s]`. A scope may name one
 * stream (`write:web`) or those whose names begin alike (`write:web-*`). A program sends the secret (`Authorization: Bearer …` or
 * `X-Api-Key`); an AWS client signs with id and secret as its access key (`sigv4.ts`). Without any key everybody who reaches the
 * port may do everything: then the server listens on loopback only.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { Fault } from '../base/fault.ts'

/** `read`: list, describe, query. `write`: put records. `admin`: make, change and remove streams; holds the others. */
export const SCOPES = ['read', 'write', 'admin'] as const
export type Scope = (typeof SCOPES)[number]

/** A scope for the streams that `streams` names: one name, a beginning with `*` behind it, or `*`. */
export interface Grant {
  scope: Scope
  streams: string
}

/** What a key may send in a second, on average; null: as much as it likes. */
export interface Rates {
  recordsPerSecond: number | null
  bytesPerSecond: number | null
}

export interface ApiKey {
  id: string
  secret: string
  grants: readonly Grant[]
  rates: Rates
}

const GRANT = /^(read|write|admin)(?::([A-Za-z0-9_.-]{1,64}\*?|\*))?$/
const BYTES: Readonly<Record<string, number>> = { '': 1, KiB: 1024, MiB: 1024 ** 2 }

/** Lines, or the same separated by `;`. `#` begins a comment. @throws Fault `invalid` naming the line, never the secret */
export function parseKeys(text: string, source: string): ApiKey[] {
  const keys: ApiKey[] = []
  for (const [at, line] of text.split(/[\n;]/).entries()) {
    const words = line
      .replace(/(^|\s)#.*$/, '')
      .trim()
      .split(/\s+/)
    if (words[0] === '') continue
    const where = `${source}, line ${at + 1}`
    const [id = '', secret = '', scopeText = '', ...rest] = words
    if (scopeText === '')
      throw new Fault('invalid', `${where}: expected "<id> <secret> <scopes>", got ${words.length} words`)
    if (!/^[\w.-]{1,128}$/.test(id))
      throw new Fault('invalid', `${where}: an id has 1 to 128 letters, digits, ".", "_" or "-"`)
    if (secret.length < 16) throw new Fault('invalid', `${where}: a secret has at least 16 characters`)
    if (keys.some((key) => key.id === id)) throw new Fault('invalid', `${where}: there is a key "${id}" already`)
    if (keys.some((key) => sameText(key.secret, secret)))
      throw new Fault('invalid', `${where}: another key has the same secret`)
    keys.push({
      id,
      secret,
      grants: scopeText.split(',').map((scope) => parseGrant(scope, where)),
      rates: parseRates(rest, where),
    })
  }
  return keys
}

function parseGrant(text: string, where: string): Grant {
  const [, scope, streams = '*'] = GRANT.exec(text) ?? []
  if (scope === undefined)
    throw new Fault(
      'invalid',
      `${where}: expected scopes out of ${SCOPES.join(', ')}, each with ":<stream>" behind it or not, got "${text.slice(0, 80)}"`,
    )
  return { scope: scope as Scope, streams }
}

function parseRates(words: readonly string[], where: string): Rates {
  const rates: Rates = { recordsPerSecond: null, bytesPerSecond: null }
  for (const word of words) {
    const [, what, digits, unit = ''] = /^(records|bytes)=(\d{1,12})(KiB|MiB)?\/s$/.exec(word) ?? []
    const number = Number(digits) * (BYTES[unit] ?? Number.NaN)
    if (!(number > 0) || (what === 'records' && unit !== ''))
      throw new Fault(
        'invalid',
        `${where}: expected "<id> <secret> <scopes>" and then at most records=<n>/s and bytes=<n>MiB/s, got a word that is neither`,
      )
    if (what === 'records') rates.recordsPerSecond = number
    else rates.bytesPerSecond = number
  }
  return rates
}

/** @param stream what is asked is about it; null: about no stream, or about all of them */
export function allows(key: ApiKey, scope: Scope, stream: string | null): boolean {
  return key.grants.some((grant) => (grant.scope === scope || grant.scope === 'admin') && covers(grant.streams, stream))
}

/** Has the key the scope for any stream at all? */
export function allowsSome(key: ApiKey, scope: Scope): boolean {
  return key.grants.some((grant) => grant.scope === scope || grant.scope === 'admin')
}

function covers(streams: string, stream: string | null): boolean {
  if (streams === '*') return true
  if (stream === null) return false
  return streams.endsWith('*') ? stream.startsWith(streams.slice(0, -1)) : stream === streams
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
