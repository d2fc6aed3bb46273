/**
 * A process that takes a burst of events, all that there are at once, and passes them on as it can; prints what it took as JSON.
 * Its stores and extractors are quick; what is held at a time is counted. Arguments: folder, events, keys.
 */
import path from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { systemClock } from '../../src/base/clock.ts'
import { limits } from '../../src/base/limits.ts'
import { NULL_VERSION, OBJECT_EVENT_VERSION, type ObjectEvent } from '../../src/change/object-event.ts'
import type { Log } from '../../src/log/log.ts'
import { openSegmentLog } from '../../src/log/segments.ts'
import { DeadLetters } from '../../src/service/deadletter/deadletter.ts'
import { defaultMapping } from '../../src/service/objects/mapping.ts'
import { ObjectsService } from '../../src/service/objects/objects.ts'
import { openVersionStore } from '../../src/service/objects/version-store.ts'
import { Random } from './random.ts'

export interface BurstReport {
  events: number
  versions: number
  extracted: number
  asked: number
  /** The most at a time. */
  extractingMax: number
  askingMax: number
  waitingMax: number
  rssMaxMiB: number
  /** Keys whose last row is not of their last event. */
  wrong: number
}

const [dir = '', eventsText, keysText] = process.argv.slice(2)
const EVENTS = Number(eventsText)
const KEYS = Number(keysText)
const START_MS = Date.UTC(2024, 4, 1)

const logs = new Map<string, Log>()
for (const name of ['objects', 'journal', 'inventory', 'content', 'dead-letters'])
  logs.set(name, await openSegmentLog({ dir, name }))
const log = (name: string): Log => logs.get(name)!
const versions = openVersionStore({ path: path.join(dir, 'objects.db') })

const report: BurstReport = {
  events: 0,
  versions: 0,
  extracted: 0,
  asked: 0,
  extractingMax: 0,
  askingMax: 0,
  waitingMax: 0,
  rssMaxMiB: 0,
  wrong: 0,
}
let extracting = 0
let asking = 0
/** Key → number of its last event, and of the event that was extracted last. */
const lastOf = new Map<string, number>()
const extractedOf = new Map<string, number>()

const objects = new ObjectsService({
  objects: log('objects'),
  journal: log('journal'),
  inventory: log('inventory'),
  content: log('content'),
  versions,
  deadLetters: new DeadLetters(log('dead-letters'), systemClock),
  clock: systemClock,
  mapping: defaultMapping,
  extract: async ({ key, etag }) => {
    report.extractingMax = Math.max(report.extractingMax, ++extracting)
    await turn()
    extracting--
    extractedOf.set(key, Number(etag))
    return { metadata: {}, faults: [], bytesRead: 0, extractors: {} }
  },
  stores: {
    asks: () => true,
    names: () => true,
    ask: async ({ etag }) => {
      report.askingMax = Math.max(report.askingMax, ++asking)
      await turn()
      asking--
      report.asked++
      return { kind: 'facts', facts: { etag: etag!, tags: { n: etag! } } }
    },
  },
  onProgress: () => {
    report.rssMaxMiB = Math.max(report.rssMaxMiB, process.memoryUsage.rss() / 2 ** 20)
    report.waitingMax = Math.max(report.waitingMax, objects.accepted - objects.position)
  },
})

const random = new Random(1)

/** Half of the writes go to a hundredth of the keys. */
function eventAt(n: number): ObjectEvent {
  const key = `k/${random.chance(0.5) ? random.below(Math.ceil(KEYS / 100)) : random.below(KEYS)}`
  lastOf.set(key, n)
  const sequencer = `00${(n + 1).toString(16).padStart(14, '0')}1`
  const time = new Date(START_MS + n).toISOString()
  const names = { v: OBJECT_EVENT_VERSION, source: 'aws:s3', name: 'ObjectCreated:Put', bucket: 'b' } as const
  return { ...names, kind: 'create', key, versionId: NULL_VERSION, time, sequencer, etag: String(n), sizeBytes: 1 }
}

objects.start((fault) => {
  throw fault
})
// As the tables' feeds do: what is there is taken and let go.
const taking = setInterval(() => {
  for (const name of ['journal', 'inventory', 'content']) void log(name).trim(log(name).end)
}, 200)
for (let n = 0; n < EVENTS; ) {
  const batch: ObjectEvent[] = []
  while (batch.length < limits.logBatchEntriesMax && n < EVENTS) batch.push(eventAt(n++))
  await objects.accept(batch)
  report.waitingMax = Math.max(report.waitingMax, objects.accepted - objects.position)
}
await objects.passed(objects.accepted, new AbortController().signal)
clearInterval(taking)
await objects.stop()

report.events = objects.counts.events
report.extracted = objects.counts.extracted
report.versions = versions.counts().objects
for (const [key, n] of lastOf) if (extractedOf.get(key) !== n) report.wrong++
versions.close()
for (const each of logs.values()) await each.close()
process.stdout.write(`${JSON.stringify(report)}\n`)
