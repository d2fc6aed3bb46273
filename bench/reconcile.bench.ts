/**
 * Objects per second of a bucket compared with its listing: in step, and with nothing known of it, against only reading the
 * same listing, which is made up as it goes. And objects taken in from a real MinIO per second, from nothing to rows in the tables.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { PutObjectCommand } from '@aws-sdk/client-s3'
import { Minio, noMinio } from '../test/interop/minio.ts'
import { cliOk } from '../test/support/cli.ts'
import { against, type Bench, type BenchOptions, Contender, type Measure, name, Samples } from './harness.ts'

const BENCH = 'reconcile'

export const reconcile: Bench = {
  name: BENCH,
  run: async (options, tell) => {
    const measures: Measure[] = []
    for (const count of options.keys ?? [options.quick ? 100_000 : 1_000_000])
      measures.push(...(await comparing(options, count, tell)))
    if (noMinio === false) measures.push(...(await backfill(options, tell)))
    else tell(`backfill left out: ${noMinio}`)
    return measures
  },
}

async function comparing(options: BenchOptions, count: number, tell: (text: string) => void): Promise<Measure[]> {
  const folder = await mkdtemp(path.join(tmpdir(), 'tidewater-bench-reconcile-'))
  const known = path.join(folder, 'objects.db')
  const filler = Contender.node('fill', 'reconcile.ts')
  try {
    tell(`${name(count)} objects made known`)
    await filler.ask({ do: 'fill', path: known, count })
    await filler.end()
    const contenders = [
      { what: 'tidewater, in step', ask: { do: 'compare', path: known } },
      { what: 'tidewater, nothing known', ask: { do: 'compare', path: path.join(folder, 'empty.db') } },
      { what: 'only reading the listing', ask: { do: 'read' } },
    ].map((one) => ({ ...one, process: Contender.node(one.what, 'reconcile.ts'), rates: new Samples() }))
    for (let round = 0; round < (options.rounds ?? 5); round++) {
      for (const { process, ask, rates } of contenders) {
        const { ms, cpuMs, keys } = await process.ask({ ...ask, count })
        if (Number(keys) !== count) throw new Error(`expected ${count} keys, got ${keys}`)
        rates.add((count / Number(ms)) * 1000, Number(cpuMs), count)
      }
    }
    const measures = []
    for (const { what, rates, process } of contenders) {
      const measure = rates.measure(BENCH, `${name(count)} objects against a listing`, what, 'objects/s')
      measures.push({ ...measure, peakRssMiB: await process.end() })
    }
    const plain = measures.at(-1)!
    return measures.map((measure) => (measure === plain ? measure : against(measure, plain)))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function backfill(options: BenchOptions, tell: (text: string) => void): Promise<Measure[]> {
  const count = options.quick ? 1_000 : 10_000
  const minio = await Minio.start()
  const folder = await mkdtemp(path.join(tmpdir(), 'tidewater-bench-backfill-'))
  try {
    await minio.makeBucket('photos')
    tell(`${name(count)} objects put into MinIO`)
    const left = Array.from({ length: count }, (_, n) => n)
    const one = async () => {
      for (let n = left.pop(); n !== undefined; n = left.pop())
        await minio.client.send(new PutObjectCommand({ Bucket: 'photos', Key: `k/${n}.txt`, Body: `object ${n}` }))
    }
    await Promise.all(Array.from({ length: 32 }, one))
    const config = path.join(folder, 'config.json')
    await writeFile(config, JSON.stringify({ s3: { default: minio.properties }, objects: { buckets: { photos: {} } } }))
    const rates = new Samples()
    const again = new Samples()
    for (let round = 0; round < (options.rounds ?? 3); round++) {
      const common = ['ingest', 's3://photos', '--config', config, '--home', path.join(folder, `home-${round}`)]
      for (const samples of [rates, again]) {
        const begunMs = performance.now()
        await cliOk(common)
        samples.add((count / (performance.now() - begunMs)) * 1000)
      }
    }
    const work = `${name(count)} small objects on MinIO`
    return [
      rates.measure(BENCH, `${work}, HEAD and bytes of each read`, 'tidewater ingest', 'objects/s'),
      again.measure(BENCH, `${work}, in step`, 'tidewater ingest', 'objects/s'),
    ]
  } finally {
    await minio.remove()
    await rm(folder, { recursive: true, force: true })
  }
}
