import assert from 'node:assert/strict'
import { access, mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { cli, inTempDir } from '../../test/support/cli.ts'
import { problemsOf } from '../../test/support/config-problems.ts'
import { isFault } from '../base/fault.ts'
import { parseConfig } from './config.ts'
import { openEngine } from './engine.ts'
import { homeAt } from './home.ts'

const queueUrl = 'https://sqs.eu-central-1.amazonaws.com/111122223333/uploads'
const kafka = { brokers: ['h:9092'], topics: ['t'] }
const table = 'default.clicks'

const input = {
  s3: { default: { 's3.access-key-id': 'id', 's3.secret-access-key': 'env:S3_SECRET' } },
  objects: {
    sources: {
      hook: { type: 'webhook', token: 'env:HOOK_TOKEN' },
      own: { type: 'webhook', token: 'short' },
      queue: { type: 'sqs', queueUrl, 'client.access-key-id': 'id', 'client.secret-access-key': 'env:QUEUE_SECRET' },
      topic: {
        type: 'kafka',
        ...kafka,
        group: 'g',
        tls: { passphraseVariable: 'TLS_PHRASE' },
        sasl: { mechanism: 'PLAIN', usernameVariable: 'SASL_USER', passwordVariable: 'SASL_PASSWORD' },
      },
    },
  },
  sources: {
    in: { stream: 'clicks', kafka: { ...kafka, sasl: { mechanism: 'OAUTHBEARER', tokenVariable: 'TOKEN' } } },
  },
  streams: {
    clicks: {
      table,
      columns: { a: 'string', net: 'string' },
      enrich: { ip: { column: 'net', as: 'hash', secretEnv: 'IP_SECRET' } },
    },
  },
}

const VARIABLES: [path: string, variable: string][] = [
  ['s3.default["s3.secret-access-key"]', 'S3_SECRET'],
  ['objects.sources.hook.token', 'HOOK_TOKEN'],
  ['objects.sources.queue.client.secret-access-key', 'QUEUE_SECRET'],
  ['objects.sources.topic.tls.passphraseVariable', 'TLS_PHRASE'],
  ['objects.sources.topic.sasl.usernameVariable', 'SASL_USER'],
  ['objects.sources.topic.sasl.passwordVariable', 'SASL_PASSWORD'],
  ['sources.in.kafka.sasl.tokenVariable', 'TOKEN'],
  ['streams.clicks.enrich.ip', 'IP_SECRET'],
]

test('every secret that the environment lacks is told at once, each by its path and once, with the variable', () => {
  const problems = problemsOf(input, {})
  for (const [where, variable] of VARIABLES) {
    const told = problems.filter((line) => line.startsWith(`${where}: `))
    assert.equal(told.length, 1, `${where}: ${problems.join('\n')}`)
    assert.ok(told[0]?.includes(variable), told[0])
  }
  assert.match(problems.join('\n'), /objects\.sources\.own\.token: expected at least 16 characters, got 5/)
  assert.equal(problems.length, VARIABLES.length + 1, problems.join('\n'))
})

test('a command that starts no source asks for none of its secrets', () => {
  assert.deepEqual(
    problemsOf(input, undefined).map((line) => line.split(': ')[0]),
    ['s3.default["s3.secret-access-key"]'],
  )
})

async function isThere(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  )
}

test('a start without its secrets says all of them and makes nothing on disk', async () => {
  await inTempDir(async (dir) => {
    const home = path.join(dir, 'home')
    const config = path.join(dir, 'config.json')
    await writeFile(config, JSON.stringify(input))
    const env = Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !VARIABLES.some(([, variable]) => variable === name)),
    )
    const { code, stdout, stderr } = await cli(['start', '--home', home, '--config', config, '--port', '0'], { env })
    assert.deepEqual([code, stdout], [2, ''], stderr)
    for (const [where] of VARIABLES) assert.equal(stderr.split(`${where}: `).length, 2, `${where}: ${stderr}`)
    assert.equal(await isThere(home), false)
    // Nor in a folder that is there.
    await mkdir(home)
    await cli(['start', '--home', home, '--config', config, '--port', '0'], { env })
    assert.equal(await isThere(path.join(home, 'logs')), false)
  })
})

test('streams that lack a secret keep everything from being opened, before anything is made', async () => {
  await inTempDir(async (dir) => {
    const { streams } = input
    const config = parseConfig({ streams }, 'the file')
    const home = homeAt(path.join(dir, 'home'))
    await assert.rejects(
      openEngine({ home, config, configDir: dir }),
      (error) => isFault(error, 'invalid') && /streams\.clicks\.enrich\.ip: .*IP_SECRET/.test(error.message),
    )
    assert.equal(await isThere(home.dir), false)
  })
})
