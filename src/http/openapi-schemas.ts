/** The documents of the API as JSON Schemas (2020-12), named for `/openapi.json`. The tests hold every answer to them. */
import { limits } from '../base/limits.ts'
import { OPERATIONS } from '../service/streams/streams.ts'

type Schema = Readonly<Record<string, unknown>>

export const ref = (name: keyof typeof schemas): Schema => ({ $ref: `#/components/schemas/${name}` })
const text: Schema = { type: 'string' }
const flag: Schema = { type: 'boolean' }
const whole: Schema = { type: 'integer', minimum: 0 }
const list = (items: Schema, more: Schema = {}): Schema => ({ type: 'array', items, ...more })

/** Of members, those that must be there are named by `required`; no others are there. */
function closed(properties: Readonly<Record<string, Schema>>, required = Object.keys(properties)): Schema {
  return { type: 'object', properties, required, additionalProperties: false }
}

const counts = {
  accepted: whole,
  deadLetters: whole,
  dropped: whole,
  repeated: whole,
  refused: whole,
}
const end: Schema = { ...whole, description: 'offset behind the last entry of the request: what to wait for' }

const resultMembers: Readonly<Record<string, Schema>> = {
  status: { enum: ['accepted', 'dead-letter', 'dropped', 'repeated', 'refused'] },
  offset: { type: ['integer', 'null'], description: 'in the log of the stream' },
  letter: { ...text, description: 'id of the dead letter' },
  code: text,
  message: text,
  expected: { type: ['integer', 'null'], description: 'sequence number that the producer has come to' },
}

export const schemas = {
  Error: closed(
    {
      error: closed({
        kind: {
          enum: [
            'invalid',
            'unsupported',
            'not-found',
            'conflict',
            'superseded',
            'corrupt',
            'limit',
            'unavailable',
            'commit-unknown',
            'cancelled',
            'timeout',
            'unauthenticated',
            'forbidden',
            'unexpected',
          ],
        },
        message: text,
      }),
      __type: { ...text, description: "the failure's name in the AWS protocol, where the route has its shapes" },
      message: text,
      taken: {
        ...closed({ ...counts, end }),
        description: 'what was taken of a request of several parts before it failed',
      },
    },
    ['error'],
  ),
  AwsError: closed({ __type: text, message: text }),
  Health: closed(
    {
      status: { enum: ['ok', 'busy', 'degraded'] },
      streams: whole,
      reasons: list(text, { description: 'what does not go as it should' }),
      sources: list({ $ref: '#/components/schemas/Source' }),
      waitingObjects: list(closed({ bucket: text, waiting: whole }, ['bucket', 'waiting']), {
        description: 'objects whose store did not answer; it is asked again by itself',
      }),
    },
    ['status'],
  ),
  Source: closed(
    {
      source: text,
      type: { enum: ['sqs', 'kafka', 'webhook', 'directory', 'files'] },
      stream: { type: ['string', 'null'], description: 'the stream that takes its records; null: it tells of objects' },
      trouble: { type: ['string', 'null'], description: 'why nothing can be received or taken now' },
      lastError: { anyOf: [closed({ message: text, at: text }), { type: 'null' }] },
      waiting: { type: ['integer', 'null'], description: 'what there is to be received, as far as that is known' },
      inFlight: { ...whole, description: 'what is being worked on here' },
      received: whole,
      accepted: { ...whole, description: 'events that are durable' },
      ignored: whole,
      deadLetters: whole,
      deleted: whole,
      undeleted: { ...whole, description: 'messages that could not be deleted: they come again' },
      oldestSeconds: { type: ['number', 'null'], description: 'age of the oldest of the last receipt' },
    },
    ['source', 'type', 'stream', 'trouble', 'waiting'],
  ),
  Notified: closed({ accepted: whole, deadLetters: whole, ignored: whole }),
  StreamNames: closed({ DeliveryStreamNames: list(text), HasMoreDeliveryStreams: flag }),
  DeliveryStream: closed({
    DeliveryStreamDescription: closed(
      {
        DeliveryStreamName: text,
        DeliveryStreamARN: text,
        DeliveryStreamStatus: { const: 'ACTIVE' },
        DeliveryStreamEncryptionConfiguration: { type: 'object' },
        DeliveryStreamType: { const: 'DirectPut' },
        VersionId: { type: 'string', pattern: '^[0-9]+$' },
        CreateTimestamp: { type: 'number' },
        LastUpdateTimestamp: { type: 'number' },
        Source: { type: 'object' },
        Destinations: list(
          closed({
            DestinationId: text,
            IcebergDestinationDescription: {
              type: 'object',
              required: ['DestinationTableConfigurationList', 'BufferingHints', 'SchemaEvolutionConfiguration'],
            },
          }),
          { minItems: 1, maxItems: 1 },
        ),
        HasMoreDestinations: { const: false },
      },
      [
        'DeliveryStreamName',
        'DeliveryStreamARN',
        'DeliveryStreamStatus',
        'DeliveryStreamType',
        'VersionId',
        'CreateTimestamp',
        'Destinations',
        'HasMoreDestinations',
      ],
    ),
  }),
  StreamSettings: {
    type: 'object',
    required: ['table'],
    properties: {
      table: { ...text, description: '`namespace.name`' },
      columns: { type: 'object', additionalProperties: text },
      uniqueKeys: list(text),
      buffer: closed({ seconds: { type: 'number' }, mebibytes: { type: 'number' } }, []),
    },
    description: 'see docs/streams.md; unknown settings are refused',
  },
  Entries: closed({
    entries: list(
      closed({ offset: whole, table: text, operation: { enum: ['upsert', 'delete'] }, row: { type: 'object' } }),
    ),
    passedOver: { ...whole, description: 'entries that were asked for, and that the log has forgotten' },
    next: { ...whole, description: 'offset to ask from next' },
    committed: { ...whole, description: 'offset up to which the tables hold the log' },
  }),
  ReplayRequest: closed(
    { ids: list(text), stage: text, stream: text, after: { ...text, description: '`next` of the answer before' } },
    [],
  ),
  Replayed: closed({
    replayed: whole,
    failed: { ...whole, description: 'letters that stay open, with their new reasons' },
    cut: { ...whole, description: 'letters whose bytes were cut and cannot be sent' },
    next: { type: ['string', 'null'], description: 'where the next part begins; null: that was all' },
  }),
  ReextractRequest: closed(
    {
      where: { ...text, description: 'SQL condition over the content table; absent: rows that older versions made' },
      extractor: { ...text, description: 'only rows that its present version has not made' },
      dryRun: { type: 'boolean', description: 'only count the rows' },
      restart: { type: 'boolean', description: 'begin with the first row, wherever an earlier run has ended' },
    },
    [],
  ),
  Reextracted: closed({
    rows: { ...whole, description: 'rows that the run is about' },
    passed: { ...whole, description: 'rows that it has gone past, in earlier parts too' },
    done: { ...whole, description: 'rows of this part made anew' },
    faults: { ...whole, description: 'those of them in which an extractor failed' },
    unread: { ...whole, description: 'rows whose object could not be read, which stay as they were' },
    overtaken: { ...whole, description: 'rows whose object is gone or was replaced meanwhile' },
    isDone: { type: 'boolean' },
    examples: list(closed({ subject: text, message: text })),
  }),
  StreamStatus: closed({
    name: text,
    createdAt: { type: 'string' },
    version: { type: 'integer', minimum: 1 },
    settings: { $ref: '#/components/schemas/StreamSettings' },
    end: { ...whole, description: 'the next offset' },
    committed: { ...whole, description: 'offset up to which the table holds the log' },
    waiting: whole,
    freshness: {
      type: 'object',
      properties: {
        waitingEntries: whole,
        waitingBytes: whole,
        oldestWaitingMs: { type: ['number', 'null'] },
        lastCommitMs: { type: ['number', 'null'] },
        paused: flag,
        destinations: list(closed({ table: text, committed: whole })),
      },
      required: ['waitingEntries', 'waitingBytes', 'oldestWaitingMs', 'lastCommitMs', 'paused', 'destinations'],
    },
  }),
  Producer: closed({ id: text, epoch: whole, sequence: whole }, ['id', 'sequence']),
  OneRecord: {
    anyOf: [
      { type: 'object', required: ['Data'] },
      { type: 'object', required: ['data'] },
    ],
    properties: {
      Data: { description: 'a JSON value, or its text' },
      data: { description: 'a JSON value, or its text' },
      operation: { enum: OPERATIONS },
      producer: { $ref: '#/components/schemas/Producer' },
    },
  },
  SeveralRecords: {
    type: 'object',
    required: ['records'],
    properties: {
      records: list(
        { $ref: '#/components/schemas/OneRecord' },
        { minItems: 1, maxItems: limits.streamRequestRecordsMax },
      ),
    },
  },
  RecordId: closed({ RecordId: text, Encrypted: { const: false } }),
  RecordIds: closed({
    FailedPutCount: whole,
    Encrypted: { const: false },
    RequestResponses: list({
      oneOf: [closed({ RecordId: text }), closed({ ErrorCode: text, ErrorMessage: text })],
    }),
  }),
  Taken: closed(
    {
      ...counts,
      end,
      committed: { ...flag, description: 'with wait=committed: are the rows in snapshots?' },
      results: list(closed(resultMembers, ['status'])),
      problems: list(closed({ index: whole, ...resultMembers }, ['index', 'status'])),
      problemsLeftOut: whole,
    },
    [...Object.keys(counts), 'end'],
  ),
  CloudEvent: {
    type: 'object',
    required: ['specversion', 'id', 'source', 'type'],
    properties: { specversion: { const: '1.0' }, id: text, source: text, type: text, data: {}, data_base64: text },
  },
  Wait: closed({ stream: text, offset: { ...whole, description: "of a record, or an answer's end" } }),
  Statement: closed(
    {
      sql: text,
      format: { enum: ['ndjson', 'json', 'csv'] },
      rowsMax: { type: 'integer', minimum: 1, maximum: limits.queryRowsMax },
      cut: { ...flag, description: 'leave further rows out instead of failing' },
      wait: {
        oneOf: [{ $ref: '#/components/schemas/Wait' }, list({ $ref: '#/components/schemas/Wait' })],
      },
      timeout: { type: 'number', description: 'seconds to wait for that' },
    },
    ['sql'],
  ),
  Rows: closed({
    columns: list(closed({ name: text, type: text })),
    rows: list({ type: 'object' }),
    truncated: flag,
  }),
} as const
