/**
 * The cost of small commits as their number grows: a thousand upserts each over a hundred thousand keys, upkeep after every one.
 * The windows are of a hundred commits, so that the turns of upkeep are in them.
 */
import { type Bench, Contender, type Measure, Samples } from './harness.ts'

const BENCH = 'commits'
const AIM = 1.3
const WINDOW = 100

export const commits: Bench = {
  name: BENCH,
  run: async (options, tell) => {
    const ends = options.commits ?? (options.quick ? [100, 300] : [100, 1_000, 10_000])
    const keys = 100_000
    const ours = Contender.node('tidewater', 'table.ts')
    const measures: Measure[] = []
    await ours.ask({ do: 'open', mode: 'upsert' })
    await ours.ask({ do: 'fill', keys })
    let done = 0
    for (const end of ends) {
      const before = end - WINDOW / 2
      await ours.ask({ do: 'commits', count: before - done, size: 1_000, keys, seed: options.seed + done })
      const { commitMs, upkeepMs, cpuMs } = await ours.ask({
        do: 'commits',
        count: WINDOW,
        size: 1_000,
        keys,
        seed: options.seed + before,
      })
      done = before + WINDOW
      const facts = await ours.ask({ do: 'facts' })
      const summary = facts['summary'] as Record<string, string>
      tell(
        `commit ${end}: ${facts['snapshots']} snapshots, ${summary['total-data-files']} data files, ${summary['total-delete-files']} delete files, ${facts['metadataFiles']} metadata files`,
      )
      const work = `1 k changes, around commit ${end}`
      for (const [contender, pick] of [
        ['tidewater commit', (at: number) => (commitMs as number[])[at]!],
        ['tidewater commit and upkeep', (at: number) => (commitMs as number[])[at]! + (upkeepMs as number[])[at]!],
      ] as const) {
        const samples = new Samples()
        for (let at = 0; at < WINDOW; at++) samples.add(pick(at), Number(cpuMs) / WINDOW)
        const measure = samples.measure(BENCH, work, contender, 'ms')
        const first = measures.find((known) => known.contender === contender)
        if (first !== undefined) {
          const value = measure.median / first.median
          measure.ratio = { of: 'commit 100', value }
          measure.aim = { text: `at most ${AIM} of commit 100`, reached: value <= AIM }
        }
        measures.push(measure)
      }
      const whole = new Samples()
      for (let at = 0; at < WINDOW; at++) whole.add((upkeepMs as number[])[at]!)
      measures.push({ ...whole.measure(BENCH, work, 'upkeep, mean', 'ms'), median: whole.mean })
      measures.push({ ...whole.measure(BENCH, work, 'upkeep, p99', 'ms'), median: whole.at(0.99) })
    }
    const peak = await ours.end()
    return measures.map((measure) => ({ ...measure, peakRssMiB: peak }))
  },
}
