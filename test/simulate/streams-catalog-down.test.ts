/**
 * The real server while its catalog is held by somebody else for longer than any wait for it: records go on being acknowledged up to
 * the bound of what may wait, then senders are told to come again; log and memory stay within that bound, and everything that was
 * acknowledged is committed once.
 */
import assert from 'node:assert/strict'
import { readdir, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { limits } from '../../src/base/limits.ts'
import { inTempDir, sqlRows } from '../support/cli.ts'
import { lockCatalog } from './locked-catalog.ts'
import { ended, startServer } from './streams-server.ts'

const DOWN_MS = 130_000
const BACKLOG_MIB = 16
const MiB = 1024 ** 2
const SENDERS = 2
const BATCH = 100
const PADDING = 'x'.repeat(2_000)

const CONFIG = `streams:
  flood: { table: demo.flood, columns: { id: STRING NOT NULL, padding: STRING }, buffer: { seconds: 0.2 } }
limits: { streamBacklogMiB: ${BACKLOG_MIB} }
`

class Sender {
  readonly #name: string
  readonly #url: string
  acknowledged = 0
  refused = 0
  #over = false

  constructor(name: string, url: string) {
    this.#name = name
    this.#url = url
  }

  /** Sends batches, each until it is answered. */
  async run(): Promise<void> {
    while (!this.#over) {
      const ids = Array.from({ length: BATCH }, (_, at) => `${this.#name}-${this.acknowledged + at}`)
      const response = await fetch(`${this.#url}/v1/streams/flood/records`, {
        method: 'POST',
        headers: {
          'content-type': 'application/x-ndjson',
          'producer-id': this.#name,
          'producer-sequence': String(this.acknowledged),
        },
        body: ids.map((id) => JSON.stringify({ id, padding: PADDING })).join('\n'),
      })
      const text = await response.text()
      if (response.status === 200) {
        this.acknowledged += BATCH
        continue
      }
      assert.equal(response.status, 429, text)
      assert.match(response.headers.get('retry-after') ?? '', /^\d+$/)
      this.refused++
      await delay(200)
    }
  }

  end(): void {
    this.#over = true
  }
}

async function bytesIn(folder: string): Promise<number> {
  const files = await readdir(folder)
  const sizes = await Promise.all(
    files.map((file) =>
      stat(path.join(folder, file)).then(
        ({ size }) => size,
        () => 0,
      ),
    ),
  )
  return sizes.reduce((sum, size) => sum + size, 0)
}

test('records are taken up to the bound while the catalog is held for over two minutes, and are committed once when it is free', async (t) => {
  assert.ok(DOWN_MS > limits.catalogBusyMs, 'longer than a commit waits')
  await inTempDir(async (dir) => {
    const home = path.join(dir, 'home')
    const config = path.join(dir, 'config.yaml')
    await writeFile(config, CONFIG)
    const server = await startServer(home, config)
    const senders = Array.from({ length: SENDERS }, (_, at) => new Sender(`s${at}`, server.url))
    const acknowledged = () => senders.reduce((sum, sender) => sum + sender.acknowledged, 0)
    const refused = () => senders.reduce((sum, sender) => sum + sender.refused, 0)
    const until = async (holds: () => boolean, what: string, forMs = 60_000) => {
      for (let waitedMs = 0; !holds(); waitedMs += 50) {
        assert.ok(waitedMs < forMs, `waited in vain: ${what}\n${server.told()}`)
        await delay(50)
      }
    }
    const memoryBytes = async () => {
      const metrics = await (await fetch(`${server.url}/metrics`)).text()
      return Number(/^process_resident_memory_bytes (\S+)$/m.exec(metrics)?.[1])
    }
    try {
      const holder = await lockCatalog(home, DOWN_MS)
      const sending = Promise.all(senders.map((sender) => sender.run()))
      sending.catch(() => undefined)
      await until(() => refused() > 0, 'the bound is reached')
      const taken = acknowledged()
      assert.ok(taken * PADDING.length > BACKLOG_MIB * MiB * 0.8, `${taken} were taken before the first was refused`)
      const before = await memoryBytes()
      await ended(holder)
      // One request of each sender may begin below the bound.
      const most = (BACKLOG_MIB * MiB + (SENDERS + 1) * BATCH * (PADDING.length + 200)) * 1.1
      const log = await bytesIn(path.join(home, 'logs', 'stream-flood'))
      assert.ok(log < most, `${log} bytes of log, at most ${most} may be`)
      const after = await memoryBytes()
      t.diagnostic(`${taken} taken, then ${refused()} refused; log ${log} bytes; memory ${before} to ${after} bytes`)
      assert.ok(after < before + 256 * MiB, `memory grew from ${before} to ${after} while nothing was taken`)
      assert.match(server.told(), /stayed locked by another process/)
      const then = acknowledged()
      await until(() => acknowledged() > then, 'records are taken again')
      for (const sender of senders) sender.end()
      await sending
      server.child.kill('SIGTERM')
      assert.equal(await ended(server.child), 0, server.told())
      const total = acknowledged()
      assert.deepEqual(
        await sqlRows(home, 'SELECT count(*)::INTEGER AS rows, count(DISTINCT id)::INTEGER AS ids FROM demo.flood'),
        [{ rows: total, ids: total }],
      )
      for (const [at, sender] of senders.entries())
        assert.deepEqual(
          await sqlRows(
            home,
            `SELECT max(CAST(split_part(id, '-', 2) AS INTEGER)) AS last FROM demo.flood WHERE id LIKE 's${at}-%'`,
          ),
          [{ last: sender.acknowledged - 1 }],
        )
    } finally {
      for (const sender of senders) sender.end()
      server.child.kill('SIGKILL')
    }
  })
})
