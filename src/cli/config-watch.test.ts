import assert from 'node:assert/strict'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Config } from '../app/config.ts'
import { loadConfig } from '../app/config-file.ts'
import { Fault } from '../base/fault.ts'
import { ConfigWatch } from './config-watch.ts'

interface Bench {
  watch: ConfigWatch
  told: string[]
  /** Names of the content columns that were taken. */
  taken: string[][]
  write: (text: string) => Promise<void>
  remove: () => Promise<void>
  until: (what: () => boolean) => Promise<void>
  refuse: { why: string | null }
}

async function withWatch(name: string, text: string, work: (bench: Bench) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(path.join(tmpdir(), 'tidewater-config-'))
  const file = path.join(dir, name)
  // As editors and deployments do it: another file in its place.
  const write = async (next: string) => {
    await writeFile(`${file}.new`, next)
    await rename(`${file}.new`, file)
  }
  await write(text)
  const told: string[] = []
  const taken: string[][] = []
  const refuse: Bench['refuse'] = { why: null }
  const load = async (stamp: string): Promise<Config> => (await loadConfig(file, dir, stamp)).config
  const watch = await ConfigWatch.open({
    file,
    running: await load(''),
    load,
    remap: async ({ objects }) => {
      if (refuse.why !== null) throw new Fault('invalid', refuse.why)
      taken.push(Object.keys(objects.content.columns ?? {}))
      return { rows: 3, castErrors: 0 }
    },
    tell: (_level, event, message) => told.push(`${event}: ${message}`),
    pollMs: 10,
  })
  const until = async (what: () => boolean) => {
    for (let tries = 0; !what(); tries++) {
      assert.ok(tries < 1_000, `never came about: ${what}, told: ${told}`)
      await delay(10)
    }
  }
  try {
    await work({ watch, told, taken, write, remove: () => rm(file), until, refuse })
  } finally {
    await watch.close()
    await rm(dir, { recursive: true, force: true })
  }
}

const yaml = (columns: string, port = 1) => `objects:\n  content:\n    columns: {${columns}}\nhttp: { port: ${port} }\n`
const a = `a: { type: 'STRING', jpath: '$.a' }`
const b = `b: { type: 'LONG', jpath: '$.b' }`

test('a file that changes is taken as far as it can be, and the rest is named', async () => {
  await withWatch('tidewater.config.yaml', yaml(a), async ({ told, taken, write, until }) => {
    await write(yaml(`${a}, ${b}`, 2))
    await until(() => taken.length === 1)
    assert.deepEqual(taken, [['a', 'b']])
    await until(() => told.length === 2)
    assert.deepEqual(told, [
      'config-needs-restart: changed, and taken at the next start: http.port',
      'content-columns: content columns changed: 3 rows had theirs filled',
    ])
  })
})

test('a file that is wrong is told, the settings stay, and the next good one is taken', async () => {
  await withWatch('tidewater.config.yaml', yaml(a), async ({ told, taken, write, until, refuse }) => {
    await write(yaml('a: { type: NONSENSE, jpath: "$.a" }'))
    await until(() => told.length === 1)
    assert.match(
      told[0] ?? '',
      /^config-refused: the settings stay as they were: .*objects\.content\.columns\.a\.type/s,
    )
    refuse.why = 'column a has another type'
    await write(yaml(b))
    await until(() => told.length === 2)
    assert.match(told[1] ?? '', /^config-refused: content columns stay as they were: column a has another type/)
    refuse.why = null
    await write(yaml(`${b}, ${a}`))
    await until(() => taken.length === 1)
  })
})

test('a module is evaluated anew, and somebody may say that the file is to be read', async () => {
  const module = (columns: string) => `export default { objects: { content: { columns: {${columns}} } } }\n`
  await withWatch('tidewater.config.mjs', module(a), async ({ watch, told, taken, write, until }) => {
    await watch.reload()
    assert.deepEqual(told, ['config-read: the configuration was read anew: nothing has changed'])
    await write(module(`${a}, ${b}`))
    await until(() => taken.length === 1)
    assert.deepEqual(taken, [['a', 'b']])
  })
})

test('a file that is gone is told once, and once when it is there again', async () => {
  await withWatch('tidewater.config.yaml', yaml(a), async ({ told, taken, write, remove, until }) => {
    for (const columns of [`${a}, ${b}`, a]) {
      await remove()
      await until(() => told.length === 1)
      await delay(100)
      assert.equal(told.length, 1)
      assert.match(told[0] ?? '', /^config-refused: .*tidewater\.config\.yaml is gone; the settings stay as they were/)
      await write(yaml(columns))
      await until(() => told.length === 3)
      assert.match(told[1] ?? '', /^config-read: .*tidewater\.config\.yaml is there again$/)
      assert.match(told[2] ?? '', /^content-columns: /)
      told.length = 0
    }
    assert.deepEqual(taken, [['a', 'b'], ['a']])
  })
})
