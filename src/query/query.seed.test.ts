import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, describe, it } from 'node:test'
import { CONTENT, JOURNAL, Lake } from '../../test/query/lake.ts'
import type { QuerySession } from './query.ts'

const golden = (name: string): Promise<string> =>
  readFile(new URL(`../../test/golden/sql/${name}`, import.meta.url), 'utf8')

describe('the statements of the object metadata guide', () => {
  let lake: Lake
  let session: QuerySession

  before(async () => {
    lake = await Lake.open()
    await lake.create('aws_s3_metadata.mdblogs3metadata', JOURNAL)
    await lake.create('default.s3_content_metadata', CONTENT)
    const row = (key: string, number: string, type: string, size: number, etag: string, tags: string): string =>
      `SELECT 'photos' AS bucket, '${key}' AS key, '${number}' AS sequence_number, '${type}' AS record_type,
        TIMESTAMP '2024-08-10 19:09:45' AS record_timestamp, NULL AS version_id, FALSE AS is_delete_marker, ${size} AS size,
        TIMESTAMP '2024-08-10 19:09:45' AS last_modified_date, '${etag}' AS e_tag, 'STANDARD' AS storage_class,
        FALSE AS is_multipart, 'SSE-S3' AS encryption_status, FALSE AS is_bucket_key_enabled, NULL AS kms_key_arn,
        NULL AS checksum_algorithm, ${tags} AS object_tags, MAP {} AS user_metadata, NULL AS requester,
        NULL AS source_ip_address, NULL AS request_id`
    await lake.append(
      'aws_s3_metadata.mdblogs3metadata',
      [
        row('20240724_123107.jpg', '01', 'CREATE', 1, 'old', 'MAP {}'),
        row('20240724_123107.jpg', '02', 'CREATE', 5983132, 'e1', "MAP {'foo': 'bar'}"),
        row('20240810_190945.jpg', '03', 'CREATE', 2067312, 'e2', 'MAP {}'),
        row('20240810_190945.jpg', '03', 'CREATE', 2067312, 'e2', 'MAP {}'),
        row('gone.jpg', '04', 'CREATE', 7, 'e3', 'MAP {}'),
        row('gone.jpg', '05', 'DELETE', 0, '', 'MAP {}'),
      ].join(' UNION ALL '),
    )
    const json = '{"exif":{"Model":"SM-G998B","Make":"samsung"}}'
    await lake.append(
      'default.s3_content_metadata',
      `SELECT 'photos' AS bucket, '20240810_190945.jpg' AS key, NULL AS "versionId", '0A' AS sequencer, 'e2' AS etag,
        '${json}' AS metadata, TIMESTAMP '2024-08-10 19:09:45' AS "lastModified", ['Airport', 'Truck', 'Person'] AS labels,
        4000 AS image_width, 3000 AS image_height`,
    )
    session = await lake.session()
  })
  after(async () => {
    await session.close()
    await lake.close()
  })

  it('makes the view that coalesces the journal, and selects from it', async () => {
    await session.run(await golden('view.sql'))
    const { columns, rows } = await session.run(await golden('select_view.sql'))
    assert.deepEqual(
      columns.map((column) => column.name),
      ['bucket', 'key', 'size', 'storage_class', 'object_tags'],
    )
    assert.deepEqual(rows, [
      ['photos', '20240724_123107.jpg', 5983132n, 'STANDARD', { foo: 'bar' }],
      ['photos', '20240810_190945.jpg', 2067312n, 'STANDARD', {}],
    ])
  })

  it('joins the view with the content table', async () => {
    const { rows } = await session.run(await golden('join.sql'))
    rows.sort((a, b) => String(a[0]).localeCompare(String(b[0])))
    assert.equal(rows.length, 2)
    assert.deepEqual(rows[0], ['20240724_123107.jpg', 5983132n, 'STANDARD', { foo: 'bar' }, null])
    assert.deepEqual(rows[1], ['20240810_190945.jpg', 2067312n, 'STANDARD', {}, ['Airport', 'Truck', 'Person']])
  })

  it('reads members of the JSON column', async () => {
    const { columns, rows } = await session.run(await golden('get_json_object.sql'))
    assert.deepEqual(
      columns.map((column) => column.name),
      ['key', 'labels', 'Model', 'Make'],
    )
    assert.deepEqual(rows, [['20240810_190945.jpg', ['Airport', 'Truck', 'Person'], 'SM-G998B', 'samsung']])
  })
})
