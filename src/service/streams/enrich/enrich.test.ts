import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { limits } from '../../../base/limits.ts'
import { parseStream, type StreamInput } from '../definition.ts'
import type { PipelineRecord, RecordOrigin } from '../pipeline.ts'
import { readRecord, recordText } from '../record.ts'
import { scalarRules } from '../scalar-settings.ts'
import { hashAddress, truncateAddress } from './address.ts'
import { enrichStep } from './enrich.ts'
import { mintEventId } from './event-id.ts'
import { hostOf, queryOf } from './page.ts'
import { UserAgents } from './user-agent.ts'

const received = Date.parse('2026-11-21T04:00:00.250Z')
const safari =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 16_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.3 Mobile/15E148 Safari/604.1'
const origin: RecordOrigin = { receivedMs: received, ip: '198.51.100.23', userAgent: safari }

async function run(
  enrich: NonNullable<StreamInput['enrich']>,
  text: string,
  more: Partial<StreamInput> = {},
  env: Record<string, string> = {},
): Promise<unknown> {
  const definition = parseStream('s', { table: 'a.b', enrich, ...more })
  const step = enrichStep(definition.enrich!, {
    env,
    scalars: scalarRules(definition),
    operationField: definition.operationField,
  })
  const record: PipelineRecord = {
    index: 0,
    data: Buffer.from(text),
    value: null,
    changed: false,
    destination: 'a.b',
    operation: undefined,
    outcome: null,
  }
  await step.run([record], origin)
  return record.changed ? JSON.parse(recordText(record.value)) : null
}

const ADDRESSES: [text: string, network: string | null][] = [
  ['192.0.2.7', '192.0.2.0'],
  [' 192.0.2.255 ', '192.0.2.0'],
  ['::ffff:192.0.2.7', '192.0.2.0'],
  ['::ffff:c000:207', '192.0.2.0'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1::'],
  ['2001:DB8:1:ffff::', '2001:db8:1::'],
  ['fe80::1%eth0', 'fe80::'],
  ['::1', '::'],
  ['', null],
  ['192.0.2', null],
  ['192.0.2.7:443', null],
  ['0300.0.2.7', null],
  ['3221225991', null],
  ['192.0.2.7, 198.51.100.1', null],
  ['example.com', null],
]

test('addresses are cut to their network, and what is none passes nothing', () => {
  for (const [text, network] of ADDRESSES) {
    assert.equal(truncateAddress(text, { v4: 24, v6: 48 }), network, text)
    assert.equal(hashAddress(text, 'sixteen-characters') === null, network === null, text)
  }
  assert.equal(truncateAddress('192.0.2.255', { v4: 27, v6: 0 }), '192.0.2.224')
  assert.equal(truncateAddress('192.0.2.255', { v4: 32, v6: 0 }), '192.0.2.255')
  assert.equal(truncateAddress('192.0.2.255', { v4: 0, v6: 0 }), '0.0.0.0')
  assert.equal(truncateAddress('2001:db8::1', { v4: 0, v6: 0 }), '::')
})

test('a cut address has no bit of the rest, whatever the address', () => {
  fc.assert(
    fc.property(fc.ipV4(), fc.integer({ min: 0, max: 32 }), (text, bits) => {
      const number = (address: string) => address.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n)
      const kept = truncateAddress(text, { v4: bits, v6: 48 })
      assert.ok(kept !== null)
      const rest = BigInt(32 - bits)
      assert.equal(number(kept), (number(text) >> rest) << rest)
    }),
  )
})

test('a hash is the same for the same address and secret, and for no other', () => {
  const hash = hashAddress('192.0.2.7', 'one-secret-of-many')
  assert.match(hash!, /^[0-9a-f]{32}$/)
  assert.equal(hashAddress('::ffff:192.0.2.7', 'one-secret-of-many'), hash)
  assert.notEqual(hashAddress('192.0.2.8', 'one-secret-of-many'), hash)
  assert.notEqual(hashAddress('192.0.2.7', 'another-secret-of-many'), hash)
})

const AGENTS: [text: string, browser: string | null, os: string | null, device: string | null, bot: boolean | null][] =
  [
    [safari, 'Safari', 'iOS', 'mobile', false],
    [
      'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36',
      'Chrome',
      'Windows',
      'desktop',
      false,
    ],
    ['Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0', 'Firefox', 'Linux', 'desktop', false],
    [
      'Mozilla/5.0 (iPad; CPU OS 16_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.3 Mobile/15E148 Safari/604.1',
      'Safari',
      'iOS',
      'tablet',
      false,
    ],
    ['Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)', 'Googlebot', null, 'bot', true],
    ['curl/8.5.0', null, null, null, true],
    ['python-requests/2.32.3', null, null, null, true],
    ['', null, null, null, null],
  ]

test('user agents tell browser, system, device and whether they are bots', () => {
  const agents = new UserAgents()
  for (const [text, browser, os, device, isBot] of AGENTS) {
    const facts = agents.facts(text)
    assert.deepEqual([facts.isBot, facts.os, facts.device], [isBot, os, device], text)
    if (browser !== null) assert.equal(facts.browser?.toLowerCase().includes(browser.toLowerCase()), true, text)
  }
  assert.deepEqual(agents.facts(null), agents.facts(''))
  const long = safari.repeat(10_000)
  assert.equal(agents.facts(long), agents.facts(long.slice(0, limits.streamUserAgentCharactersMax)))
})

test('pages tell their host and the parameters of their query', () => {
  const hosts: [text: string, host: string | null][] = [
    ['https://Www.Example.com:8443/a?b', 'www.example.com'],
    ['android-app://com.example/', 'com.example'],
    ['https://bücher.example/', 'xn--bcher-kva.example'],
    ['/local', null],
    ['about:blank', null],
    ['https://', null],
    ['', null],
  ]
  for (const [text, host] of hosts) assert.equal(hostOf(text), host, text)
  const names = ['utm_source', 'utm_medium']
  assert.deepEqual(queryOf('/p?utm_source=a+b%21&x=1#utm_medium=no', names), ['a b!', null])
  assert.deepEqual(queryOf('https://e.com/?utm_medium=mail&utm_source=', names), [null, 'mail'])
  assert.deepEqual(queryOf('http://[', names), [null, null])
  assert.deepEqual(queryOf('?utm_source=%ff', names), ['\ufffd', null])
})

function id(text: string, fields?: string[], client: string | null = null): string {
  const read = readRecord(Buffer.from(text))
  assert.ok(read.ok)
  return mintEventId(read.value, fields, client)
}

test('an event has the id of its content, and of nothing else', () => {
  const first = id('{"a":1,"b":{"x":[1,"2"],"y":null}}')
  assert.match(first, /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  assert.equal(id('{ "b" : {"y":null, "x":[1,"2"]}, "a":1 }'), first)
  const others = [
    id('{"a":"1","b":{"x":[1,"2"],"y":null}}'),
    id('{"a":1,"b":{"x":["2",1],"y":null}}'),
    id('{"a":1,"b":{"x":[1,"2"],"y":null}}', undefined, 'client'),
    id('{"a":1,"b":{"x":[1,"2"],"y":null}}', ['a']),
    id('{"a":{"n":"1"}}'),
  ]
  assert.equal(new Set([first, ...others]).size, others.length + 1)
  assert.equal(id('{"a":1,"b":2}', ['a']), id('{"a":1,"b":3}', ['a']))
})

test('every fact goes into the column that the settings name', async () => {
  const enrich = {
    receivedAt: 'received_at',
    eventId: { column: 'id', client: 'user', fields: ['at', 'uri'] },
    userAgent: { columns: { browser: 'browser', isBot: 'is_bot' } },
    ip: { column: 'network' },
    clock: { from: 'at', columns: { skewed: 'skewed', skewMs: 'skew_ms' } },
    referrer: { from: 'referrer', column: 'referrer_host' },
    query: { from: 'uri', columns: { utm_source: 'source' } },
  }
  const text =
    '{"at":"2026-11-21T03:59:59Z","user":"u1","uri":"/p?utm_source=news","referrer":"https://e.com/x","is_bot":"of course not"}'
  const { id: minted, ...rest } = (await run(enrich, text)) as Record<string, unknown>
  assert.match(String(minted), /^[0-9a-f-]{36}$/)
  assert.deepEqual(rest, {
    at: '2026-11-21T03:59:59Z',
    user: 'u1',
    uri: '/p?utm_source=news',
    referrer: 'https://e.com/x',
    is_bot: false,
    browser: 'Safari',
    network: '198.51.100.0',
    skewed: false,
    skew_ms: 1250,
    referrer_host: 'e.com',
    source: 'news',
    received_at: '2026-11-21T04:00:00.250000Z',
  })
  const again = (await run(enrich, text)) as Record<string, unknown>
  assert.equal(again['id'], minted)
})

test('an address in a record is replaced, or taken out of it', async () => {
  assert.deepEqual(await run({ ip: { from: 'ip', column: 'ip' } }, '{"ip":"192.0.2.7"}'), { ip: '192.0.2.0' })
  assert.deepEqual(await run({ ip: { from: 'ip', column: 'net' } }, '{"ip":"192.0.2.7"}'), {
    ip: null,
    net: '192.0.2.0',
  })
  assert.deepEqual(await run({ ip: { from: 'ip', column: 'ip' } }, '{"ip":"me at 192.0.2.7"}'), { ip: null })
  assert.deepEqual(await run({ ip: { from: 'ip', column: 'ip' } }, '{"ip":7}'), { ip: null })
  assert.deepEqual(await run({ ip: { from: 'ip', column: 'ip' } }, '{}'), { ip: null })
  const hash = { ip: { column: 'who', as: 'hash', secretEnv: 'SALT' } } as const
  const secret = 'sixteen-characters'
  assert.deepEqual(await run(hash, '{}', {}, { SALT: secret }), { who: hashAddress('198.51.100.23', secret) })
  await assert.rejects(run(hash, '{}', {}, { SALT: 'short' }), /environment variable SALT, got 5/)
  await assert.rejects(run(hash, '{}'), /environment variable SALT, got none/)
})

const CLOCKS: [said: string, result: Record<string, unknown>][] = [
  ['"2026-11-21T04:00:00Z"', { at: '2026-11-21T04:00:00Z', skewed: false, skew: 250, said: '2026-11-21T04:00:00Z' }],
  [
    '"2026-11-21T05:00:00+01:00"',
    { at: '2026-11-21T05:00:00+01:00', skewed: false, skew: 250, said: '2026-11-21T05:00:00+01:00' },
  ],
  [
    '"2026-11-21T04:05:00.250Z"',
    { at: '2026-11-21T04:05:00.250Z', skewed: false, skew: -300_000, said: '2026-11-21T04:05:00.250Z' },
  ],
  [
    '"2026-11-21T05:00:00Z"',
    { at: '2026-11-21T04:05:00.250000Z', skewed: true, skew: -3_599_750, said: '2026-11-21T05:00:00Z' },
  ],
  [
    '"2026-11-21T02:00:00Z"',
    { at: '2026-11-21T03:00:00.250000Z', skewed: true, skew: 7_200_250, said: '2026-11-21T02:00:00Z' },
  ],
  ['1795233600000', { at: 1795233600000, skewed: false, skew: 250, said: 1795233600000 }],
  ['"soon"', { at: 'soon', skewed: null, skew: null, said: 'soon' }],
  ['null', { at: null, skewed: null, skew: null, said: null }],
]

test('clocks that cannot be believed are told, and set right where that is asked for', async () => {
  const clock = {
    from: 'at',
    behindSeconds: 3_600,
    clamp: true,
    columns: { skewed: 'skewed', skewMs: 'skew', original: 'said' },
  }
  for (const [said, result] of CLOCKS) {
    assert.deepEqual(await run({ clock }, `{"at":${said}}`, { epochUnit: 'ms' }), result, said)
  }
  const late = await run({ clock: { from: 'at', columns: { skewed: 's' } } }, '{"at":"1999-01-01T00:00:00Z"}')
  assert.deepEqual(late, { at: '1999-01-01T00:00:00Z', s: false })
})

test('an id that a record has is kept, and deletes and what is no record are passed over', async () => {
  const enrich = { eventId: { column: 'id' } }
  const keyed = { uniqueKeys: ['id'], operationField: 'op' }
  assert.deepEqual(await run(enrich, '{"id":"mine"}', keyed), { id: 'mine' })
  assert.equal(await run(enrich, '{"op":"delete","id":"mine"}', keyed), null)
  assert.equal(await run(enrich, 'no json', keyed), null)
  const inserted = (await run(enrich, '{"op":"insert","v":1}', keyed)) as Record<string, unknown>
  const plain = (await run(enrich, '{"v":1,"id":null}', keyed)) as Record<string, unknown>
  assert.equal(inserted['id'], plain['id'])
})

test('a fact without a column is told when the stream is made', () => {
  const columns = { a: 'STRING', received_at: 'TIMESTAMP' }
  const enrich = { receivedAt: 'received_at', userAgent: { columns: { isBot: 'bot' } } }
  assert.throws(
    () => parseStream('s', { table: 'a.b', columns, enrich }),
    /enrich\.userAgent\.columns\.isBot: the stream has no column "bot"/,
  )
  parseStream('s', { table: 'a.b', columns, enrich, unknownFields: 'evolve' })
  assert.throws(() => parseStream('s', { table: 'a.b', enrich: { receivedAt: '__proto__' } }), /another name/)
})
