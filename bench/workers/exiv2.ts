/** Metadata of photos by the command exiv2, one process for all of them, which prints every EXIF tag to nowhere. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Photo } from '../photos.ts'
import { serve } from './worker.ts'

const run = promisify(execFile)
/** Prints the CPU time of the shell and, in the second line, that of its children. */
const SCRIPT = 'exiv2 -q -PEkt "$@" >/dev/null 2>&1; times'

await serve(
  {
    read: async ({ photos }) => {
      const paths = (photos as Photo[]).map((photo) => photo.path)
      const started = performance.now()
      const { stdout } = await run('bash', ['-c', SCRIPT, 'exiv2', ...paths])
      return { ms: performance.now() - started, cpuMs: cpuMsOf(stdout) }
    },
  },
  async () => undefined,
)

/** Of the children, from a line such as `0m0.101s 0m0.020s`. */
function cpuMsOf(times: string): number {
  const parts = [...(times.trim().split('\n')[1] ?? '').matchAll(/(\d+)m([\d.]+)s/g)]
  return parts.reduce((sum, [, minutes, seconds]) => sum + Number(minutes) * 60_000 + Number(seconds) * 1000, 0)
}
