/** Those who send records to a simulated stream, and the book of what they were answered. */
import assert from 'node:assert/strict'
import {
  type Acceptance,
  type Identity,
  type IncomingRecord,
  PackedRecords,
  type RecordResult,
  type Records,
  type Stream,
} from '../../src/service/streams/streams.ts'
import type { Random } from './random.ts'
import { type Applied, type FakeLake, POISON } from './streams-parts.ts'

/** What the stream of a run is like. */
export interface Form {
  keyed: boolean
  /** Tables that it writes. */
  parts: number
  /** Some records are refused by their table, when they are committed. */
  poison: boolean
}

interface Sent {
  id: string
  n: number
  table: string
  op: 'upsert' | 'delete'
  kind: 'good' | 'bad' | 'poison'
  record: IncomingRecord
}

/** Every record ever sent, and whether its sender knows that it was taken. */
export class Ledger {
  readonly #sent: Sent[] = []
  readonly #taken = new Set<Sent>()
  acknowledged = 0
  repeated = 0
  #number = 0

  next(): number {
    return ++this.#number
  }

  made(sent: readonly Sent[]): void {
    this.#sent.push(...sent)
  }

  took(sent: readonly Sent[]): void {
    for (const one of sent) {
      if (!this.#taken.has(one)) this.acknowledged++
      this.#taken.add(one)
    }
  }

  /**
   * Every record that was acknowledged is in its table or in dead letters, once; any other at most once.
   * @param rowsOnly of a keyed table only its rows are known, and not the changes that made them
   */
  check(lake: FakeLake, letters: readonly Record<string, unknown>[], form: Form, rowsOnly = false): void {
    const rows = new Map<number, { table: string; applied: Applied }[]>()
    for (const [table, { applied }] of lake)
      for (const one of applied)
        if (one.op === 'upsert') rows.set(one.n, [...(rows.get(one.n) ?? []), { table, applied: one }])
    const kept = new Map<string, Set<string>>()
    for (const letter of letters) {
      const text = Buffer.from(String(letter['payload']), 'hex').toString()
      const key = /"mark":(\d+)/.exec(text)?.[1] ?? /"n":(\d+)/.exec(text)?.[1] ?? text
      const poison = text.includes(`"n":${POISON}`) ? (/"id":"([^"]+)"/.exec(text)?.[1] ?? '') : ''
      const name = poison === '' ? key : poison
      kept.set(name, (kept.get(name) ?? new Set()).add(String(letter['id'])))
    }
    for (const one of this.#sent) {
      // Of a delete there is nothing but its key in the log.
      if (one.op === 'delete') continue
      const overwritten = rowsOnly && form.keyed && one.kind === 'good'
      const taken = this.#taken.has(one)
      const what = `record ${one.id} ${one.n} (${one.kind}, ${taken ? 'acknowledged' : 'not acknowledged'})`
      const inTables = one.kind === 'poison' ? [] : (rows.get(one.n) ?? [])
      const inLetters = kept.get(one.kind === 'poison' ? one.id : String(one.n))?.size ?? 0
      const [here, there] = one.kind === 'good' ? [inTables.length, inLetters] : [inLetters, inTables.length]
      assert.equal(there, 0, `${what} is where it should not be`)
      assert.ok(here <= 1, `${what} is there ${here} times`)
      if (taken && !overwritten) assert.equal(here, 1, `${what} is lost`)
      for (const { table, applied } of inTables) {
        assert.equal(table, one.table, `${what} is in the wrong table`)
        assert.equal(applied.id, one.id, what)
      }
      rows.delete(one.n)
    }
    assert.deepEqual([...rows.keys()], [], 'rows that nobody sent')
    if (form.keyed && !rowsOnly) this.#checkDeletes(lake)
    if (form.keyed) this.#checkValues(lake)
  }

  #checkDeletes(lake: FakeLake): void {
    const applied = [...lake.values()].flatMap((table) => table.applied).filter(({ op }) => op === 'delete')
    const deletes = this.#sent.filter(({ op }) => op === 'delete')
    for (const id of new Set(deletes.map((one) => one.id))) {
      const sent = deletes.filter((one) => one.id === id)
      const taken = sent.filter((one) => this.#taken.has(one)).length
      const found = applied.filter((one) => one.id === id).length
      assert.ok(
        found >= taken && found <= sent.length,
        `${id}: ${found} deletes, ${taken} of ${sent.length} acknowledged`,
      )
    }
  }

  /** Keys are given values by one sender each, in the order of `n`. One that has no answer may hold, or not. */
  #checkValues(lake: FakeLake): void {
    const rows = new Map([...lake.values()].flatMap((table) => [...(table.rows() ?? [])]))
    const good = this.#sent.filter(({ kind }) => kind === 'good')
    for (const id of new Set(good.map((one) => one.id))) {
      const sent = good.filter((one) => one.id === id)
      const last = sent.findLastIndex((one) => this.#taken.has(one))
      const may = sent.slice(Math.max(0, last)).map(({ op, n }) => (op === 'delete' ? undefined : n))
      if (last < 0) may.push(undefined)
      assert.ok(may.includes(rows.get(id)), `value of ${id}: ${rows.get(id)}, expected one of ${may}`)
    }
  }
}

/** One who sends; asks again until there is an answer, also in the next life of the process. */
export interface Sender {
  act(stream: Stream): Promise<void>
  finish(stream: Stream): Promise<void>
}

class Maker {
  readonly #random: Random
  readonly #form: Form
  readonly #ledger: Ledger

  constructor(random: Random, form: Form, ledger: Ledger) {
    this.#random = random
    this.#form = form
    this.#ledger = ledger
  }

  make(owner: string, count: number): Sent[] {
    const random = this.#random
    const { keyed, parts, poison } = this.#form
    const sent = Array.from({ length: count }, (): Sent => {
      const number = this.#ledger.next()
      const part = random.below(3)
      const id = keyed ? `${owner}-${part}` : `${owner}-${number}`
      const table = parts > 1 ? `demo.events_p${part}` : 'demo.events'
      const value = (n: unknown, of = id) => ({ id: of, n, part: `p${part}` })
      const record = (row: object, operation?: 'delete'): IncomingRecord => ({
        data: Buffer.from(JSON.stringify(row)),
        ...(operation === undefined ? {} : { operation }),
      })
      const choice = random.next()
      const base = { id, n: number, table, op: 'upsert' } as const
      if (choice < 0.12) return { ...base, kind: 'bad', record: record({ ...value('no number'), mark: number }) }
      if (poison && choice < 0.17) {
        const own = `poison-${number}`
        return { ...base, id: own, kind: 'poison', record: record(value(POISON, own)) }
      }
      if (keyed && choice < 0.3) return { ...base, op: 'delete', kind: 'good', record: record(value(number), 'delete') }
      return { ...base, kind: 'good', record: record(value(number)) }
    })
    this.#ledger.made(sent)
    return sent
  }
}

export function sendersOf(random: Random, form: Form, ledger: Ledger): Sender[] {
  const maker = new Maker(random, form, ledger)
  return [
    new Numbered('p0', random, maker, ledger),
    new Numbered('p1', random, maker, ledger),
    new Once('k0', random, maker, ledger),
    new Once('k1', random, maker, ledger),
    new Anonymous(random, maker, ledger),
  ]
}

function checkResults(sent: readonly Sent[], results: readonly RecordResult[]): void {
  assert.equal(results.length, sent.length)
  for (const [at, { kind }] of sent.entries()) {
    const result = results[at]!
    if (result.kind === 'repeated') continue
    assert.equal(result.kind, kind === 'bad' ? 'dead-letter' : 'accepted', JSON.stringify(result))
  }
}

/** About half of the requests packed, as large ones come. */
function recordsOf(sent: readonly Sent[]): Records {
  const records = sent.map(({ record }) => record)
  const [first] = records
  const bytes = Buffer.concat(records.map(({ data }) => data))
  if (bytes.length % 2 === 0 || records.some(({ operation }) => operation !== first?.operation)) return records
  const bounds: number[] = []
  for (const { data } of records) {
    const from = bounds.at(-1) ?? 0
    bounds.push(from, from + data.length)
  }
  return new PackedRecords(bytes, bounds, first?.operation)
}

/** Numbers its records, without gaps. */
class Numbered implements Sender {
  readonly #name: string
  readonly #random: Random
  readonly #maker: Maker
  readonly #ledger: Ledger
  #epoch = 0
  #next = 0
  #pending: Sent[] | null = null
  /** The records that were answered last, which may be sent again with the next. */
  #last: Sent[] = []
  #lastOffsets: (number | null)[] = []
  #pendingOffsets: (number | null)[] = []

  constructor(name: string, random: Random, maker: Maker, ledger: Ledger) {
    this.#name = name
    this.#random = random
    this.#maker = maker
    this.#ledger = ledger
  }

  async act(stream: Stream): Promise<void> {
    const random = this.#random
    const choice = random.next()
    if (choice < 0.1) return this.#skip(stream)
    if (choice < 0.15) this.#restart()
    this.#pending ??= this.#maker.make(this.#name, 1 + random.below(4))
    // A sender that is not sure whether it was heard, and asks twice at a time.
    if (choice > 0.85) {
      const both = await Promise.allSettled([this.#send(stream, false), this.#send(stream, false)])
      const failed = both.find((result) => result.status === 'rejected')
      if (failed !== undefined) throw failed.reason
      return this.#done()
    }
    await this.#send(stream, choice > 0.6)
    this.#done()
  }

  async finish(stream: Stream): Promise<void> {
    if (this.#pending !== null) {
      await this.#send(stream, false)
      this.#done()
    }
    // All of it once more changes nothing.
    if (this.#last.length > 0) {
      const sequence = this.#next - this.#last.length
      const { results } = await this.#accept(stream, this.#last, sequence, this.#epoch)
      for (const { kind } of results) assert.equal(kind, 'repeated')
      this.#ledger.repeated += results.length
    }
  }

  #accept(stream: Stream, sent: readonly Sent[], sequence: number, epoch: number): Promise<Acceptance> {
    const producer = { id: this.#name, epoch, sequence }
    if (this.#random.chance(0.5)) return stream.accept(recordsOf(sent), { producer })
    return stream.accept(
      sent.map(({ record }, at) => ({ ...record, producer: { ...producer, sequence: sequence + at } })),
    )
  }

  async #send(stream: Stream, withLast: boolean): Promise<void> {
    const pending = this.#pending ?? []
    const before = withLast ? this.#last : []
    const all = [...before, ...pending]
    const { results } = await this.#accept(stream, all, this.#next - before.length, this.#epoch)
    checkResults(all, results)
    for (const [at, result] of results.slice(0, before.length).entries()) {
      assert.equal(result.kind, 'repeated', `a record was taken twice: ${JSON.stringify(result)}`)
      const known = this.#lastOffsets[at]
      if (result.kind === 'repeated' && result.offset !== null && known !== undefined && known !== null)
        assert.equal(result.offset, known, 'a repeated record has another offset')
      this.#ledger.repeated++
    }
    this.#ledger.took(pending)
    this.#pendingOffsets = results
      .slice(before.length)
      .map((result) => (result.kind === 'accepted' || result.kind === 'repeated' ? result.offset : null))
  }

  #done(): void {
    if (this.#pending === null) return
    this.#next += this.#pending.length
    this.#last = this.#pending
    this.#lastOffsets = this.#pendingOffsets
    this.#pending = null
  }

  /** Numbers that skip some are refused, whole. */
  async #skip(stream: Stream): Promise<void> {
    if (this.#pending !== null) return
    const sent = this.#maker.make(this.#name, 2)
    const { results } = await this.#accept(stream, sent, this.#next + 1 + this.#random.below(3), this.#epoch)
    for (const result of results)
      assert.ok(result.kind === 'refused' && result.code === 'SequenceGap', `behind a gap: ${JSON.stringify(result)}`)
  }

  /** The producer was lost, and begins anew: what it had no answer to may have been taken, or not. */
  #restart(): void {
    this.#epoch++
    this.#next = 0
    this.#pending = null
    this.#last = []
    this.#lastOffsets = []
  }
}

interface Answered {
  sent: Sent[]
  identity: Identity
  acceptance: Acceptance
}

/** Gives each request a key. */
class Once implements Sender {
  readonly #name: string
  readonly #random: Random
  readonly #maker: Maker
  readonly #ledger: Ledger
  readonly #answered: Answered[] = []
  #pending: { sent: Sent[]; identity: Identity } | null = null
  #requests = 0

  constructor(name: string, random: Random, maker: Maker, ledger: Ledger) {
    this.#name = name
    this.#random = random
    this.#maker = maker
    this.#ledger = ledger
  }

  async act(stream: Stream): Promise<void> {
    const random = this.#random
    if (this.#answered.length > 0 && random.chance(0.3)) return this.#again(stream, random.pick(this.#answered))
    this.#pending ??= {
      sent: this.#maker.make(this.#name, 1 + random.below(4)),
      identity: { idempotencyKey: `${this.#name}-${this.#requests++}` },
    }
    const pending = this.#pending
    const acceptances = await allOf(random.chance(0.2) ? 2 : 1, () => this.#accept(stream, pending))
    const [acceptance] = acceptances
    for (const other of acceptances) assert.deepEqual(other.results, acceptance!.results, 'two answers to one request')
    this.#answered.push({ ...pending, acceptance: acceptance! })
    this.#pending = null
  }

  async finish(stream: Stream): Promise<void> {
    while (this.#pending !== null) await this.act(stream)
    for (const answered of this.#answered) await this.#again(stream, answered)
  }

  async #accept(stream: Stream, { sent, identity }: { sent: Sent[]; identity: Identity }): Promise<Acceptance> {
    const acceptance = await stream.accept(recordsOf(sent), identity)
    checkResults(sent, acceptance.results)
    this.#ledger.took(sent)
    return acceptance
  }

  async #again(stream: Stream, { acceptance, ...request }: Answered): Promise<void> {
    const again = await this.#accept(stream, request)
    assert.equal(again.repeated, true, `request ${request.identity.idempotencyKey} was taken again`)
    assert.deepEqual(again.results, acceptance.results, 'another answer than before')
    assert.equal(again.end, acceptance.end, 'another end than before')
    this.#ledger.repeated++
  }
}

/** Sends, and does not ask again: without an answer it does not know. */
class Anonymous implements Sender {
  readonly #random: Random
  readonly #maker: Maker
  readonly #ledger: Ledger
  #requests = 0

  constructor(random: Random, maker: Maker, ledger: Ledger) {
    this.#random = random
    this.#maker = maker
    this.#ledger = ledger
  }

  async act(stream: Stream): Promise<void> {
    // A key of its own each time: where a request without an answer ended up, its values do not matter to others.
    const sent = this.#maker.make(`a${this.#requests++}`, 1 + this.#random.below(3))
    const { results } = await stream.accept(recordsOf(sent))
    checkResults(sent, results)
    this.#ledger.took(sent)
  }

  async finish(): Promise<void> {}
}

async function allOf<T>(times: number, work: () => Promise<T>): Promise<T[]> {
  const results = await Promise.allSettled(Array.from({ length: times }, work))
  const failed = results.find((result) => result.status === 'rejected')
  if (failed !== undefined) throw failed.reason
  return results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
}
