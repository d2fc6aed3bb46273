/** Archives that lie, swell or lead astray: told, bounded, never followed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { tar, zip } from '../../test/support/samples/write-archives.ts'
import { limits } from '../base/limits.ts'
import type { Facts } from './canonical.ts'
import { extractFacts } from './registry.ts'
import { memorySource } from './source.ts'
import { subjectOf } from './testing/samples.ts'

const MiB = 1024 * 1024

async function factsOf(bytes: Uint8Array): Promise<{ archive: Facts; metadata: Facts; faults: [string, string][] }> {
  const { metadata, faults } = await extractFacts(subjectOf(bytes), memorySource(bytes))
  return {
    archive: (metadata['archive'] ?? {}) as Facts,
    metadata,
    faults: faults.map(({ extractor, kind }) => [extractor, kind]),
  }
}

test('a zip that says it unpacks to hundreds of times its length is called a bomb, and is not unpacked', async () => {
  const bomb = zip([{ name: 'zeros', text: Buffer.alloc(100 * MiB) }])
  const { archive } = await factsOf(bomb)
  assert.deepEqual([archive['bomb'], archive['unpacked_bytes'], archive['entries']], [true, 100 * MiB, 1])
  const tame = await factsOf(zip([{ name: 'zeros', text: Buffer.alloc(MiB) }]))
  assert.equal(tame.archive['bomb'], false)
})

test('a zip whose entries share their bytes is called a bomb', async () => {
  const bytes = zip([{ name: 'a', text: Buffer.alloc(3_000, 'ab'), stored: true }])
  // The directory tells of the same entry again and again.
  const start = bytes.indexOf('PK\x01\x02')
  const end = bytes.indexOf('PK\x05\x06')
  const entry = bytes.subarray(start, end)
  const tail = Buffer.from(bytes.subarray(end))
  tail.writeUInt16LE(5, 8)
  tail.writeUInt16LE(5, 10)
  tail.writeUInt32LE(entry.length * 5, 12)
  const shared = Buffer.concat([bytes.subarray(0, start), ...Array.from({ length: 5 }, () => entry), tail])
  assert.equal((await factsOf(shared)).archive['bomb'], true)
})

test('a zip of more entries than are counted tells its number, and that its sums are those of the first', async () => {
  const files = Array.from({ length: limits.archiveEntriesMax + 10 }, (_, at) => ({ name: `${at}`, text: 'x' }))
  const { archive, metadata, faults } = await factsOf(zip(files))
  assert.deepEqual([archive['entries'], archive['counted'], faults], [files.length, false, []])
  assert.equal((archive['list'] as Facts[]).length, limits.archiveListedMax)
  assert.equal(archive['unpacked_bytes'], limits.archiveEntriesMax)
  assert.deepEqual(metadata['_truncated'], ['archive.list'])
})

test('a tar inside of a gzip is unpacked up to the bound, and called a bomb when it goes on', async () => {
  const bytes = gzipSync(
    tar([
      { name: 'first', text: 'x' },
      { name: 'zeros', text: Buffer.alloc(80 * MiB) },
      { name: 'last', text: 'x' },
    ]),
  )
  const { archive, faults } = await factsOf(bytes)
  assert.deepEqual(faults, [])
  assert.deepEqual(
    [archive['format'], archive['entries'], archive['counted'], archive['bomb']],
    ['tar.gz', 2, false, true],
  )
})

test('a tar that breaks off, or whose header is damaged, is a fault with its reason', async () => {
  const whole = tar([
    { name: 'a', text: 'x'.repeat(2_000) },
    { name: 'b', text: 'y' },
  ])
  assert.deepEqual((await factsOf(whole.subarray(0, 1_500))).faults, [['archive', 'truncated']])
  const damaged = Buffer.from(whole)
  const second = whole.indexOf('b\0\0\0')
  damaged[second] = 0x63
  assert.deepEqual((await factsOf(damaged)).faults, [['archive', 'invalid']])
})

test('a part of a document that unpacks to more than the bound is refused, whatever the directory says of it', async () => {
  const parts = (core: string) => [
    {
      name: '[Content_Types].xml',
      text: '<Types><Override ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>',
    },
    { name: 'word/document.xml', text: '<document/>' },
    { name: 'docProps/core.xml', text: core },
  ]
  const bomb = zip(parts(`<a>${' '.repeat(50 * MiB)}</a>`))
  assert.deepEqual((await factsOf(bomb)).faults, [['office', 'limit']])
  // The same with a directory that says 10 bytes.
  const at = bomb.lastIndexOf('docProps/core.xml') - 46
  const liar = Buffer.from(bomb)
  liar.writeUInt32LE(10, at + 24)
  const [[extractor, kind] = []] = (await factsOf(liar)).faults
  assert.ok(extractor === 'office' && (kind === 'limit' || kind === 'invalid'), kind)
})

test('entities of a document are not expanded', async () => {
  const bomb =
    '<!DOCTYPE a [<!ENTITY b "bbbbbbbb"><!ENTITY c "&b;&b;&b;">]><p xmlns:dc="x"><dc:title>&c;</dc:title><dc:subject>Sea</dc:subject></p>'
  const bytes = zip([
    { name: '[Content_Types].xml', text: '<Types/>' },
    { name: 'word/document.xml', text: '<document/>' },
    { name: 'docProps/core.xml', text: bomb },
  ])
  const { metadata } = await factsOf(bytes)
  const { title, subject } = metadata['office'] as Facts
  assert.deepEqual([title, subject], [null, 'Sea'])
})
