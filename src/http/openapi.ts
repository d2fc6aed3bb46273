/** The API as an OpenAPI 3.1 document, served at `/openapi.json`. The tests hold it to the routes and to what they answer. */
import { OPERATIONS } from '../service/streams/streams.ts'
import { ref, schemas } from './openapi-schemas.ts'

const json = (schema: object) => ({ 'application/json': { schema } })
const parameter = (
  name: string,
  place: 'query' | 'header',
  description: string,
  schema: object = { type: 'string' },
) => ({
  name,
  in: place,
  description,
  schema,
})
const name = { name: 'name', in: 'path', required: true, schema: { type: 'string', pattern: '^[A-Za-z0-9_.-]{1,64}$' } }
const source = { ...name, name: 'source', description: 'name under objects.sources' }
const identity = [
  parameter('Idempotency-Key', 'header', 'a repetition with the same key gets the same answer and changes nothing'),
  parameter('Producer-Id', 'header', 'who numbers the records; instead of an idempotency key'),
  parameter('Producer-Epoch', 'header', 'grows when the producer starts anew; an older one is refused from then on'),
  parameter('Producer-Sequence', 'header', 'number of the first record, from 0 in every epoch, without gaps'),
]
const wait = [
  parameter('wait', 'query', 'answer when the records are in snapshots', { const: 'committed' }),
  parameter('timeout', 'query', 'seconds to wait for that; default: what the stream gathers records for, and 30'),
]
const committed = {
  'Tidewater-End': { description: 'offset behind the last entry of the request', schema: { type: 'string' } },
  'Tidewater-Committed': { description: 'with wait=committed', schema: { enum: ['true', 'false'] } },
}
const failure = {
  description: 'a failure; 429 and 503 come with Retry-After',
  headers: { 'Retry-After': { description: 'seconds', schema: { type: 'string' } } },
  content: json(ref('Error')),
}
const answer = (description: string, schema: object, more: object = {}) => ({
  description,
  content: json(schema),
  ...more,
})
const answers = (description: string, schema: object) => ({ 200: answer(description, schema), default: failure })

const put = (summary: string, body: object, answered: object) => ({
  summary,
  parameters: [name, ...identity, ...wait],
  requestBody: { required: true, content: json(body) },
  responses: {
    200: answer('record ids; FailedPutCount counts those that were not taken', answered, { headers: committed }),
    202: answer('taken, but not committed within the time', answered, { headers: committed }),
    default: failure,
  },
})

const bulkAnswers = {
  200: answer('what became of every record', ref('Taken')),
  202: answer('taken, but not committed within the time', ref('Taken')),
  400: answer('some records are malformed; the others were taken', { oneOf: [ref('Taken'), ref('Error')] }),
  409: answer('a gap, or a producer that was taken over', { oneOf: [ref('Taken'), ref('Error')] }),
  413: answer('some records are too large; the others were taken', { oneOf: [ref('Taken'), ref('Error')] }),
  default: failure,
}

export function openApi(): object {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Tidewater',
      version: '0.1.0',
      description: 'Streams of records into Iceberg tables, and SQL over tables. See docs/streams.md and docs/sql.md.',
    },
    components: { schemas, securitySchemes: { key: { type: 'http', scheme: 'bearer' } } },
    security: [{ key: [] }, {}],
    paths: {
      '/health': {
        get: {
          summary: 'how the server is: what does not go as it should, and its sources, for keys that may read',
          responses: answers('how it is', ref('Health')),
        },
      },
      '/health/live': { get: { summary: 'whether the server lives', responses: answers('it does', ref('Health')) } },
      '/health/ready': {
        get: {
          summary: 'whether the server has room for requests',
          responses: { ...answers('it has', ref('Health')), 503: answer('it has not', ref('Health')) },
        },
      },
      '/metrics': {
        get: {
          summary: 'what the server counts, for Prometheus',
          responses: {
            200: { description: 'metrics', content: { 'text/plain': { schema: { type: 'string' } } } },
            default: failure,
          },
        },
      },
      '/openapi.json': { get: { summary: 'this document', responses: answers('this document', { type: 'object' }) } },
      '/': {
        post: {
          summary: 'Amazon Data Firehose, AWS JSON 1.1, by X-Amz-Target',
          parameters: [parameter('X-Amz-Target', 'header', 'Firehose_20150804.PutRecord and its like')],
          requestBody: { required: true, content: { 'application/x-amz-json-1.1': { schema: { type: 'object' } } } },
          responses: {
            200: {
              description: "the operation's answer",
              content: { 'application/x-amz-json-1.1': { schema: { type: 'object' } } },
            },
            default: {
              description: 'a failure',
              content: { 'application/x-amz-json-1.1': { schema: ref('AwsError') } },
            },
          },
        },
      },
      '/sql': {
        post: {
          summary: 'statements over the tables, read-only; the last one answers',
          requestBody: {
            required: true,
            content: { ...json(ref('Statement')), 'application/sql': { schema: { type: 'string' } } },
          },
          responses: {
            200: {
              description: 'rows, in the format that was asked for, or by Accept',
              content: {
                'application/x-ndjson': { schema: { type: 'string' } },
                ...json(ref('Rows')),
                'text/csv': { schema: { type: 'string' } },
              },
            },
            default: failure,
          },
        },
      },
      '/v1/streams': {
        get: {
          summary: 'names of all streams that the key may read',
          parameters: [
            parameter('limit', 'query', 'names in an answer'),
            parameter('after', 'query', 'the name before the first'),
          ],
          responses: answers('names', ref('StreamNames')),
        },
      },
      '/v1/streams/{name}': {
        get: {
          summary: 'one stream as a delivery stream',
          parameters: [name],
          responses: answers('its description', ref('DeliveryStream')),
        },
        put: {
          summary: 'make a stream; the same again changes nothing',
          parameters: [name],
          requestBody: { required: true, content: json(ref('StreamSettings')) },
          responses: {
            200: answer('it is there already', ref('StreamStatus')),
            201: answer('made', ref('StreamStatus')),
            default: failure,
          },
        },
        delete: {
          summary: 'commit what the stream has taken and remove it; its table stays',
          parameters: [name],
          responses: { 204: { description: 'removed' }, default: failure },
        },
      },
      '/v1/streams/{name}/status': {
        get: {
          summary: 'settings, and how far it has come',
          parameters: [name],
          responses: answers('status', ref('StreamStatus')),
        },
      },
      ...Object.fromEntries(
        Object.entries({
          pause: 'hold the commits of a stream back, also after a restart; records are still taken',
          resume: 'let them go again',
          drain: 'commit what the stream has taken so far, also when it is paused',
        }).map(([what, summary]) => [
          `/v1/streams/{name}/${what}`,
          { post: { summary, parameters: [name], responses: answers('status', ref('StreamStatus')) } },
        ]),
      ),
      '/v1/streams/{name}/update': {
        post: {
          summary: 'give a stream other settings, for the requests that come from now on',
          parameters: [name],
          requestBody: { required: true, content: json(ref('StreamSettings')) },
          responses: answers('status', ref('StreamStatus')),
        },
      },
      '/v1/streams/{name}/entries': {
        get: {
          summary: 'records that were accepted, as the log of the stream holds them until a while after their commit',
          parameters: [
            name,
            parameter('from', 'query', 'offset of the first, or `end`, which is the default'),
            parameter('limit', 'query', 'entries looked at'),
            parameter('timeout', 'query', 'seconds to wait for some'),
          ],
          responses: answers('entries', ref('Entries')),
        },
      },
      '/v1/notifications/{source}': {
        get: {
          summary: 'whether somebody is there, for senders that ask first',
          parameters: [source],
          responses: answers('somebody is', ref('Health')),
        },
        post: {
          summary: 'what happened to objects, as a store tells it: MinIO, versitygw and others',
          parameters: [source],
          requestBody: { required: true, content: json({}) },
          responses: answers('everything that follows is durable', ref('Notified')),
        },
      },
      '/v1/deadletters/replay': {
        post: {
          summary: 'send a part of the open dead letters again, each once',
          requestBody: { content: json(ref('ReplayRequest')) },
          responses: answers('what became of them', ref('Replayed')),
        },
      },
      '/v1/reextract': {
        post: {
          summary: 'make a part of the content rows anew by the extractors of now; ask again until it is done',
          requestBody: { content: json(ref('ReextractRequest')) },
          responses: answers('how far it has come', ref('Reextracted')),
        },
      },
      '/v1/streams/{name}/record': { put: put('one record', ref('OneRecord'), ref('RecordId')) },
      '/v1/streams/{name}/records': {
        put: put('several records', ref('SeveralRecords'), ref('RecordIds')),
        post: {
          summary: 'records as lines, as a JSON array, or as CloudEvents, each told of in the answer',
          description:
            'Lines may be as many as there are: beyond 5,000 records or 16 MiB they are taken in parts, and the answer counts them. A failure then tells under `taken` what was taken.',
          parameters: [
            name,
            ...identity,
            ...wait,
            parameter('operation', 'query', 'of all records', { enum: OPERATIONS }),
            parameter('event', 'query', 'what of an event becomes the record', { enum: ['data', 'envelope'] }),
          ],
          requestBody: {
            required: true,
            content: {
              'application/x-ndjson': { schema: { type: 'string' } },
              ...json({ type: ['array', 'object'] }),
              'application/cloudevents+json': { schema: ref('CloudEvent') },
              'application/cloudevents-batch+json': { schema: { type: 'array', items: ref('CloudEvent') } },
            },
          },
          responses: bulkAnswers,
        },
      },
    },
  }
}
