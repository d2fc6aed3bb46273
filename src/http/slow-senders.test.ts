/** Senders that drip, fall silent, or come in numbers, on real sockets: they are let go, and nobody else notices. */
import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import { withServer } from '../../test/support/http-bench.ts'
import { InFlight } from './in-flight.ts'

const events = { table: 'demo.events', columns: { id: 'LONG NOT NULL' } }
const times = { silenceMs: 400, waitMs: 800, bytesPerSecondMin: 16 * 1024, headersMs: 800 }
const host = 'Host: 127.0.0.1\r\n'

interface Visit {
  socket: Socket
  /** Everything that came back, when the other side has closed. */
  end: Promise<string>
}

function visit(url: string, begin: string): Visit {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  socket.write(begin)
  const end = new Promise<string>((done) => {
    let text = ''
    socket.setEncoding('latin1').on('data', (part) => {
      text += String(part)
    })
    socket.on('error', () => undefined).on('close', () => done(text))
  })
  return { socket, end }
}

/** Sends a byte now and then, for as long as somebody listens. */
function drip(socket: Socket, byte: string, everyMs: number): void {
  const timer = setInterval(() => {
    if (socket.destroyed || !socket.writable) clearInterval(timer)
    else socket.write(byte)
  }, everyMs)
  socket.on('close', () => clearInterval(timer))
}

test('a head or a body that drips or falls silent is given up with 408, by whatever way it comes', async () => {
  await withServer({ streams: { events } }, { times }, async ({ url, send, unexpected }) => {
    const post = (path: string, type: string, more = 'Content-Length: 100000\r\n') =>
      visit(url, `POST ${path} HTTP/1.1\r\n${host}Content-Type: ${type}\r\n${more}\r\n`)
    const records = '/v1/streams/events/records'
    const visits = [
      visit(url, `GET /health HTTP/1.1\r\n${host}X-Slow: `),
      post(records, 'application/json'),
      post(records, 'application/x-ndjson'),
      post(records, 'application/x-ndjson', 'Transfer-Encoding: chunked\r\n'),
      post('/sql', 'application/json'),
      post(
        '/',
        'application/x-amz-json-1.1',
        'Content-Length: 9\r\nX-Amz-Target: Firehose_20150804.ListDeliveryStreams\r\n',
      ),
      post(records, 'application/x-ndjson', 'Content-Length: 1000\r\nContent-Encoding: gzip\r\n'),
    ]
    // The first three drip, slower than a body may; the others say nothing more.
    for (const { socket } of visits.slice(0, 3)) drip(socket, 'a', 100)
    const ends = await Promise.all(visits.map(({ end }) => end))
    for (const [at, text] of ends.entries()) assert.match(text, /^HTTP\/1\.1 408 /, `visit ${at}`)
    assert.match(ends[5]!, /RequestTimeoutException/)
    assert.equal((await send('GET', '/health')).status, 200)
    assert.deepEqual(unexpected, [])
  })
})

test('a connection that never says anything is closed', async () => {
  await withServer({ streams: { events } }, { times }, async ({ url }) => {
    const { end } = visit(url, '')
    assert.match(await end, /^(HTTP\/1\.1 408 |$)/)
  })
})

test('a sender that keeps sending is not hurried by the time that others may take', async () => {
  await withServer({ streams: { events } }, { times: { ...times, bytesPerSecondMin: 50 } }, async ({ url, bench }) => {
    // In all longer than a body may keep the server waiting, but with bytes for every moment of it.
    const line = '{"id":1}\n'
    const { socket, end } = visit(
      url,
      `POST /v1/streams/events/records HTTP/1.1\r\n${host}Content-Type: application/x-ndjson\r\nConnection: close\r\nContent-Length: ${line.length * 20}\r\n\r\n`,
    )
    for (let sent = 0; sent < 20; sent++) {
      await new Promise((done) => setTimeout(done, 70))
      socket.write(line)
    }
    assert.match(await end, /^HTTP\/1\.1 200 .*"accepted":20,/s)
    await bench.engine.drain()
    assert.deepEqual(await bench.sql('SELECT count(*)::INTEGER AS n FROM demo.events'), [{ n: 20 }])
  })
})

test('an early answer is read although the body was not, and the rest of the body is not waited for', async () => {
  await withServer({ streams: { events } }, { times }, async ({ url }) => {
    const { end } = visit(
      url,
      `POST /v1/streams/none/records HTTP/1.1\r\n${host}Content-Type: application/x-ndjson\r\nContent-Length: 100000000\r\n\r\n${'a'.repeat(100_000)}`,
    )
    assert.match(await end, /^HTTP\/1\.1 404 /)
  })
})

test('a signed call by a key that is not known is refused before its body is read', async () => {
  const keys = [
    {
      id: 'known',
      secret: 'secret-of-the-known-one',
      grants: [{ scope: 'admin' as const, streams: '*' }],
      rates: { recordsPerSecond: null, bytesPerSecond: null },
    },
  ]
  await withServer({ streams: { events } }, { keys }, async ({ url }) => {
    const now = new Date().toISOString().replaceAll(/[-:]|\.\d+/g, '')
    const head = (id: string) =>
      `POST / HTTP/1.1\r\n${host}X-Amz-Target: Firehose_20150804.PutRecord\r\nX-Amz-Date: ${now}\r\nAuthorization: AWS4-HMAC-SHA256 Credential=${id}/${now.slice(0, 8)}/us-east-1/firehose/aws4_request, SignedHeaders=host;x-amz-date;x-amz-target, Signature=${'0'.repeat(64)}\r\nContent-Length: 20\r\nConnection: close\r\n\r\n`
    // Not one byte of the body is sent.
    assert.match(await visit(url, head('stranger')).end, /^HTTP\/1\.1 403 .*UnrecognizedClientException/s)
    const { socket, end } = visit(url, head('known'))
    socket.write('{"DeliveryStream":1}')
    assert.match(await end, /^HTTP\/1\.1 403 .*InvalidSignatureException/s)
  })
})

test('bytes in flight have a bound over all requests, and are given back', () => {
  const inFlight = new InFlight(100)
  const one = inFlight.hold()
  const two = inFlight.hold()
  one.grow(60)
  two.grow(40)
  assert.throws(() => two.grow(1), /at most 100 may be/)
  one.release()
  one.release()
  two.grow(60)
  assert.equal(inFlight.bytes, 100)
  two.release()
  assert.equal(inFlight.bytes, 0)
})
