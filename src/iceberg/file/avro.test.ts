import assert from 'node:assert/strict'
import { test } from 'node:test'
import { zstdCompressSync } from 'node:zlib'
import { isFault } from '../../base/fault.ts'
import { AvroFile, type AvroRecord, type AvroSchema, type AvroView, avroName, writeAvro } from './avro.ts'

const schema: AvroSchema = {
  type: 'record',
  name: 'r',
  fields: [
    { name: 'id', type: 'long', 'field-id': 1 },
    { name: 'text', type: ['null', 'string'], default: null, 'field-id': 2 },
  ],
}
const rows = [
  { id: 1, text: 'a' },
  { id: -7, text: null },
]

async function read(bytes: Uint8Array, view?: AvroView): Promise<AvroRecord[]> {
  const all: AvroRecord[] = []
  for await (const block of new AvroFile(bytes, 'f').blocks(view)) all.push(...block.map((row) => ({ ...row })))
  return all
}

/** A file as other writers make it: any codec, the header's map in blocks with their size. */
function container(codec: string | null, pack: (block: Buffer) => Buffer): Buffer {
  const varint = (value: number) =>
    Buffer.from(value < 64 ? [value * 2] : [((value * 2) & 0x7f) | 0x80, (value * 2) >> 7])
  const text = (value: string) => Buffer.concat([varint(Buffer.byteLength(value)), Buffer.from(value)])
  const entry = (key: string, value: string) => {
    const pair = Buffer.concat([text(key), text(value)])
    // A negative count (here -1) is followed by the size in bytes.
    return Buffer.concat([Buffer.from([1]), varint(pair.length), pair])
  }
  const sync = Buffer.alloc(16, 7)
  const block = pack(Buffer.from([2, 2, 2, 0x61, 13, 0]))
  const codecEntry = codec === null ? Buffer.alloc(0) : entry('avro.codec', codec)
  const head = [Buffer.from('Obj\x01'), entry('avro.schema', JSON.stringify(schema)), codecEntry, varint(0), sync]
  return Buffer.concat([...head, varint(2), varint(block.length), block, sync])
}

test('files of every codec of the format are read, others are refused by name', async () => {
  assert.deepEqual(await read(await writeAvro(schema, {}, rows, () => false)), rows)
  assert.deepEqual(await read(container(null, (block) => block)), rows)
  assert.deepEqual(await read(container('null', (block) => block)), rows)
  assert.deepEqual(await read(container('zstandard', (block) => zstdCompressSync(block))), rows)
  await assert.rejects(read(container('snappy', (block) => block)), (error) => {
    return isFault(error, 'unsupported') && /"snappy"/.test(error.message)
  })
})

test('fields are named by id, skipped when not wanted, and longs are bigint where asked for', async () => {
  const bytes = await writeAvro(schema, {}, [{ id: 2n ** 62n, text: 'x' }], () => true)
  const name = (id: number | undefined) => (id === 1 ? 'number' : undefined)
  const view = { name, bigint: () => true, keep: (path: readonly string[]) => path[0] === 'number' }
  assert.deepEqual(await read(bytes, view), [{ number: 2n ** 62n }])
  await assert.rejects(read(bytes), (error) => isFault(error, 'corrupt') && /precision/.test(error.message))
})

test('a record larger than a block is written and read', async () => {
  const large = [rows[0]!, { id: 2, text: 'x'.repeat(1_000_000) }, rows[1]!]
  assert.deepEqual(await read(await writeAvro(schema, {}, large, () => false)), large)
})

test('a file cut anywhere is never read as a shorter one, but for a cut between blocks', async () => {
  const bytes = await writeAvro(schema, { key: 'value' }, rows, () => false)
  const header = bytes.indexOf(bytes.subarray(-16)) + 16
  for (let end = 0; end < bytes.length; end++) {
    if (end === header) assert.deepEqual(await read(bytes.subarray(0, end)), [])
    else await assert.rejects(read(bytes.subarray(0, end)), (error) => isFault(error, 'corrupt'), `cut at ${end}`)
  }
})

test('names are sanitized as in Java', () => {
  const cases = [
    ['plain_1', 'plain_1'],
    ['1st', '_1st'],
    ['a.b', 'a_x2Eb'],
    ['a b', 'a_x20b'],
    ['-', '_x2D'],
    ['😀', '_xD83D_xDE00'],
  ]
  for (const [name, sane] of cases) assert.equal(avroName(name!), sane)
})
