/** `tidewater ingest` as a process of its own, where upkeep cannot do its work. */
import assert from 'node:assert/strict'
import { readdir, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { cli } from '../../test/support/cli.ts'
import { eventOf, withEngine } from '../../test/support/engine-bench.ts'

const TIME = '2026-11-21T04:00:00.000Z'

test('an ingest that ends by itself tells of upkeep that failed, and takes what it was given', async () => {
  await withEngine({}, async (bench) => {
    // One file less than what is merged; then one of them is lost.
    for (let at = 0; at < 7; at++) await bench.tell(eventOf({ kind: 'create', key: `k${at}`, time: TIME }))
    await bench.stop()
    const home = path.join(bench.dir, 'home')
    const data = path.join(home, 'warehouse', 'aws_s3_metadata', 'mdblogs3metadata', 'data')
    const files = (await readdir(data, { recursive: true })).filter((name) => name.endsWith('.parquet'))
    await rm(path.join(data, files[0] ?? ''))
    const events = path.join(bench.dir, 'events.json')
    const s3 = { bucket: { name: 'photos' }, object: { key: 'last', size: 1, eTag: 'a', sequencer: '99' } }
    const last = { eventVersion: '2.1', eventSource: 'aws:s3', eventTime: TIME, eventName: 'ObjectCreated:Put', s3 }
    await writeFile(events, JSON.stringify({ Records: [last] }))
    const { code, stdout, stderr } = await cli(['ingest', '--events', events, '--home', home])
    assert.equal(code, 0, stderr)
    assert.match(stdout, /committed aws_s3_metadata\.mdblogs3metadata: 1 rows written/)
    assert.match(stderr, /upkeep of aws_s3_metadata\.mdblogs3metadata failed and comes with the next run: .*parquet/)
  })
})
