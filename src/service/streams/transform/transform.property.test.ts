/** Functions that behave badly at random: every record has exactly the outcome that its own behaviour gives it. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { origin, outcomesOf, pipelineRecords } from '../../../../test/support/pipeline.ts'
import { systemClock } from '../../../base/clock.ts'
import type { PipelineRecord } from '../pipeline.ts'
import { transformSettings } from './settings.ts'
import { TransformStep } from './transform.ts'

let folder: string
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidewater-transform-'))
})
after(() => rmSync(folder, { recursive: true, force: true }))

/** Behaviours, and the outcome of a record that asks for one. Those that end a worker are rare, since they cost time. */
const behaviours = {
  ok: 'row',
  drop: 'dropped',
  fail: 'failed TransformFailed',
  throw: 'failed TransformThrew',
  once: 'row',
  fanout: 'failed TransformFanOut',
  wrong: 'failed TransformInvalidResult',
  exit: 'failed TransformCrashed',
} as const
type Say = keyof typeof behaviours

const say = fc.oneof(
  { weight: 40, arbitrary: fc.constant<Say>('ok') },
  { weight: 20, arbitrary: fc.constantFrom<Say>('drop', 'fail', 'throw', 'once', 'fanout', 'wrong') },
  { weight: 1, arbitrary: fc.constant<Say>('exit') },
)
/** Requests that come at once, each of some records. */
const requests = fc.array(fc.array(say, { minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 5 })

const record = `import { appendFileSync } from 'node:fs'
export default (record, context) => {
  appendFileSync(process.env.CALLS, record.id + ' ')
  switch (record.say) {
    case 'drop': return context.drop()
    case 'fail': return context.fail('no')
    case 'throw': throw new Error('no')
    case 'once': if (context.attempt === 1) throw new Error('once'); break
    case 'fanout': return [record, record]
    case 'wrong': return undefined
    case 'exit': process.exit(1)
  }
  return { id: record.id, done: true }
}`
const batch = `
exports.handler = async (event) => ({ records: event.records.flatMap(({ recordId, data }) => {
  const record = JSON.parse(Buffer.from(data, 'base64'))
  const ok = { recordId, result: 'Ok', data: Buffer.from(JSON.stringify({ id: record.id, done: true })).toString('base64') }
  switch (record.say) {
    case 'drop': return { ...ok, result: 'Dropped' }
    case 'fail': return { ...ok, result: 'ProcessingFailed' }
    case 'throw': throw new Error('no')
    case 'fanout': return [ok, ok]
    case 'wrong': return { ...ok, result: 'ok' }
    case 'exit': process.exit(1)
  }
  return ok
}) })`

async function outcomes(step: TransformStep, says: readonly (readonly Say[])[]): Promise<PipelineRecord[]> {
  let id = 0
  const sent = says.map((request) => pipelineRecords(...request.map((each) => ({ id: id++, say: each }))))
  await Promise.all(sent.map((records) => step.run(records, origin)))
  return sent.flat()
}

for (const [contract, extension, text] of [
  ['record', 'mjs', record],
  ['batch', 'cjs', batch],
] as const) {
  test(`every record of contract ${contract} has the one outcome that its own behaviour gives`, async () => {
    const module = join(folder, `${contract}.${extension}`)
    writeFileSync(module, text)
    const calls = join(folder, 'calls')
    process.env['CALLS'] = calls
    const settings = { ...transformSettings.parse({ workers: 2, memoryMiB: 32 }), timeMs: 60_000, numberOfRetries: 1 }
    const step = await TransformStep.open({ stream: 'web', module, clock: systemClock, settings })
    try {
      await fc.assert(
        fc.asyncProperty(requests, async (says) => {
          writeFileSync(calls, '')
          const records = await outcomes(step, says)
          const expected = says.flat().map((each, id) => {
            const outcome = behaviours[each]
            return outcome === 'row' ? `row shop.events ${JSON.stringify({ id, done: true })}` : outcome
          })
          assert.deepEqual(outcomesOf(records), expected)
          if (contract === 'batch' || says.flat().includes('exit')) return
          // Without deaths of workers nothing is called twice but what threw.
          const counts = new Map<number, number>()
          for (const id of readFileSync(calls, 'utf8').trim().split(' '))
            counts.set(Number(id), (counts.get(Number(id)) ?? 0) + 1)
          for (const [id, each] of says.flat().entries()) {
            assert.equal(counts.get(id), each === 'throw' || each === 'once' ? 2 : 1, `${id} ${each}`)
          }
        }),
        { numRuns: 40 },
      )
    } finally {
      await step.close()
    }
  })
}
