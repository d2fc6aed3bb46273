/** Notifications whose every member is as odd as JSON allows: nothing stalls, nothing is lost, and each is a row or a letter. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { TABLES, withEngine } from '../../test/support/engine-bench.ts'

const SEED = Number(process.env['TIDEWATER_SEED'] ?? 7)
const DOCUMENTS = 300

const oddText = fc.oneof(
  fc.constantFrom(
    '',
    ' ',
    '\u0000',
    'a\u0000b',
    '\ud800',
    '\udfff\ud800',
    '"',
    "'",
    '\\',
    '\n',
    '%',
    '%zz',
    '+',
    '..',
    '../x',
    '/',
    '//',
    'ü',
    '😀',
    '\u202e',
    'null',
    'x'.repeat(1100),
    '__proto__',
    'constructor',
  ),
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.string({ maxLength: 20 }),
)
const oddValue: fc.Arbitrary<unknown> = fc.oneof(
  oddText,
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom(-1, 1e308, 2 ** 53, 0.5),
)
const oddTime = fc.oneof(
  fc.constantFrom(
    '0000-01-01T00:00:00Z',
    '0001-01-01T00:00:00Z',
    '1600-02-29T12:00:00.000001Z',
    '1969-12-31T23:59:59.999999Z',
    '9999-12-31T23:59:59.999999Z',
    '9999-12-31T23:59:59-23:59',
    '2024-05-01T10:00:00.123456789Z',
    '2024-05-01T10:00:00+05:30',
    '2024-02-30T00:00:00Z',
  ),
  fc
    .date({ noInvalidDate: true, min: new Date('0001-01-01T00:00:00Z'), max: new Date('9999-12-31T00:00:00Z') })
    .map((date) => date.toISOString()),
)
const texts = fc.dictionary(oddText, oddText, { maxKeys: 4 })

const record = fc.record(
  {
    eventVersion: fc.constantFrom('2.0', '2.3'),
    eventSource: fc.oneof(
      { weight: 9, arbitrary: fc.constantFrom('aws:s3', 'minio:s3') },
      { weight: 1, arbitrary: oddText },
    ),
    eventName: fc.constantFrom(
      'ObjectCreated:Put',
      'ObjectCreated:Copy',
      'ObjectRemoved:Delete',
      'ObjectRemoved:DeleteMarkerCreated',
      'ObjectTagging:Put',
      'ObjectTagging:Delete',
    ),
    eventTime: oddTime,
    s3: fc.record({
      bucket: fc.record({
        name: fc.oneof({ weight: 3, arbitrary: fc.constantFrom('odd', 'other') }, { weight: 1, arbitrary: oddText }),
      }),
      object: fc.record(
        {
          key: oddText,
          size: fc.oneof(
            { weight: 6, arbitrary: fc.constantFrom(0, 1, 2 ** 40, 2 ** 53 - 1) },
            { weight: 1, arbitrary: oddValue },
          ),
          eTag: fc.oneof({ weight: 6, arbitrary: oddText }, { weight: 1, arbitrary: oddValue }),
          versionId: fc.oneof(fc.constantFrom(null, 'null', 'v1'), oddText),
          sequencer: fc.oneof(fc.constantFrom('0066320E1F2AB3C4D5', '', '0', 'zz', 'F'.repeat(40)), oddText),
          tags: fc.oneof({ weight: 9, arbitrary: texts }, { weight: 1, arbitrary: oddValue }),
          userMetadata: texts,
          contentType: oddText,
        },
        { requiredKeys: ['key'] },
      ),
    }),
    userIdentity: fc.record({ principalId: oddText }),
    requestParameters: fc.record({ sourceIPAddress: oddText }),
    responseElements: fc.record({ 'x-amz-request-id': oddText }),
  },
  { requiredKeys: ['eventVersion', 'eventSource', 'eventName', 'eventTime', 's3'] },
)

describe('odd notifications', () => {
  it(`are each a row of the journal or a dead letter, in one turn, and the tables can be asked (seed ${SEED})`, async () => {
    await withEngine({}, async (bench) => {
      const records = fc.sample(record, { numRuns: DOCUMENTS, seed: SEED })
      const { events, problems, ignored } = await bench.ingest(...records.map((one) => ({ Records: [one] })))
      assert.equal(events + problems + ignored, DOCUMENTS)
      assert.ok(events > DOCUMENTS / 3, `${events} events`)

      const commits = await bench.sql(
        "SELECT reason, decode(payload) AS payload FROM tidewater.dead_letters WHERE stage = 'commit'",
      )
      assert.deepEqual(commits, [])
      const [journal] = await bench.sql(`SELECT count(*) AS records FROM ${TABLES.journal}`)
      const { duplicate } = bench.engine.objects.counts.byEffect
      assert.ok(
        Number(journal?.['records']) >= events - duplicate,
        `${journal?.['records']} records of ${events} events`,
      )
      const [agreed] = await bench.sql(`SELECT count(*) FILTER (NOT is_delete_marker) AS objects,
        (SELECT count(*) FROM ${TABLES.content}) AS content, (SELECT count(*) FROM s3_metadata_coalesced) AS shown FROM ${TABLES.inventory}`)
      assert.equal(agreed?.['content'], agreed?.['objects'])
      assert.equal(agreed?.['shown'], agreed?.['objects'])

      // Told again after a restart, nothing changes.
      const before = await bench.tables()
      await bench.restart()
      await bench.ingest(...records.toReversed().map((one) => ({ Records: [one] })))
      assert.deepEqual(await bench.tables(), before)
    })
  })
})
