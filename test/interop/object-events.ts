/** Made-up events of objects, and what tables must hold once all of them came, in whatever order and however often. */
import assert from 'node:assert/strict'
import type { Random } from '../simulate/random.ts'
import { sqlRows } from '../support/cli.ts'

export interface Sent {
  key: string
  removed: boolean
  sequencer: string
  etag: string
}

/** Keys as they are; what a sender makes of them is its own affair. */
const KEYS = ['plain.txt', 'a b/c+d.txt', '100%/ü 漢字.jpg', 'c%2Fd+e f', 'new\nline', 'q\'"?#&=;', 'tilde~*()!']

export function recordOf({ key, removed, sequencer, etag }: Sent, n: number, source = 'aws:s3'): object {
  return {
    eventVersion: '2.1',
    eventSource: source,
    awsRegion: 'eu-central-1',
    eventTime: new Date(1_764_000_000_000 + n * 1_000).toISOString(),
    eventName: removed ? 'ObjectRemoved:Delete' : 'ObjectCreated:Put',
    s3: {
      bucket: { name: 'photos' },
      object: {
        key: encodeURIComponent(key).replaceAll('%20', '+'),
        sequencer,
        ...(removed ? {} : { size: n, eTag: etag }),
      },
    },
  }
}

/** So many events of some hot keys, each newer than the one before. */
export function madeUp(random: Random, count: number): Sent[] {
  return Array.from({ length: count }, (_, n): Sent => {
    const key = `${random.below(150)}/${KEYS[random.below(KEYS.length)]}`
    const sequencer = (n + 1).toString(16).toUpperCase().padStart(16, '0')
    return { key, removed: random.below(5) === 0, sequencer, etag: n.toString(16).padStart(32, '0') }
  })
}

/** Every event is in effect once, and what could not be understood is kept. */
export async function checkTables(home: string, sent: readonly Sent[], poison: readonly string[]): Promise<void> {
  const journal = await sqlRows(
    home,
    'SELECT key, sequencer, count(*) AS times FROM (SELECT key, sequence_number AS sequencer FROM aws_s3_metadata.mdblogs3metadata) GROUP BY ALL',
  )
  assert.equal(journal.length, sent.length, 'every event is in the journal')
  assert.deepEqual(
    journal.filter(({ times }) => Number(times) !== 1),
    [],
    'and none is there twice',
  )
  const newest = new Map<string, Sent>()
  for (const each of sent) newest.set(each.key, each)
  const expected = [...newest.values()].filter(({ removed }) => !removed).map(({ key, etag }) => `${etag} ${key}`)
  const inventory = await sqlRows(home, 'SELECT key, e_tag FROM aws_s3_metadata.inventory')
  assert.deepEqual(inventory.map((row) => `${row['e_tag']} ${row['key']}`).sort(), expected.sort())
  const letters = await sqlRows(home, "SELECT hex(payload) AS bytes FROM tidewater.dead_letters WHERE stage = 'source'")
  assert.deepEqual(
    letters.map(({ bytes }) => Buffer.from(String(bytes), 'hex').toString()).sort(),
    [...poison].sort(),
    'what could not be understood is kept with its bytes, once',
  )
}
