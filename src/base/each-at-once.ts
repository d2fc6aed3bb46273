/**
 * Runs `work` on every item, at most `atOnce` at a time, in order of start. The first error is thrown when all work begun
 * has ended; nothing is begun after it.
 */
export async function eachAtOnce<T>(
  atOnce: number,
  items: readonly T[],
  work: (item: T, at: number) => Promise<unknown>,
): Promise<void> {
  let next = 0
  let failed = false
  const lane = async (): Promise<void> => {
    while (next < items.length && !failed) {
      const at = next++
      try {
        await work(items[at]!, at)
      } catch (error) {
        failed = true
        throw error
      }
    }
  }
  const ended = await Promise.allSettled(Array.from({ length: Math.min(atOnce, items.length) }, lane))
  for (const each of ended) if (each.status === 'rejected') throw each.reason
}
