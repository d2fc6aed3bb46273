/** Transform functions of both contracts, good and hostile ones. Limits are small, so that no test waits long. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { origin, outcomesOf, pipelineRecords } from '../../../../test/support/pipeline.ts'
import { systemClock } from '../../../base/clock.ts'
import { isFault } from '../../../base/fault.ts'
import { limits } from '../../../base/limits.ts'
import type { PipelineRecord } from '../pipeline.ts'
import { transformSettings } from './settings.ts'
import { TransformStep } from './transform.ts'

let folder: string
let files = 0
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidewater-transform-'))
})
after(() => rmSync(folder, { recursive: true, force: true }))

type Settings = Partial<ReturnType<typeof transformSettings.parse>> & { extension?: string; notices?: string[] }

/** A step over a module with this text. */
async function withStep(
  text: string,
  { extension = 'mjs', notices = [], ...settings }: Settings,
  work: (step: TransformStep) => Promise<void>,
): Promise<void> {
  const module = join(folder, `f${files++}.${extension}`)
  writeFileSync(module, text)
  const step = await TransformStep.open({
    stream: 'web',
    module,
    clock: systemClock,
    settings: { ...transformSettings.parse({ workers: 1, memoryMiB: 48 }), ...settings },
    notice: (notice) => notices.push(notice),
  })
  try {
    await work(step)
  } finally {
    await step.close()
  }
}

async function run(step: TransformStep, ...values: unknown[]): Promise<string[]> {
  const records = pipelineRecords(...values)
  await step.run(records, origin)
  return outcomesOf(records)
}

function messageOf({ outcome }: PipelineRecord): string {
  return outcome?.kind === 'failed' ? outcome.problem.message : ''
}

/** A handler that answers each record as its own field `say` wants it. */
const handler = `
const decode = (data) => JSON.parse(Buffer.from(data, 'base64').toString())
exports.handler = async (event) => ({
  records: event.records.flatMap(({ recordId, data }) => {
    const record = decode(data)
    const ok = { recordId, result: 'Ok', data: Buffer.from(JSON.stringify({ ...record, seen: true })).toString('base64') }
    if (record.say === 'throw') throw new Error('poison ' + record.id)
    if (record.say === 'hang') for (;;);
    if (record.say === 'exit') process.exit(3)
    if (record.say === 'drop') return [{ recordId, result: 'Dropped' }]
    if (record.say === 'fail') return [{ recordId, result: 'ProcessingFailed', data }]
    if (record.say === 'missing') return []
    if (record.say === 'twice') return [ok, ok]
    if (record.say === 'stray') return [ok, { ...ok, recordId: recordId + '-2' }]
    if (record.say === 'renamed') return [{ ...ok, recordId: 'other' }]
    if (record.say === 'unknown') return [{ ...ok, result: 'OK' }]
    if (record.say === 'text') return [{ ...ok, data: JSON.stringify(record) }]
    if (record.say === 'nothing') return [{ recordId, result: 'Ok' }]
    if (record.say === 'no object') return [17]
    if (record.say === 'route') return [{ ...ok, metadata: { otfMetadata: {
      destinationDatabaseName: 'lake', destinationTableName: 'orders', operation: 'delete' } } }]
    if (record.say === 'bad table') return [{ ...ok, metadata: { otfMetadata: { destinationTableName: '../x' } } }]
    if (record.say === 'bad operation') return [{ ...ok, metadata: { otfMetadata: { operation: 'upsert' } } }]
    if (record.say === 'no metadata') return [{ ...ok, metadata: { otfMetadata: { operation: '', destinationTableName: null } } }]
    return [ok]
  }),
})`
const ok = (record: object, at = 'shop.events') => `row ${at} ${JSON.stringify({ ...record, seen: true })}`

describe('a function of contract record', () => {
  test('gives changed records, drops, fails and sends elsewhere', async () => {
    const text = `export default (record, context) => {
      switch (record.say) {
        case 'drop': return context.drop()
        case 'fail': return context.fail('no ' + record.id)
        case 'same': return context.ok()
        case 'elsewhere': return context.ok(undefined, { database: 'lake', table: 'orders', operation: 'delete' })
        case 'both': return context.ok({ id: 7 }, { table: 'orders' })
        default: record.seen = [context.stream, context.receivedMs, context.ip, context.userAgent, context.destination, context.attempt]
      }
      return record
    }`
    await withStep(text, {}, async (step) => {
      const records = pipelineRecords(
        { id: 1 },
        { say: 'drop' },
        { say: 'fail', id: 2 },
        '{ "say": "same" }',
        { say: 'elsewhere' },
        { say: 'both' },
      )
      await step.run(records, origin)
      assert.deepEqual(outcomesOf(records), [
        'row shop.events {"id":1,"seen":["web",1764000000000,"192.0.2.7","test/1","shop.events",1]}',
        'dropped',
        'failed TransformFailed',
        'row shop.events { "say": "same" }',
        'row lake.orders delete {"say":"elsewhere"}',
        'row shop.orders {"id":7}',
      ])
      assert.equal(messageOf(records[2]!), 'no 2')
    })
  })

  test('keeps numbers that JavaScript rounds', async () => {
    const text = 'export default (record) => { record.next = record.id + 1n; return record }'
    await withStep(text, {}, async (step) => {
      assert.deepEqual(await run(step, '{"id":9007199254740993,"price":12345678901234567.89,"small":0.5}'), [
        'row shop.events {"id":9007199254740993,"price":12345678901234567.89,"small":0.5,"next":9007199254740994}',
      ])
    })
  })

  test('gets text or bytes when it wants them', async () => {
    const csv = `export default (line) => { const [id, name] = line.split(','); return { id: Number(id), name } }`
    await withStep(csv, { input: 'text' }, async (step) => {
      assert.deepEqual(await run(step, '1,a', Buffer.from([0xff])), [
        'row shop.events {"id":1,"name":"a"}',
        'failed InvalidEncoding',
      ])
    })
    const bytes = 'export default (bytes, context) => ({ n: bytes.length, text: context.text })'
    await withStep(bytes, { input: 'bytes' }, async (step) => {
      assert.deepEqual(await run(step, 'abc'), ['row shop.events {"n":3,"text":"abc"}'])
    })
  })

  test('is not called for what is no object, and the others are not touched by it', async () => {
    await withStep('export default (record) => record', {}, async (step) => {
      assert.deepEqual(await run(step, 'not json', '[1]', { id: 1 }, Buffer.from([0xff])), [
        'failed InvalidJson',
        'failed NotAnObject',
        'row shop.events {"id":1}',
        'failed InvalidEncoding',
      ])
    })
  })

  test('has each wrong answer told with its own code', async () => {
    const text = `export default (record, context) => {
      switch (record.say) {
        case 'list': return [record, record]
        case 'nothing': return undefined
        case 'null': return null
        case 'text': return 'x'
        case 'date': return new Date(0)
        case 'map': return new Map([['a', 1]])
        case 'circle': { const a = {}; a.a = a; return a }
        case 'huge': return { text: 'x'.repeat(${limits.streamRecordBytesMax}) }
        case 'database': return context.ok(record, { database: 'a/b' })
        case 'operation': return context.ok(record, { operation: 'merge' })
        case 'getter': return { get a() { throw new Error('no') } }
      }
      return record
    }`
    const cases = {
      list: 'TransformFanOut',
      nothing: 'TransformInvalidResult',
      null: 'TransformInvalidResult',
      text: 'TransformInvalidResult',
      date: 'TransformInvalidResult',
      map: 'TransformInvalidResult',
      circle: 'TransformInvalidResult',
      huge: 'TransformTooLarge',
      database: 'InvalidDestination',
      operation: 'InvalidOperation',
      getter: 'TransformInvalidResult',
    }
    await withStep(text, {}, async (step) => {
      const records = pipelineRecords(...Object.keys(cases).map((say) => ({ say })), { id: 1 })
      await step.run(records, origin)
      assert.deepEqual(outcomesOf(records), [
        ...Object.values(cases).map((code) => `failed ${code}`),
        'row shop.events {"id":1}',
      ])
      assert.match(messageOf(records[1]!), /is a return missing/)
      assert.equal(step.counts.retries, 0)
    })
  })

  test('is tried again for a record that it threw on, up to the number of retries', async () => {
    const text = `export default async (record, context) => {
      if (context.attempt <= record.failing) throw new Error('not yet ' + context.attempt)
      return { id: record.id, attempt: context.attempt }
    }`
    await withStep(text, { numberOfRetries: 2 }, async (step) => {
      const records = pipelineRecords({ id: 1, failing: 0 }, { id: 2, failing: 2 }, { id: 3, failing: 3 })
      await step.run(records, origin)
      assert.deepEqual(outcomesOf(records), [
        'row shop.events {"id":1,"attempt":1}',
        'row shop.events {"id":2,"attempt":3}',
        'failed TransformThrew',
      ])
      assert.match(messageOf(records[2]!), /not yet 3 \(3 tries\)/)
    })
  })

  for (const [what, body, code] of [
    ['an endless loop', 'for (;;);', 'TransformTimedOut'],
    ['a promise that never ends', 'await new Promise(() => setInterval(() => {}, 1000))', 'TransformTimedOut'],
    ['all the heap', 'const all = []; for (;;) all.push(new Array(10000).fill(all.length))', 'TransformCrashed'],
    [
      'all the buffers',
      'const all = []; for (;;) { all.push(new Uint8Array(4e6).fill(1)); await null }',
      'TransformCrashed',
    ],
    ['process.exit', 'process.exit(3)', 'TransformCrashed'],
    [
      'a late throw',
      'setTimeout(() => { throw new Error("late") }); await new Promise((r) => setTimeout(r, 5000))',
      'TransformCrashed',
    ],
    [
      'a late rejection',
      'Promise.reject(new Error("late")); await new Promise((r) => setTimeout(r, 5000))',
      'TransformCrashed',
    ],
  ] as const) {
    test(`costs one record when it ends by ${what}, and the others are called once`, async () => {
      const timeMs = code === 'TransformTimedOut' ? 1_000 : 4_000
      const text = `export default async (record, context) => { if (record.bad) { ${body} } return { id: record.id, attempt: context.attempt } }`
      await withStep(text, { timeMs, numberOfRetries: 1 }, async (step) => {
        assert.deepEqual(await run(step, { id: 1 }, { id: 2, bad: true }, { id: 3 }), [
          'row shop.events {"id":1,"attempt":1}',
          `failed ${code}`,
          'row shop.events {"id":3,"attempt":1}',
        ])
        assert.equal(step.counts.deaths, 2)
        assert.deepEqual(await run(step, { id: 4 }), ['row shop.events {"id":4,"attempt":1}'])
      })
    })
  }

  test('that hangs does not keep other requests from another worker', async () => {
    const text = 'export default (record) => { if (record.bad) for (;;); return record }'
    await withStep(text, { timeMs: 120_000, workers: 2 }, async (step) => {
      const bad = assert.rejects(run(step, { bad: true }), (error) => isFault(error, 'unavailable'))
      for (let id = 0; id < 20; id++) {
        assert.deepEqual(await run(step, { id }), [`row shop.events {"id":${id}}`])
      }
      // Until the step is closed, the bad one is still waiting.
      await step.close()
      await bad
    })
  })
})

describe('a function written for a delivery stream', () => {
  test('runs as it is: every result and every misuse has its own answer, and the others pass', async () => {
    const notices: string[] = []
    await withStep(handler, { extension: 'cjs', notices }, async (step) => {
      const cases: [string, string][] = [
        ['drop', 'dropped'],
        ['fail', 'failed TransformFailed'],
        ['missing', 'failed TransformMissingRecord'],
        ['renamed', 'failed TransformMissingRecord'],
        ['twice', 'failed TransformFanOut'],
        ['unknown', 'failed TransformInvalidResult'],
        ['text', 'failed TransformInvalidData'],
        ['nothing', 'failed TransformInvalidData'],
        ['no object', 'failed TransformMissingRecord'],
        ['bad table', 'failed InvalidDestination'],
        ['bad operation', 'failed InvalidOperation'],
        ['stray', ok({ say: 'stray' })],
        ['no metadata', ok({ say: 'no metadata' })],
        ['route', ok({ say: 'route' }, 'lake.orders delete')],
        ['ok', ok({ say: 'ok' })],
      ]
      assert.deepEqual(
        await run(step, ...cases.map(([say]) => ({ say }))),
        cases.map(([, outcome]) => outcome),
      )
      assert.equal(step.counts.invocations, 1)
      assert.equal(notices.length, 1)
      assert.match(notices[0]!, /gave 3 results for records that nobody sent/)
    })
  })

  test('is called with the event of a delivery stream, in any style', async () => {
    const record =
      "{ recordId: event.records[0].recordId, result: 'Ok', data: Buffer.from(JSON.stringify([event, typeof context.getRemainingTimeInMillis()])).toString('base64') }"
    for (const text of [
      `exports.handler = async (event, context) => ({ records: [${record}] })`,
      `exports.handler = (event, context, callback) => { setTimeout(() => callback(null, { records: [${record}] })) }`,
      `exports.handler = (event, context) => { setTimeout(() => context.succeed({ records: [${record}] })) }`,
      `exports.handler = (event, context) => ({ records: [${record}] })`,
    ]) {
      await withStep(text, { extension: 'cjs' }, async (step) => {
        const records = pipelineRecords({ id: 1 })
        await step.run(records, origin)
        const [event, remaining] = JSON.parse(Buffer.from(records[0]!.data).toString()) as [
          Record<string, unknown>,
          string,
        ]
        const { recordId } = (event['records'] as { recordId: string }[])[0]!
        assert.match(recordId, /^\d+$/)
        assert.match(String(event['invocationId']), /^[0-9a-f-]{36}$/)
        assert.deepEqual(
          { ...event, invocationId: '' },
          {
            invocationId: '',
            deliveryStreamArn: 'arn:aws:firehose:us-east-1:000000000000:deliverystream/web',
            region: 'us-east-1',
            records: [
              {
                recordId,
                approximateArrivalTimestamp: origin.receivedMs,
                data: Buffer.from('{"id":1}').toString('base64'),
              },
            ],
          },
        )
        assert.equal(remaining, 'number')
      })
    }
  })

  for (const [say, code] of [
    ['throw', 'TransformThrew'],
    ['exit', 'TransformCrashed'],
    ['hang', 'TransformTimedOut'],
  ] as const) {
    test(`fails a batch by one record (${say}): that record alone fails`, async () => {
      const patience = say === 'hang' ? { timeMs: 1_000, numberOfRetries: 0 } : { numberOfRetries: 1 }
      await withStep(handler, { extension: 'cjs', ...patience }, async (step) => {
        const values = Array.from({ length: 9 }, (_, id) => ({ id, say: id === 5 ? say : 'ok' }))
        const records = pipelineRecords(...values)
        await step.run(records, origin)
        assert.deepEqual(
          outcomesOf(records),
          values.map((value) => (value.id === 5 ? `failed ${code}` : ok(value))),
        )
      })
    })
  }

  test('that answers no list of results fails the invocation, which is tried again', async () => {
    const text = `let calls = 0
      exports.handler = async (event) => (++calls < 3 ? { statusCode: 200 } : { records: event.records.map((r) => ({ ...r, result: 'Ok' })) })`
    await withStep(text, { extension: 'cjs' }, async (step) => {
      assert.deepEqual(await run(step, { id: 1 }, { id: 2 }), ['row shop.events {"id":1}', 'row shop.events {"id":2}'])
      assert.equal(step.counts.invocations, 3)
    })
    await withStep('exports.handler = async () => null', { extension: 'cjs', numberOfRetries: 0 }, async (step) => {
      assert.deepEqual(await run(step, { id: 1 }, { id: 2 }), [
        'failed TransformInvalidResult',
        'failed TransformInvalidResult',
      ])
    })
  })

  test('gets records of requests that came together in one call, and a poison of one does not harm another', async () => {
    const text = `${handler}
      const whole = exports.handler
      let calls = 0
      exports.handler = async (event) => { if (++calls === 1) await new Promise((r) => setTimeout(r, 50)); return whole(event) }`
    await withStep(text, { extension: 'cjs', numberOfRetries: 1 }, async (step) => {
      const first = run(step, { id: 0 })
      const requests = [1, 2, 3].map((id) => run(step, { id, say: id === 2 ? 'throw' : 'ok' }, { id: id * 10 }))
      assert.deepEqual(await first, [ok({ id: 0 })])
      assert.deepEqual(await Promise.all(requests), [
        [ok({ id: 1, say: 'ok' }), ok({ id: 10 })],
        ['failed TransformThrew', ok({ id: 20 })],
        [ok({ id: 3, say: 'ok' }), ok({ id: 30 })],
      ])
    })
  })

  test('gets no more bytes at a time than its buffer says', async () => {
    const text = `exports.handler = async (event) => ({ records: event.records.map((r) => ({ recordId: r.recordId, result: 'Ok',
      data: Buffer.from(JSON.stringify({ n: event.records.length })).toString('base64') })) })`
    await withStep(text, { extension: 'cjs', buffer: { mebibytes: 0.01, seconds: 60 } }, async (step) => {
      const big = { text: 'x'.repeat(4_000) }
      assert.deepEqual(
        await run(step, big, big, big, { text: 'x'.repeat(20_000) }, big),
        [2, 2, 1, 1, 1].map((n) => `row shop.events {"n":${n}}`),
      )
    })
  })
})

describe('a transform step', () => {
  test('says at once what is wrong with its module', async () => {
    const cases: [string, object, RegExp][] = [
      ['export const a = 1', {}, /must export a function as "handler" or "default"; it exports a/],
      ['export default 7', { function: 'clean' }, /must export a function as "clean"/],
      ['export default (', {}, /could not be loaded/],
      ['throw new Error("no database")', {}, /could not be loaded: no database/],
    ]
    for (const [text, settings, message] of cases) {
      await assert.rejects(
        withStep(text, settings, async () => undefined),
        (error) => isFault(error, 'invalid') && message.test(error.message),
      )
    }
  })

  test('takes a named function, and a CommonJS module whose export is one', async () => {
    await withStep(
      'export const clean = (record) => ({ ...record, clean: true })',
      { function: 'clean' },
      async (step) => {
        assert.deepEqual(await run(step, { id: 1 }), ['row shop.events {"id":1,"clean":true}'])
      },
    )
    await withStep('module.exports = () => ({ cjs: true })', { extension: 'cjs' }, async (step) => {
      assert.deepEqual(await run(step, { id: 1 }), ['row shop.events {"cjs":true}'])
    })
    await withStep(
      'export default (record: { id: number }): object => ({ ts: record.id })',
      { extension: 'ts' },
      async (step) => {
        assert.deepEqual(await run(step, { id: 1 }), ['row shop.events {"ts":1}'])
      },
    )
  })

  test('refuses requests while its module cannot be loaded any more, and takes them again after that', async () => {
    const text = `import { existsSync } from 'node:fs'
      if (existsSync(import.meta.filename + '.gone')) throw new Error('gone')
      export default (record) => { if (record.bad) process.exit(1); return record }`
    await withStep(text, { numberOfRetries: 0 }, async (step) => {
      const gone = join(folder, `f${files - 1}.mjs.gone`)
      writeFileSync(gone, '')
      await run(step, { bad: true })
      const late = pipelineRecords({ id: 1 })
      await assert.rejects(step.run(late, origin), (error) => isFault(error, 'unavailable'))
      assert.equal(late[0]!.outcome, null)
      rmSync(gone)
      await new Promise((resolve) => setTimeout(resolve, limits.transformReopenMs))
      assert.deepEqual(await run(step, { id: 1 }), ['row shop.events {"id":1}'])
    })
  })

  test('ends what waits when it is closed', async () => {
    await withStep('export default () => new Promise(() => setInterval(() => {}, 1000))', {}, async (step) => {
      const waiting = assert.rejects(step.run(pipelineRecords({ id: 1 }), origin), (error) =>
        isFault(error, 'unavailable'),
      )
      await new Promise((resolve) => setTimeout(resolve, 20))
      await step.close()
      await waiting
      await assert.rejects(step.run(pipelineRecords({ id: 1 }), origin), (error) => isFault(error, 'unavailable'))
    })
  })
})
