/** The records that streams are measured with: web events of some 300 bytes, what is done with them, and the ways in which they are sent. */
export const COLUMNS = {
  user_id: 'STRING NOT NULL',
  session_id: 'STRING NOT NULL',
  event: 'STRING NOT NULL',
  referrer: 'STRING',
  user_agent: 'STRING',
  ip: 'STRING',
  hostname: 'STRING NOT NULL',
  os: 'STRING',
  timestamp: 'TIMESTAMP NOT NULL',
  uri: 'STRING NOT NULL',
  n: 'LONG',
}

/** Of streams that `ENRICH` events. */
export const ENRICHED_COLUMNS = { ...COLUMNS, received_at: 'TIMESTAMPTZ', is_bot: 'BOOLEAN' }

export const ENRICH = {
  receivedAt: 'received_at',
  userAgent: { from: 'user_agent', columns: { isBot: 'is_bot' } },
  ip: { from: 'ip', column: 'ip' },
}

/** Checks that every event passes. */
export const VALIDATE = {
  type: 'json-schema' as const,
  schema: {
    type: 'object',
    required: ['user_id', 'event'],
    properties: {
      user_id: { type: 'string', minLength: 1 },
      event: { enum: ['visit', 'view', 'purchase'] },
      ip: { type: 'string', format: 'ipv4' },
      uri: { type: 'string', pattern: '^/' },
      n: { type: 'integer' },
    },
  },
}

/** @param more members after the event's own */
export function eventText(at: number, more: Record<string, string> = {}): string {
  return JSON.stringify({
    user_id: `u${at % 977}`,
    session_id: `s${at * 7}`,
    event: at % 10 === 0 ? 'purchase' : 'visit',
    referrer: `https://example.com/${at}`,
    user_agent: 'Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0',
    ip: `192.0.2.${at % 256}`,
    hostname: 'shop.example.com',
    os: 'linux',
    timestamp: '2022-06-18T02:00:00Z',
    uri: '/',
    n: at,
    ...more,
  })
}

export const SHAPES = ['single', 'firehose', 'ndjson'] as const
export type Shape = (typeof SHAPES)[number]

export const SHAPE_NAMES: Record<Shape, string> = {
  single: '1 record',
  firehose: 'PutRecordBatch of 500',
  ndjson: 'NDJSON of 1,000',
}

export const RECORDS_OF: Record<Shape, number> = { single: 1, firehose: 500, ndjson: 1_000 }

export interface Prepared {
  method: string
  path: string
  headers: Record<string, string>
  body: Buffer
}

/** A request with the records from `at` on. */
export function requestOf(shape: Shape, stream: string, at: number): Prepared {
  const texts = Array.from({ length: RECORDS_OF[shape] }, (_, place) => eventText(at + place))
  switch (shape) {
    case 'single':
      return {
        method: 'PUT',
        path: `/v1/streams/${stream}/record`,
        headers: { 'content-type': 'application/json' },
        body: Buffer.from(`{"data":${texts[0]}}`),
      }
    case 'firehose':
      return {
        method: 'POST',
        path: '/',
        headers: {
          'content-type': 'application/x-amz-json-1.1',
          'x-amz-target': 'Firehose_20150804.PutRecordBatch',
        },
        body: Buffer.from(
          JSON.stringify({
            DeliveryStreamName: stream,
            Records: texts.map((text) => ({ Data: Buffer.from(text).toString('base64') })),
          }),
        ),
      }
    case 'ndjson':
      return {
        method: 'POST',
        path: `/v1/streams/${stream}/records`,
        headers: { 'content-type': 'application/x-ndjson' },
        body: Buffer.from(`${texts.join('\n')}\n`),
      }
  }
}
