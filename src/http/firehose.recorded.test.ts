/** What AWS clients really send (test/golden/payloads/firehose.jsonl), answered in the shape that they understood. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { test } from 'node:test'
import { withServer } from '../../test/support/http-bench.ts'
import type { ApiKey } from './access.ts'
import { type Claim, checkClaim, claimOf, type SignatureProblem } from './sigv4.ts'

interface Exchange {
  case: string
  client: string
  headers: [string, string][]
  body: string
  status: number
  answer: Record<string, unknown>
}

const exchanges = readFileSync(new URL('../../test/golden/payloads/firehose.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Exchange)

const key: ApiKey = {
  id: 'AKIDEXAMPLE',
  secret: 'secret-example',
  grants: [
    { scope: 'read', streams: '*' },
    { scope: 'write', streams: '*' },
  ],
  rates: { recordsPerSecond: null, bytesPerSecond: null },
}

function send(
  url: string,
  { headers, body }: Exchange,
): Promise<{ status: number; type: string; id: string; body: Record<string, unknown> }> {
  return new Promise((done, fail) => {
    const call = request(url, { method: 'POST', path: '/', headers: Object.fromEntries(headers) }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => (text += part))
      response.on('end', () =>
        done({
          status: response.statusCode ?? 0,
          type: String(response.headers['content-type']),
          id: String(response.headers['x-amzn-requestid']),
          body: JSON.parse(text),
        }),
      )
    })
    call.on('error', fail)
    call.end(body)
  })
}

/** Names of members, and of those of the first of a list. */
function shape(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? [] : [shape(value[0])]
  if (typeof value !== 'object' || value === null) return typeof value
  return Object.fromEntries(
    Object.entries(value)
      .map(([name, member]): [string, unknown] => [name, shape(member)])
      .sort(([one], [other]) => (one < other ? -1 : 1)),
  )
}

const orders = {
  table: 'shop.orders',
  columns: { id: 'LONG NOT NULL', name: 'STRING' },
  unknownFields: 'drop' as const,
}

test('recorded requests of boto3, the JavaScript SDK and the aws cli get answers of the recorded shape', async () => {
  assert.equal(exchanges.length, 24)
  await withServer({ streams: { orders } }, {}, async ({ url, bench, unexpected }) => {
    for (const exchange of exchanges) {
      const where = `${exchange.client} ${exchange.case}`
      const reply = await send(url, exchange)
      assert.match(reply.type, /^application\/x-amz-json-1\.1/, where)
      assert.match(reply.id, /^[0-9a-f-]{36}$/, where)
      if (exchange.case.startsWith('retried') || exchange.case.endsWith('partial')) {
        // Recorded from a server that failed on purpose; this one does not.
        assert.equal(reply.status, 200, where)
        continue
      }
      assert.equal(reply.status, exchange.status, where)
      if (exchange.case === 'describe') {
        const { Destinations: _ours, ...described } = reply.body['DeliveryStreamDescription'] as Record<string, unknown>
        const { Destinations: _theirs, ...recorded } = exchange.answer['DeliveryStreamDescription'] as Record<
          string,
          unknown
        >
        assert.deepEqual(shape(described), shape(recorded), where)
      } else assert.deepEqual(shape(reply.body), shape(exchange.answer), where)
      if (exchange.status !== 200) assert.equal(reply.body['__type'], exchange.answer['__type'], where)
    }
    assert.deepEqual(unexpected, [])
    await bench.engine.drain()
    const sent = exchanges.filter(({ headers, body }) => /PutRecord/.test(String(headers)) && body.includes('"orders"'))
    // Both attempts of a repeated call carry one invocation id, and count once.
    const calls = new Map(
      sent.map(({ headers, body }) => [Object.fromEntries(headers)['amz-sdk-invocation-id'] ?? body, body]),
    )
    const records = [...calls.values()].reduce((sum, body) => {
      const { Record, Records } = JSON.parse(body) as { Record?: object; Records?: object[] }
      return sum + (Record === undefined ? (Records?.length ?? 0) : 1)
    }, 0)
    const [rows] = await bench.sql('SELECT count(*)::INTEGER AS n FROM shop.orders')
    const [letters] = await bench.sql('SELECT count(*)::INTEGER AS n FROM tidewater.dead_letters')
    assert.equal(
      Number(rows?.['n']) + Number(letters?.['n']),
      records,
      'every record once, as a row or as a dead letter',
    )
  })
})

test('recorded signatures are right, and wrong when a byte differs', () => {
  for (const { headers, body, client } of exchanges) {
    const map = new Map(headers.map(([name, value]) => [name.toLowerCase(), value]))
    const time = map.get('x-amz-date') ?? ''
    const nowMs = Date.parse(time.replace(/^(....)(..)(..)T(..)(..)(..)Z$/, '$1-$2-$3T$4:$5:$6Z'))
    const call = { method: 'POST', url: '/', header: (name: string) => map.get(name), nowMs }
    const bytes = Buffer.from(body)
    const claim = good(claimOf(call, [key]))
    assert.deepEqual([claim.key, claim.region], [key, 'us-east-1'], client)
    assert.equal(checkClaim(claim, call, bytes), null)
    assert.equal(checkClaim(claim, call, Buffer.from(`${body} `))?.code, 'InvalidSignatureException')
    const other = good(claimOf(call, [{ ...key, secret: 'secret-other' }]))
    assert.equal(checkClaim(other, call, bytes)?.code, 'InvalidSignatureException')

    const codeOf = (changed: Partial<typeof call>, keys = [key]) => bad(claimOf({ ...call, ...changed }, keys)).code
    const authorized = (change: (text: string) => string) => (name: string) =>
      name === 'authorization' ? change(map.get(name) ?? '') : map.get(name)
    assert.equal(codeOf({}, []), 'UnrecognizedClientException')
    assert.equal(codeOf({ nowMs: nowMs + 16 * 60_000 }), 'InvalidSignatureException')
    assert.equal(codeOf({ nowMs: nowMs - 16 * 60_000 }), 'InvalidSignatureException')
    assert.equal(codeOf({ header: () => undefined }), 'MissingAuthenticationTokenException')
    assert.equal(codeOf({ header: authorized(() => 'AWS4-HMAC-SHA256 nonsense') }), 'IncompleteSignatureException')
    const moved = (from: string, to: string) => authorized((text) => text.replace(from, to))
    assert.equal(codeOf({ header: moved('/firehose/', '/s3/') }), 'InvalidSignatureException')
    assert.equal(codeOf({ header: moved('/us-east-1/', '/-/') }), 'InvalidSignatureException')
    assert.equal(codeOf({ header: moved(';x-amz-target', '') }), 'IncompleteSignatureException', 'a target not signed')
    const elsewhere = good(claimOf({ ...call, header: moved('/us-east-1/', '/eu-west-1/') }, [key]))
    assert.equal(checkClaim(elsewhere, call, bytes)?.code, 'InvalidSignatureException', 'made for another region')
  }
})

function good(found: Claim | SignatureProblem): Claim {
  assert.ok(!('code' in found), JSON.stringify(found))
  return found
}

function bad(found: Claim | SignatureProblem): SignatureProblem {
  assert.ok('code' in found)
  return found
}
