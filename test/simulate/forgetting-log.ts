/** A log that acknowledges every nth append and forgets it: what a check must find out. */
import type { Log } from '../../src/log/log.ts'

export function forgettingLog(log: Log, nth: number): Log {
  let appends = 0
  return {
    name: log.name,
    get start() {
      return log.start
    },
    get end() {
      return log.end
    },
    append: async (entries) => (++appends % nth === 0 ? log.end : log.append(entries)),
    read: (from, limit) => log.read(from, limit),
    seal: (from, bytesMax) => log.seal(from, bytesMax),
    waitFor: (offset, signal) => log.waitFor(offset, signal),
    trim: (offset) => log.trim(offset),
    close: () => log.close(),
  }
}
