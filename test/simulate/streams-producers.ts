/**
 * Producers of a real server, which send again until they are answered, break off in the middle of a body, and send what was
 * answered once more; and the check that every record that they were answered is there once.
 */
import assert from 'node:assert/strict'
import { request } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { cli, sqlRows } from '../support/cli.ts'
import type { Random } from './random.ts'

const PARTS = 4
const PRODUCERS = 3
const ANSWER_MS = 15_000
/** Requests that were answered and may be sent again. */
const ANSWERED_KEPT = 50

export const STREAMS = `streams:
  numbered: { table: demo.numbered, columns: { id: STRING NOT NULL, n: LONG }, buffer: { seconds: 0.1 } }
  once: { table: demo.once, columns: { id: STRING NOT NULL, n: LONG }, buffer: { seconds: 0.3 } }
  routed:
    table: demo.routed
    columns: { id: STRING NOT NULL, n: LONG, part: STRING }
    route: { table: 'routed_{$.part}', otherwise: dead-letter }
    buffer: { seconds: 0.1 }
  keyed:
    table: demo.keyed
    columns: { id: STRING NOT NULL, n: LONG, part: STRING }
    uniqueKeys: [id]
    route: { table: 'keyed_{$.part}' }
    buffer: { seconds: 0.2 }
`

type Rows = 'numbered' | 'once' | 'routed'

interface Batch {
  stream: string
  headers: Record<string, string>
  records: readonly object[]
}

export class Producers {
  readonly counts = { answered: 0, refused: 0, brokenOff: 0, again: 0 }
  readonly #random: Random
  readonly #url: () => string | null
  readonly #acknowledged = { numbered: new Set<string>(), once: new Set<string>(), routed: new Set<string>() }
  readonly #letters = { numbered: new Set<string>(), once: new Set<string>(), routed: new Set<string>() }
  /** Of the keyed stream, the value that each key was given last. */
  readonly #values = new Map<string, number>()
  readonly #answered: Batch[] = []
  #over = false
  #abandoned = false
  #working: Promise<unknown> = Promise.resolve()

  /** @param url null: no server runs now */
  constructor(random: Random, url: () => string | null) {
    this.#random = random
    this.#url = url
  }

  start(): void {
    const work = Array.from({ length: PRODUCERS }, (_, producer) => [
      this.#produce('numbered', producer),
      this.#produce('once', producer),
      this.#produce('routed', producer),
      this.#overwrite(producer),
    ])
    this.#working = Promise.all(work.flat())
    // Told by `finish`.
    this.#working.catch(() => undefined)
  }

  /** Ends when everybody has the answer to what is under way. */
  async finish(): Promise<void> {
    this.#over = true
    await this.#working
  }

  /** Ends without an answer to what is under way. */
  abandon(): void {
    this.#over = true
    this.#abandoned = true
  }

  /** Sends a batch until it is answered, whatever happens in between. */
  async #send(batch: Batch): Promise<void> {
    const { stream, headers, records } = batch
    const body = records.map((record) => JSON.stringify(record)).join('\n')
    const random = this.#random
    while (!this.#abandoned) {
      const url = this.#url()
      if (url === null) {
        await delay(20)
        continue
      }
      if (random.chance(0.05)) {
        this.counts.brokenOff++
        await breakOff(`${url}/v1/streams/${stream}/records`, headers, body, random.below(body.length))
      }
      try {
        const response = await fetch(`${url}/v1/streams/${stream}/records`, {
          method: 'POST',
          headers: { 'content-type': 'application/x-ndjson', ...headers },
          body,
          signal: AbortSignal.timeout(ANSWER_MS),
        })
        const text = await response.text()
        if (response.status === 200) break
        this.counts.refused++
        assert.ok(response.status === 429 || response.status >= 500, `${response.status} ${text}`)
        if (response.status === 503) assert.match(response.headers.get('retry-after') ?? '', /^\d+$/, text)
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error
      }
      await delay(5 + random.below(20))
    }
    this.counts.answered++
    this.#answered.push(batch)
    if (this.#answered.length > ANSWERED_KEPT) this.#answered.splice(random.below(ANSWERED_KEPT), 1)
  }

  async #produce(stream: Rows, producer: number): Promise<void> {
    const random = this.#random
    let sequence = 0
    for (let request = 0; !this.#over; request++) {
      // Somebody whose answer was lost on its way, and who asks once more.
      if (this.#answered.length > 0 && random.chance(0.05)) {
        this.counts.again++
        await this.#send(random.pick(this.#answered))
        continue
      }
      const ids = Array.from({ length: 1 + random.below(20) }, (_, at) => `${producer}-${request}-${at}`)
      const bad = random.chance(0.2) ? random.below(ids.length) : -1
      const records = ids.map((id, at) => ({
        id,
        n: at === bad ? `bad ${id}` : at,
        ...(stream === 'routed' ? { part: String(random.below(PARTS)) } : {}),
      }))
      const headers: Record<string, string> =
        stream === 'once'
          ? { 'idempotency-key': `${producer}-${request}` }
          : { 'producer-id': `p${producer}`, 'producer-sequence': String(sequence) }
      await this.#send({ stream, headers, records })
      for (const [at, id] of ids.entries()) (at === bad ? this.#letters : this.#acknowledged)[stream].add(id)
      sequence += ids.length
      await delay(random.below(10))
    }
  }

  /** Gives the same keys new values again and again; each key is in one table. */
  async #overwrite(producer: number): Promise<void> {
    const random = this.#random
    for (let request = 0; !this.#over; request++) {
      const records = Array.from({ length: 1 + random.below(10) }, (_, at) => {
        const key = random.below(30)
        return { id: `${producer}-${key}`, n: request * 100 + at, part: String(key % PARTS) }
      })
      await this.#send({ stream: 'keyed', headers: { 'idempotency-key': `${producer}-${request}` }, records })
      for (const { id, n } of records) this.#values.set(id, n)
      await delay(random.below(10))
    }
  }

  /** Every acknowledged record is in its table or in dead letters, once; nothing else is; keys have their last values. */
  async check(home: string, config: string): Promise<void> {
    const partsOf = (stream: string, columns: string) =>
      Array.from({ length: PARTS }, (_, part) => `SELECT ${columns} FROM demo.${stream}_${part}`).join(' UNION ALL ')
    for (const stream of ['numbered', 'once', 'routed'] as const) {
      assert.ok(this.#acknowledged[stream].size > 0)
      const rows = await sqlRows(
        home,
        `${stream === 'routed' ? partsOf(stream, 'id') : `SELECT id FROM demo.${stream}`} ORDER BY id`,
      )
      assert.deepEqual(
        rows.map((row) => row['id']),
        [...this.#acknowledged[stream]].sort(),
        `${stream}: rows are the acknowledged records, each once`,
      )
      const kept = await sqlRows(
        home,
        `SELECT get_json_object(decode(payload), '$.id') AS id FROM tidewater.dead_letters WHERE stream = '${stream}' ORDER BY id`,
      )
      assert.deepEqual(
        kept.map((row) => row['id']),
        [...this.#letters[stream]].sort(),
        `${stream}: dead letters are the bad records, each once`,
      )
    }
    const keyed = await sqlRows(home, `${partsOf('keyed', 'id, n, part')} ORDER BY id`)
    assert.deepEqual(
      keyed.map(({ id, n }) => [id, Number(n)]),
      [...this.#values].sort(([one], [other]) => (one < other ? -1 : 1)),
      'keyed: a row for each key, with the value that it was given last',
    )
    const { stdout } = await cli(['doctor', '--home', home, '--config', config])
    assert.match(stdout, /^ok /m)
    // A small disk is no disagreement.
    assert.deepEqual(
      stdout.split('\n').filter((line) => /^PROBLEM {2}(?!home:)/.test(line)),
      [],
    )
  }
}

/** Sends a part of a body and hangs up. */
function breakOff(url: string, headers: Record<string, string>, body: string, length: number): Promise<void> {
  return new Promise((done) => {
    const outgoing = request(url, {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson', 'content-length': Buffer.byteLength(body), ...headers },
    })
    outgoing.on('error', () => done()).on('close', () => done())
    outgoing.on('response', (response) => response.resume())
    outgoing.write(body.slice(0, length), () => outgoing.destroy())
  })
}
