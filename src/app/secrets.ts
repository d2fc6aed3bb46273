/**
 * Secrets that the configuration takes from the environment, by the names of variables. All of them are looked up before anything is
 * made, so that one that is not set costs a message and nothing else.
 */
import { Fault, isFault } from '../base/fault.ts'
import { addressSecret } from '../service/streams/enrich/enrich.ts'
import type { KafkaSettings } from '../service/streams/sources/settings.ts'
import type { ObjectSourceSettings } from './settings/object-sources.ts'
import type { SourcesSettings, StreamsSettings } from './settings/streams.ts'

export type Environment = Readonly<Record<string, string | undefined>>

const NAMED = /^env:([A-Za-z_][A-Za-z0-9_]*)$/
const TOKEN_MIN = 16

/** Properties of a queue's connection that may name a variable. */
export const QUEUE_SECRETS = ['client.access-key-id', 'client.secret-access-key', 'client.session-token'] as const

/** A secret as it stands in a setting, or that of the variable which `env:NAME` names. @throws Fault `invalid` when that is not set */
export function secretOf(text: string | undefined, where: string, env: Environment = process.env): string | null {
  if (text === undefined) return null
  const [, variable] = NAMED.exec(text) ?? []
  return variable === undefined ? text : secretOfVariable(variable, where, env)
}

/** @throws Fault `invalid` when the variable is not set */
export function secretOfVariable(variable: string, where: string, env: Environment = process.env): string {
  const value = env[variable]
  if (value === undefined || value === '')
    throw new Fault('invalid', `${where}: the environment has no variable ${variable}; set it before the start`)
  return value
}

/** @throws Fault `invalid` for a variable that is not set, or a token that is easily guessed */
export function tokenOf(text: string | undefined, where: string, env: Environment = process.env): string | null {
  const token = secretOf(text, where, env)
  if (token !== null && token.length < TOKEN_MIN)
    throw new Fault('invalid', `${where}: expected at least ${TOKEN_MIN} characters, got ${token.length}`)
  return token
}

/** What of a configuration names secrets. */
interface SecretsNamed {
  objects: { sources: Readonly<Record<string, ObjectSourceSettings>> }
  sources: SourcesSettings
  streams: StreamsSettings
}

/** What a server cannot be without, in sentences that begin with the path of the setting. */
export function secretProblems(config: SecretsNamed, env: Environment): string[] {
  const { problems, look } = found()
  for (const [name, settings] of Object.entries(config.objects.sources)) {
    const where = `objects.sources.${name}`
    switch (settings.type) {
      case 'sqs':
        for (const key of QUEUE_SECRETS) look(() => secretOf(settings[key], `${where}.${key}`, env))
        break
      case 'webhook':
        look(() => tokenOf(settings.token, `${where}.token`, env))
        break
      case 'kafka':
        for (const [variable, at] of topicVariables(settings, where)) look(() => secretOfVariable(variable, at, env))
        break
      case 'directory':
        break
    }
  }
  for (const [name, { kafka }] of Object.entries(config.sources)) {
    for (const [variable, at] of kafka === undefined ? [] : topicVariables(kafka, `sources.${name}.kafka`))
      look(() => secretOfVariable(variable, at, env))
  }
  return [...problems, ...streamSecretProblems(config, env)]
}

/** What streams cannot be opened without, whatever they are opened for. */
export function streamSecretProblems({ streams }: Pick<SecretsNamed, 'streams'>, env: Environment): string[] {
  const { problems, look } = found()
  for (const [name, { enrich }] of Object.entries(streams)) {
    const ip = enrich?.ip
    if (ip !== undefined) look(() => addressSecret(ip, env), `streams.${name}.`)
  }
  return problems
}

function found() {
  const problems: string[] = []
  const look = (secret: () => unknown, path = ''): void => {
    try {
      secret()
    } catch (error) {
      if (!isFault(error, 'invalid')) throw error
      problems.push(`${path}${error.message}`)
    }
  }
  return { problems, look }
}

/** Each with its path. */
function topicVariables({ tls, sasl }: Pick<KafkaSettings, 'tls' | 'sasl'>, where: string): [string, string][] {
  const variables = {
    'tls.passphraseVariable': typeof tls === 'object' ? tls.passphraseVariable : undefined,
    ...(sasl?.mechanism === 'OAUTHBEARER' && { 'sasl.tokenVariable': sasl.tokenVariable }),
    ...(sasl !== undefined &&
      sasl.mechanism !== 'OAUTHBEARER' && {
        'sasl.usernameVariable': sasl.usernameVariable,
        'sasl.passwordVariable': sasl.passwordVariable,
      }),
  }
  return Object.entries(variables).flatMap(([key, variable]) =>
    variable === undefined ? [] : [[variable, `${where}.${key}`]],
  )
}

/** Where secrets stand in the configuration itself, in sentences. */
export function secretNotes(configured: Readonly<Record<string, ObjectSourceSettings>>): string[] {
  return Object.entries(configured).flatMap(([name, settings]) => {
    const secrets =
      settings.type === 'webhook'
        ? { token: settings.token }
        : settings.type === 'sqs'
          ? { 'client.secret-access-key': settings['client.secret-access-key'] }
          : {}
    return Object.entries(secrets)
      .filter(([, value]) => value !== undefined && !NAMED.test(value))
      .map(
        ([key]) =>
          `objects.sources.${name}.${key}: the secret stands in the file; env:NAME takes it from the variable NAME`,
      )
  })
}
