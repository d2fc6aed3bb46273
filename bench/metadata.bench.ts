/**
 * Metadata of photos per second, and bytes read of each: our pool and our extractors in one thread, against Pillow and exifreader
 * over whole objects, and exiv2. Files are in the page cache.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { against, atMost, type Bench, Contender, type Measure, Samples } from './harness.ts'
import { exiv2, pillow } from './peers.ts'
import { makePhotos } from './photos.ts'

const BENCH = 'metadata'
const AIM = 5
const KIB_MAX = 64

export const metadata: Bench = {
  name: BENCH,
  run: async (options, tell) => {
    const folder = await mkdtemp(path.join(tmpdir(), 'tidewater-bench-photos-'))
    const contenders = [
      { name: 'tidewater, pool', process: Contender.node('pool', 'extract.ts'), work: 'pool' },
      { name: 'tidewater, one thread', process: Contender.node('inline', 'extract.ts'), work: 'inline' },
      { name: 'exifreader, whole object', process: Contender.node('exifreader', 'extract.ts'), work: 'exifreader' },
    ]
    const peer = pillow(tell)
    if (peer !== null) contenders.push({ name: 'pillow, whole object', process: peer, work: 'read' })
    const command = exiv2(tell)
    if (command !== null) contenders.push({ name: 'exiv2', process: command, work: 'read' })
    try {
      const photos = await makePhotos(folder, options.quick ? 60 : 240)
      const bytes = photos.reduce((sum, photo) => sum + photo.sizeBytes, 0)
      const work = `${photos.length} JPEGs of ${(bytes / photos.length / 2 ** 20).toFixed(1)} MiB`
      const rates = contenders.map(() => new Samples())
      const kib = contenders.map(() => new Samples())
      for (let round = 0; round <= (options.rounds ?? 7); round++) {
        for (const [at, contender] of contenders.entries()) {
          const { ms, cpuMs, read } = await contender.process.ask({ do: contender.work, photos })
          if (round === 0) continue // Into the page cache, code compiled.
          rates[at]!.add((photos.length / Number(ms)) * 1000, Number(cpuMs), photos.length)
          // What a command reads is not seen from here.
          if (round === 1) for (const one of (read ?? []) as number[]) kib[at]!.add(one / 1024)
        }
      }
      const measures: Measure[] = []
      const found = contenders.map((contender, at) => rates[at]!.measure(BENCH, work, contender.name, 'photos/s'))
      const theirs = found.find((measure) => measure.contender.startsWith('pillow'))
      for (const [at, measure] of found.entries()) {
        const ours = at === 0
        measures.push(
          theirs === undefined || measure === theirs ? measure : against(measure, theirs, ours ? AIM : undefined),
        )
        if (kib[at]!.count === 0) continue
        const perPhoto = kib[at]!.measure(BENCH, `${work}: read of each`, contenders[at]!.name, 'KiB')
        measures.push(ours ? atMost(perPhoto, KIB_MAX) : perPhoto)
      }
      return measures
    } finally {
      for (const { process } of contenders) await process.end()
      await rm(folder, { recursive: true, force: true })
    }
  },
}
