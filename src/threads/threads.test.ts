/** The pool of threads by itself; what its owners make of it is tested beside them. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import type { Fault } from '../base/fault.ts'
import { type FromThread, type Job, type ThreadDeath, ThreadPool } from './threads.ts'

let folder: string
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidewater-threads-'))
})
after(() => rmSync(folder, { recursive: true, force: true }))

interface Message extends FromThread {
  kind: 'ready' | 'done'
  id: number
}

/** Runs jobs on threads of this text until all have come back; each job is what its thread is to do. */
function runJobs(
  text: string,
  todo: readonly string[],
  max = 2,
): Promise<{ back: string[]; threads: number; broken: Fault | null }> {
  const file = join(folder, `thread-${Math.random()}.mjs`)
  writeFileSync(file, text)
  const queue = todo.map((what, id) => ({ id, what }))
  const back: string[] = todo.map(() => 'lost')
  let threads = 0
  let left = todo.length
  return new Promise((resolve) => {
    const end = (broken: Fault | null) => {
      void pool.close().then(() => resolve({ back, threads, broken }))
    }
    const tell = (job: Job | undefined, what: string) => {
      if (job === undefined) return
      back[job.id] = what
      if (--left === 0) end(null)
    }
    const pool = new ThreadPool<Job, unknown, Message>({
      file: pathToFileURL(file),
      data: {},
      threads: { min: 1, max },
      depth: 1,
      timeMs: 2_000,
      part: 'one job',
      heapMiB: 32,
      what: 'test',
      next: () => {
        const job = queue.shift()
        return job === undefined ? undefined : { job, message: job }
      },
      hasMore: () => queue.length > 0,
      onMessage: (thread, message) => {
        if (message.kind === 'ready') threads++
        else tell(thread.take(message.id), 'done')
        pool.wake()
      },
      onDeath: ({ kind, part }: ThreadDeath, current) => tell(current, `${kind} at ${part}`),
      onBroken: end,
    })
    pool.start()
  })
}

const worker = `import { parentPort, workerData } from 'node:worker_threads'
parentPort.on('message', async ({ id, what }) => {
  Atomics.store(workerData.progress, 1, 7)
  if (what === 'hang') for (;;);
  if (what === 'exit') process.exit(1)
  if (what === 'slow') await new Promise((resolve) => setTimeout(resolve, 400))
  parentPort.postMessage({ kind: 'done', id })
})
parentPort.postMessage({ kind: 'ready' })`

test('every job comes back: done, or with the death of its thread and the part that ran', async () => {
  const { back } = await runJobs(worker, ['ok', 'hang', 'ok', 'exit', 'ok'])
  assert.deepEqual(back, ['done', 'timeout at 7', 'done', 'crash at 7', 'done'])
})

test('threads come with demand, up to the most', async () => {
  assert.equal((await runJobs(worker, ['ok'], 4)).threads, 1)
  const { threads, back } = await runJobs(
    worker,
    Array.from({ length: 12 }, () => 'slow'),
    3,
  )
  assert.ok(threads > 1 && threads <= 3, String(threads))
  assert.ok(back.every((what) => what === 'done'))
})

test('a pool gives up when its threads die before they are ready', async () => {
  const { broken, threads } = await runJobs('throw new Error("no luck")', ['ok'])
  assert.equal(broken?.kind, 'unavailable')
  assert.match(broken?.message ?? '', /No test worker starts: no luck/)
  assert.equal(threads, 0)
})
