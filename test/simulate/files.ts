/** A folder whose files change at random, and the check that the tables of a home equal it. */
import assert from 'node:assert/strict'
import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { statEtag } from '../../src/store/etag.ts'
import { cli, sqlRows } from '../support/cli.ts'
import type { Random } from './random.ts'

const FOLDERS = ['', 'deep/', 'deep/er/', 'other/']

/** Puts, overwrites, renames and deletes `count` files of a folder. */
export async function mutate(dir: string, random: Random, count: number): Promise<void> {
  for (let at = 0; at < count; at++) {
    const file = path.join(dir, `${random.pick(FOLDERS)}f${random.below(60)}.txt`)
    const choice = random.next()
    if (choice < 0.2) await rm(file, { force: true })
    else if (choice < 0.35) {
      const to = path.join(dir, `${random.pick(FOLDERS)}f${random.below(60)}.txt`)
      await mkdir(path.dirname(to), { recursive: true })
      await rename(file, to).catch(() => undefined)
    } else {
      await mkdir(path.dirname(file), { recursive: true })
      await writeFile(file, `${path.basename(file)} ${'x'.repeat(random.below(200))} ${random.below(1e9)}`)
    }
  }
}

/** What the inventory must hold: key, size and etag of every file, by key. */
export async function inventoryOf(dir: string): Promise<{ key: string; size: number; e_tag: string }[]> {
  const rows: { key: string; size: number; e_tag: string }[] = []
  for (const name of await readdir(dir, { recursive: true })) {
    const stats = await stat(path.join(dir, name), { bigint: true })
    if (stats.isFile())
      rows.push({ key: name.split(path.sep).join('/'), size: Number(stats.size), e_tag: statEtag(stats) })
  }
  return rows.sort((one, other) => (one.key < other.key ? -1 : 1))
}

const byKey = <T extends { key?: unknown }>(rows: T[]) =>
  rows.sort((one, other) => (String(one.key) < String(other.key) ? -1 : 1))

/**
 * Inventory and content have a row for every file as it is and no other, the journal has every change once and ends for each
 * key with what is there now, and the doctor finds nothing wrong.
 */
export async function assertInStep(home: string, dir: string): Promise<void> {
  const files = await inventoryOf(dir)
  assert.deepEqual(byKey(await sqlRows(home, 'SELECT key, size, e_tag FROM aws_s3_metadata.inventory')), files)
  const content = await sqlRows(
    home,
    "SELECT key, etag AS e_tag, get_json_object(metadata, '$.faults') AS faults FROM default.s3_content_metadata",
  )
  assert.deepEqual(
    byKey(content),
    files.map(({ key, e_tag }) => ({ key, e_tag, faults: null })),
  )
  const journal = await sqlRows(
    home,
    `SELECT key, count(*) AS changes, count(DISTINCT sequence_number) AS numbers, max_by(record_type, sequencer) AS last, max_by(e_tag, sequencer) AS e_tag
     FROM (SELECT *, substr(sequence_number, 18, 32) AS sequencer FROM aws_s3_metadata.mdblogs3metadata) GROUP BY key`,
  )
  assert.deepEqual(
    journal.filter((row) => row['changes'] !== row['numbers']),
    [],
    'the journal has every change once',
  )
  const lasting = journal.filter((row) => row['last'] !== 'DELETE')
  assert.deepEqual(
    byKey(lasting.map((row) => ({ key: row['key'], e_tag: row['e_tag'] }))),
    files.map(({ key, e_tag }) => ({ key, e_tag })),
  )
  const doctor = (await cli(['doctor', '--home', home])).stdout
  // A small disk is no disagreement.
  const problems = doctor.split('\n').filter((line) => /^PROBLEM {2}(?!home:)/.test(line))
  assert.match(doctor, /^ok /m)
  assert.deepEqual(problems, [])
}
