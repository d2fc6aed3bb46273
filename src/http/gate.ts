/**
 * Who may come in, and as whom: keys and their scopes, rates, and what a request's records say of their sender.
 *
 * A request is let in before its body is read. One that an AWS client signed is let in by the key it names, and its signature is
 * checked when the body is there; nothing is done with the body before.
 */
import type { FastifyRequest } from 'fastify'
import type { Clock } from '../base/clock.ts'
import type { RecordOrigin } from '../service/streams/streams.ts'
import { type ApiKey, allows, allowsSome, keyBySecret, type Scope } from './access.ts'
import { AwsProblem } from './aws-problem.ts'
import { RateLimiter } from './rates.ts'
import { type Claim, checkClaim, claimOf } from './sigv4.ts'
import { HttpProblem } from './status.ts'

/** Keys as they are, or as they are now. */
export type Keys = readonly ApiKey[] | (() => readonly ApiKey[])

/** A signed request that is let in as far as its body. */
export interface AwsEntry {
  key: ApiKey | null
  region: string | null
  /** @throws AwsProblem when the body is not the one that was signed */
  prove(body: Uint8Array): void
}

export class Gate {
  readonly rates: RateLimiter
  readonly #clock: Clock
  readonly #keys: Keys
  #lastKeys: readonly ApiKey[] = []
  readonly #entered = new WeakMap<FastifyRequest, ApiKey>()

  constructor(keys: Keys, clock: Clock) {
    this.#keys = keys
    this.#clock = clock
    this.rates = new RateLimiter(clock)
  }

  get keys(): readonly ApiKey[] {
    const keys = typeof this.#keys === 'function' ? this.#keys() : this.#keys
    if (keys !== this.#lastKeys) this.rates.keepOnly(keys)
    this.#lastKeys = keys
    return keys
  }

  /** A hook for routes. @param about the stream of the path, none, or any: the route then looks at each with `may` */
  enter(scope: Scope, about: 'stream' | 'all' | 'some'): (request: FastifyRequest) => Promise<void> {
    return async (request) => {
      const { keys } = this
      if (keys.length === 0) return
      const key = secretKey(request, keys)
      if (key === null)
        throw new HttpProblem(
          401,
          'unauthenticated',
          'expected an API key, as "Authorization: Bearer <secret>" or "X-Api-Key: <secret>"',
        )
      const { name = null } = about === 'stream' ? (request.params as { name?: string }) : {}
      if (about === 'some' ? !allowsSome(key, scope) : !allows(key, scope, name))
        throw new HttpProblem(
          403,
          'forbidden',
          `the key "${key.id}" does not have the scope ${scope}${name === null ? '' : ` for stream ${name.slice(0, 64)}`}`,
        )
      if (scope === 'write') this.rates.check(key)
      this.#entered.set(request, key)
    }
  }

  /** May whoever asks see how everything is? They have come in without a key where there are none. */
  mayLook(request: FastifyRequest): boolean {
    const { keys } = this
    if (keys.length === 0) return true
    const key = secretKey(request, keys)
    return key !== null && allows(key, 'read', null)
  }

  /** The key that a request came in with; null: there are no keys. */
  keyOf(request: FastifyRequest): ApiKey | null {
    return this.#entered.get(request) ?? null
  }

  may(key: ApiKey | null, scope: Scope, stream: string | null): boolean {
    return key === null || allows(key, scope, stream)
  }

  /** @throws AwsProblem */
  enterAws(request: FastifyRequest, scope: Scope): AwsEntry {
    const { keys } = this
    const header = headerOf(request)
    if (keys.length === 0) return { key: null, region: regionOf(header('authorization')), prove: () => undefined }
    const { method, url } = request
    const signed = { method, url, header, nowMs: this.#clock.nowMs() }
    let key: ApiKey | null
    let claim: Claim | null = null
    if (header('authorization')?.startsWith('AWS4') === true || header('x-api-key') === undefined) {
      const bearer = secretKey(request, keys)
      const found = bearer === null ? claimOf(signed, keys) : null
      if (found !== null && 'code' in found) throw new AwsProblem(found.code, found.message, 403)
      claim = found
      key = bearer ?? found?.key ?? null
    } else key = secretKey(request, keys)
    if (key === null)
      throw new AwsProblem('UnrecognizedClientException', 'The security token included in the request is invalid.', 403)
    if (!allowsSome(key, scope)) throw this.#denied(key, scope)
    if (scope === 'write') this.rates.check(key)
    return {
      key,
      region: claim?.region ?? null,
      prove: (body) => {
        const problem = claim === null ? null : checkClaim(claim, signed, body)
        if (problem !== null) throw new AwsProblem(problem.code, problem.message, 403)
      },
    }
  }

  /** @throws AwsProblem unless the key has the scope for the stream */
  requireAws(key: ApiKey | null, scope: Scope, stream: string | null): void {
    if (key !== null && !allows(key, scope, stream)) throw this.#denied(key, scope)
  }

  #denied(key: ApiKey, scope: Scope): AwsProblem {
    return new AwsProblem('AccessDeniedException', `The key "${key.id}" does not have the scope ${scope}.`, 403)
  }

  originOf(request: FastifyRequest): RecordOrigin {
    return { receivedMs: this.#clock.nowMs(), ip: request.ip ?? null, userAgent: request.headers['user-agent'] ?? null }
  }
}

/** Where an unchecked signature says it was made for. */
function regionOf(authorization: string | undefined): string | null {
  return /Credential=[^/,\s]+\/\d{8}\/([a-z][a-z0-9-]{0,31})\//.exec(authorization ?? '')?.[1] ?? null
}

function secretKey(request: FastifyRequest, keys: readonly ApiKey[]): ApiKey | null {
  const header = headerOf(request)
  const secret = header('x-api-key') ?? /^Bearer +(\S+)$/i.exec(header('authorization') ?? '')?.[1]
  return secret === undefined ? null : keyBySecret(keys, secret)
}

export function headerOf(request: FastifyRequest): (name: string) => string | undefined {
  return (name) => {
    const value = request.headers[name]
    return Array.isArray(value) ? value.join(',') : value
  }
}
