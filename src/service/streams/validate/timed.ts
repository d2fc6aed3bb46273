/**
 * Synchronous work that is ended when it takes too long. A schema that refers to itself can make a small record cost hours, and
 * no clock is looked at while it runs; V8 can end it all the same, as it does for scripts with a time limit.
 */
import { createContext, Script } from 'node:vm'

export type Timed<T> = { done: true; value: T } | { done: false }

const script = new Script('work()')
const sandbox: { work?: () => void } = {}
const context = createContext(sandbox)

/**
 * Runs `work` for at most so many milliseconds of real time. It costs about 0.1 ms, so give it many things to do at once. Work
 * that is ended stops anywhere: what it has changed outside of itself must not matter but for what it can tell of its progress.
 */
export function timed<T>(work: () => T, timeoutMs: number): Timed<T> {
  const result: { value?: { of: T } } = {}
  const outer = sandbox.work
  sandbox.work = () => {
    result.value = { of: work() }
  }
  try {
    script.runInContext(context, { timeout: timeoutMs })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error
  } finally {
    sandbox.work = outer!
  }
  return result.value === undefined ? { done: false } : { done: true, value: result.value.of }
}
