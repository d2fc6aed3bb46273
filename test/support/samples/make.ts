/**
 * Makes the samples in test/golden/samples/files, all of them, the same bytes each time but for the Parquet file, which names its writer:
 *
 *     node test/support/samples/make.ts
 *
 * Everything in them is made up. Documents, archives and sound are written byte by byte (`write-*.ts`), recordings with pictures by
 * mediabunny's writers around packets that hold no picture, the Parquet file by DuckDB.
 */
import { writeFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { DuckDBInstance } from '@duckdb/node-api'
import { tar, zip } from './write-archives.ts'
import { odp, ods, odt, ooxml } from './write-office.ts'
import { pdf } from './write-pdf.ts'
import { flac, mp3, wav } from './write-sound.ts'
import { recording } from './write-video.ts'

const folder = new URL('../../golden/samples/files/', import.meta.url)
const put = (name: string, bytes: Uint8Array | string) => writeFileSync(new URL(name, folder), bytes)

const info = {
  Title: 'Tide tables — März',
  Author: 'Ann Ebb',
  Subject: 'Tides',
  Keywords: 'sea, tide',
  Creator: 'write-pdf.ts',
  Producer: 'write-pdf.ts',
  CreationDate: "D:20240506070809+02'00'",
  ModDate: 'D:20240507',
}
const pages = ['High water at four.', 'Low water at ten.']
put('plain.pdf', pdf({ pages, info }))
put('encrypted.pdf', pdf({ pages, info, password: '' }))
put('locked.pdf', pdf({ pages, info, password: 'secret' }))
put('no-info.pdf', pdf({ pages: [''] }))

put('letter.docx', ooxml('docx'))
put('budget.xlsx', ooxml('xlsx'))
put('talk.pptx', ooxml('pptx'))
put('macros.docm', ooxml('docm'))
put('letter.odt', odt())
put('budget.ods', ods())
put('talk.odp', odp())

const files = [
  { name: 'docs/', text: '' },
  { name: 'docs/read me.txt', text: 'High water.\n'.repeat(200) },
  { name: 'Größe.txt', text: 'Low water.\n' },
]
put('plain.zip', zip(files, { comment: 'Two tides' }))
put(
  'leads-out.zip',
  zip([
    { name: '../outside.txt', text: 'x' },
    { name: '__proto__', text: 'y' },
  ]),
)
const long = `${'deep/'.repeat(40)}file.txt`
put('plain.tar', tar([...files, { name: long, text: 'deep\n' }]))
put('plain.tar.gz', gzipSync(tar(files)))
put('one.txt.gz', gzip('one.txt', 'High water.\n'.repeat(50)))

put('tone.wav', wav({ seconds: 1, rate: 8_000 }))
put('tagged.mp3', mp3({ frames: 40, title: 'Ebb', artist: 'The Tides', album: 'Shore', track: '3/9', year: '2021' }))
put('tagged.flac', flac({ seconds: 2, title: 'Flow', artist: 'The Tides' }))
put('turned.mp4', await recording('mp4'))
put('plain.mov', await recording('mov'))
put('plain.webm', await recording('webm'))
put('plain.mkv', await recording('mkv'))
put('sound.ogg', await recording('ogg'))
put('sound.m4a', await recording('m4a'))

put(
  'orders.csv',
  'id,placed_on,total,paid,zip,note\n1,2024-05-06,12.50,true,01234,"said ""ebb"""\n2,2024-05-07,8,false,00001,\n',
)
put('no-header.csv', '1;2,5;x\n2;3,5;y\n3;4,5;z\n')
put('windows.csv', Buffer.from('Ort;Höhe\nKöln;37\nTrier;124\n', 'latin1'))
put('tides.tsv', 'place\tat\theight\nCuxhaven\t2024-05-06T07:08:09Z\t3.1\nHusum\t2024-05-06T08:00:00Z\t3.4\n')
put(
  'events.ndjson',
  [
    { id: 9007199254740993n, at: '2024-05-06T07:08:09+02:00', user: { name: 'Ann', tags: ['a'] }, ok: true },
    { id: 2n, at: '2024-05-06T07:08:10+02:00', user: { name: 'Bo', age: 41.5 }, ok: null },
  ]
    .map((row) => `${json(row)}\n`)
    .join(''),
)
put(
  'rows.json',
  `${JSON.stringify(
    [
      { a: 1, b: [1, 2] },
      { a: 2.5, c: '2024-05-06' },
    ],
    null,
    2,
  )}\n`,
)
put('settings.json', `${JSON.stringify({ name: 'tide', depth: 3, on: true })}\n`)

await parquet(new URL('orders.parquet', folder).pathname)

function json(value: object): string {
  return JSON.stringify(value, (_key, member: unknown) =>
    typeof member === 'bigint' ? `#${member}#` : member,
  ).replace(/"#(\d+)#"/g, '$1')
}

/** With the name and the time in the header, which Node's own function leaves out. */
function gzip(name: string, text: string): Buffer {
  const packed = gzipSync(text)
  const head = Buffer.from(packed.subarray(0, 10))
  head[3] = 8
  head.writeUInt32LE(Date.UTC(2024, 4, 6, 7, 8, 9) / 1000, 4)
  return Buffer.concat([head, Buffer.from(`${name}\0`, 'latin1'), packed.subarray(10)])
}

async function parquet(path: string): Promise<void> {
  const instance = await DuckDBInstance.create()
  const connection = await instance.connect()
  await connection.run(`COPY (
    SELECT i AS id, 'order ' || i AS title, CAST(i AS DECIMAL(12, 2)) AS total, DATE '2024-05-06' AS placed_on,
      TIMESTAMPTZ '2024-05-06 07:08:09+00' AS at, i % 2 = 0 AS paid, [i, i + 1] AS parts,
      {'street': 'Quay ' || i, 'no': i::INTEGER} AS address, MAP {'k': i::DOUBLE} AS extra, '5c6f7f9e-0000-4000-8000-000000000001'::UUID AS token
    FROM range(3000) AS r(i)
  ) TO '${path}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 2048)`)
  connection.closeSync()
}
