/** Puts changes into a log that nobody else has open. */
import { openSegmentLog } from '../../src/log/segments.ts'
import { changeText, Ids, type Skew } from '../workload.ts'
import { serve } from './worker.ts'

const APPEND = 10_000

await serve(
  {
    append: async ({ log: options, count, seed, first, keys, skew }) => {
      const log = await openSegmentLog(options as { dir: string; name: string })
      const ids = first === undefined ? new Ids(Number(seed), Number(keys), skew as Skew) : null
      let next = Number(first)
      for (let at = 0; at < Number(count); at += APPEND) {
        const size = Math.min(APPEND, Number(count) - at)
        await log.append(Array.from({ length: size }, () => changeText(ids?.next() ?? next++, Number(seed))))
      }
      await log.close()
      return {}
    },
  },
  async () => undefined,
)
