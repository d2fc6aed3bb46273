/** The sources that the configuration names, with the clients that they read by. Secrets come from the environment alone. */
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { Fault, messageOf } from '../base/fault.ts'
import { type KafkaSettings, kafkaGroup } from '../service/streams/sources/settings.ts'
import { Sources, type SourcesOptions } from '../service/streams/streams.ts'
import type { KafkaConnection, KafkaMember } from '../source/source.ts'
import { openFileStore } from '../store/file.ts'
import { secretOfVariable } from './secrets.ts'

export interface AppSourcesOptions extends Omit<SourcesOptions, 'joinKafka' | 'resolve' | 'openDirectory'> {
  /** Folder that relative paths in the configuration start from. */
  configDir: string
}

export function openSources(options: AppSourcesOptions): Sources {
  return new Sources({
    ...options,
    openDirectory: (directory) => openFileStore({ root: directory }),
    resolve: (named) => path.resolve(options.configDir, named),
    joinKafka: (name, settings, signal) =>
      joinTopics(
        { ...settings, where: `sources.${name}.kafka`, group: kafkaGroup(name, settings) },
        options.configDir,
        signal,
      ),
  })
}

/** What of the settings says how topics are reached. */
export interface TopicAccess extends Pick<KafkaSettings, 'brokers' | 'topics' | 'isolation' | 'tls' | 'sasl'> {
  group: string
  /** Their path in the configuration, for messages. */
  where: string
}

/** The client is loaded where a source needs it, and files and variables are read at every joining: keys may change. */
export async function joinTopics(access: TopicAccess, configDir: string, signal: AbortSignal): Promise<KafkaMember> {
  const { joinKafka } = await import('../source/kafka-client.ts')
  return joinKafka(await connectionOf(access, configDir), signal)
}

/** Those of the topics that are not there. @throws Fault as `joinTopics`: of the broker, the files and the variables */
export async function lookAtTopics(access: TopicAccess, configDir: string): Promise<readonly string[]> {
  const { missingTopics } = await import('../source/kafka-client.ts')
  return missingTopics(await connectionOf(access, configDir))
}

async function connectionOf(access: TopicAccess, configDir: string): Promise<KafkaConnection> {
  const { brokers, topics, isolation, tls, sasl, group, where } = access
  return {
    brokers,
    topics: [...new Set(topics)],
    group,
    readUncommitted: isolation === 'read_uncommitted',
    tls: await tlsOf(tls, where, configDir),
    sasl: sasl === undefined ? null : saslOf(sasl, where),
  }
}

async function tlsOf(tls: KafkaSettings['tls'], where: string, configDir: string): Promise<KafkaConnection['tls']> {
  if (tls === false) return null
  if (tls === true) return {}
  const read = async (key: 'caFile' | 'certFile' | 'keyFile') => {
    const named = tls[key]
    if (named === undefined) return undefined
    const file = path.resolve(configDir, named)
    return readFile(file).catch((error: unknown) => {
      throw new Fault('not-found', `${where}.tls.${key}: cannot read ${file}: ${messageOf(error)}`)
    })
  }
  const [ca, cert, key] = [await read('caFile'), await read('certFile'), await read('keyFile')]
  const passphrase =
    tls.passphraseVariable === undefined
      ? undefined
      : secretOfVariable(tls.passphraseVariable, `${where}.tls.passphraseVariable`)
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(passphrase === undefined ? {} : { passphrase }),
  }
}

function saslOf(sasl: NonNullable<KafkaSettings['sasl']>, where: string): NonNullable<KafkaConnection['sasl']> {
  if (sasl.mechanism === 'OAUTHBEARER')
    return { mechanism: sasl.mechanism, token: secretOfVariable(sasl.tokenVariable, `${where}.sasl.tokenVariable`) }
  return {
    mechanism: sasl.mechanism,
    username: secretOfVariable(sasl.usernameVariable, `${where}.sasl.usernameVariable`),
    password: secretOfVariable(sasl.passwordVariable, `${where}.sasl.passwordVariable`),
  }
}
