/** The API as an OpenAPI 3.1 document, served at `/openapi.json`. A test holds it to the routes. */

const json = (schema: object) => ({ 'application/json': { schema } })
const name = { name: 'name', in: 'path', required: true, schema: { type: 'string', pattern: '^[A-Za-z0-9_.-]{1,64}$' } }
const header = (title: string, description: string) => ({
  name: title,
  in: 'header',
  description,
  schema: { type: 'string' },
})
const identity = [
  header('Idempotency-Key', 'a repetition with the same key gets the same answer and changes nothing'),
  header('Producer-Id', 'who numbers the records; instead of an idempotency key'),
  header('Producer-Epoch', 'grows when the producer starts anew; an older one is refused from then on'),
  header('Producer-Sequence', 'number of the first record, from 0 in every epoch, without gaps'),
]
const failure = {
  description: 'refused; nothing was taken',
  content: json({
    type: 'object',
    properties: { error: { type: 'object', properties: { kind: { type: 'string' }, message: { type: 'string' } } } },
  }),
}
const answers = (description: string, status = '200') => ({
  [status]: { description, content: json({ type: 'object' }) },
  default: failure,
})
const put = (summary: string, schema: object) => ({
  summary,
  parameters: [name, ...identity],
  requestBody: { required: true, content: json(schema) },
  responses: answers('record ids; FailedPutCount counts those that were not taken'),
})

export function openApi(): object {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Tidewater',
      version: '0.1.0',
      description: 'Streams of records into Iceberg tables. See docs/streams.md.',
    },
    components: { securitySchemes: { key: { type: 'http', scheme: 'bearer' } } },
    security: [{ key: [] }, {}],
    paths: {
      '/health': { get: { summary: 'whether the server answers', responses: answers('it does') } },
      '/openapi.json': { get: { summary: 'this document', responses: answers('this document') } },
      '/': {
        post: {
          summary: 'Amazon Data Firehose, AWS JSON 1.1, by X-Amz-Target',
          parameters: [header('X-Amz-Target', 'Firehose_20150804.PutRecord and its like')],
          requestBody: { required: true, content: { 'application/x-amz-json-1.1': { schema: { type: 'object' } } } },
          responses: answers("the operation's answer"),
        },
      },
      '/v1/streams': { get: { summary: 'names of all streams', responses: answers('names') } },
      '/v1/streams/{name}': {
        get: { summary: 'one stream as a delivery stream', parameters: [name], responses: answers('its description') },
        put: {
          summary: 'make a stream; the same again changes nothing',
          parameters: [name],
          requestBody: { required: true, content: json({ type: 'object' }) },
          responses: { ...answers('made', '201'), ...answers('it is there already') },
        },
        delete: {
          summary: 'commit what the stream has taken and remove it; its table stays',
          parameters: [name],
          responses: { 204: { description: 'removed' }, default: failure },
        },
      },
      '/v1/streams/{name}/status': {
        get: { summary: 'settings, and how far it has come', parameters: [name], responses: answers('status') },
      },
      '/v1/streams/{name}/record': { put: put('one record', { type: 'object', required: ['Data'] }) },
      '/v1/streams/{name}/records': {
        put: put('several records', { type: 'object', required: ['records'] }),
        post: {
          summary: 'records as lines (application/x-ndjson) or as a JSON array, each told of in the answer',
          parameters: [
            name,
            ...identity,
            { name: 'operation', in: 'query', schema: { type: 'string', enum: ['insert', 'update', 'delete'] } },
          ],
          requestBody: {
            required: true,
            content: { 'application/x-ndjson': { schema: { type: 'string' } }, ...json({ type: 'array' }) },
          },
          responses: {
            ...answers('what became of every record'),
            409: { description: 'a gap, or a producer that was taken over' },
          },
        },
      },
    },
  }
}
