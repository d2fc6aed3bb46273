/**
 * Whether what lies outside can be reached: every bucket, queue and topic that the configuration names, and a warehouse on S3. All are
 * looked at at once, each for `limits.reachMs` at most. Nothing is received, joined or written.
 *
 * Only a warehouse keeps a server from starting, as no table can be opened without it: one that says no ends the start, and one that does
 * not answer is waited for. Everything else heals later, by itself or by somebody's hand, and notifications are taken meanwhile.
 */
import { backoffMs } from '../base/backoff.ts'
import { systemClock } from '../base/clock.ts'
import { eachAtOnce } from '../base/each-at-once.ts'
import { Fault, isFault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { type KafkaSettings, kafkaGroup } from '../service/streams/sources/settings.ts'
import { openS3Store } from '../store/s3.ts'
import { clientOf } from '../store/s3-client.ts'
import type { Config } from './config.ts'
import type { Home } from './home.ts'
import { knownRoots } from './known-directories.ts'
import { IS_IT_THERE, type Look, troubleOf } from './look.ts'
import { type BucketUse, lookAtBucket } from './look-at-bucket.ts'
import { queueConnection } from './object-sources.ts'
import { s3Connection } from './s3-connections.ts'
import { lookAtTopics } from './sources.ts'
import { type SentRequest, s3Place } from './warehouse.ts'

/** `subject`: `bucket photos`, `queue uploads`, `topics topic`, `warehouse`. */
export type Reach = Look & { subject: string }

export interface ReachOptions {
  home: Pick<Home, 'stateDir'>
  config: Config
  /** Folder that relative paths in the configuration start from. */
  configDir: string
  onRequest?: (request: SentRequest) => void
  /** How long a look may take. Default `limits.reachMs`. */
  lookMs?: number
}

interface Place {
  subject: string
  /** Loads what it is looked at by: a slow machine is not a slow store. */
  load: () => Promise<unknown>
  look: () => Promise<Look[]>
}

/** The warehouse if it is on S3, and then all else; each is told as soon as it is known. Never rejects for what is found. */
export async function lookOutside(options: ReachOptions, onFound: (found: Reach) => void): Promise<void> {
  const roots = await knownRoots(options.home.stateDir).catch(() => new Map<string, string>())
  await lookAt([...bucketPlaces(options, roots), ...queuePlaces(options), ...topicPlaces(options)], options, onFound)
}

/** What the look at a warehouse on S3 shows; nothing for one in the home. Never rejects. */
export async function lookAtWarehouse(options: ReachOptions): Promise<Reach[]> {
  const found: Reach[] = []
  await lookAt(warehousePlaces(options), options, (each) => found.push(each))
  return found
}

/** @throws Fault `unavailable` for a warehouse that would not do, before anything is made; what may pass does not throw */
export function requireWarehouse(found: readonly Reach[]): void {
  const lasting = found.filter((each) => each.level === 'problem' && each.cause === 'settings')
  if (lasting.length === 0) return
  throw new Fault(
    'unavailable',
    `the warehouse cannot be used, so no table can be opened: ${lasting.map(({ message }) => message).join('; ')}`,
  )
}

export interface WarehouseWait {
  /** Ends the waiting at once. */
  signal: AbortSignal
  /** Told once, of what the first look has shown. Must not throw. */
  onOutage: (found: readonly Reach[]) => void
  /** Default `limits.warehouseWaitMs`. */
  waitMs?: number
}

/**
 * Looks at the warehouse until it answers: an outage may pass, and is waited for.
 * @returns what the last look has shown; null: the signal was aborted before
 * @throws Fault `unavailable` for a warehouse that says no, at once, and for one that did not answer in time
 */
export async function awaitWarehouse(options: ReachOptions, wait: WarehouseWait): Promise<Reach[] | null> {
  const { signal, onOutage, waitMs = limits.warehouseWaitMs } = wait
  const over = AbortSignal.timeout(waitMs)
  const either = AbortSignal.any([signal, over])
  for (let failures = 1; ; failures++) {
    const found = await unlessAborted(lookAtWarehouse(options), signal)
    if (found === null) return null
    requireWarehouse(found)
    const outages = found.filter(({ level }) => level === 'problem')
    if (outages.length === 0) return found
    if (over.aborted) throw unanswered(outages, waitMs)
    if (failures === 1) onOutage(outages)
    const pauseMs = backoffMs(failures, limits.warehouseBackoffMs, limits.warehouseBackoffMaxMs)
    await systemClock.sleep(pauseMs, either).catch(() => undefined)
  }
}

function unanswered(found: readonly Reach[], waitMs: number): Fault {
  const said = found.map(({ message }) => message).join('; ')
  return new Fault(
    'unavailable',
    `the warehouse did not answer for ${Math.round(waitMs / 1000)} s, so no table can be opened: ${said}; nothing was taken: start again when the store answers, or correct warehouse.location and its connection under s3`,
  )
}

/** Null: the signal was aborted before the work was done, which goes on and counts no more. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T | null> {
  const { promise, resolve } = Promise.withResolvers<null>()
  const stop = () => resolve(null)
  if (signal.aborted) stop()
  signal.addEventListener('abort', stop, { once: true })
  try {
    return await Promise.race([promise, work])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

async function lookAt(places: readonly Place[], options: ReachOptions, onFound: (found: Reach) => void): Promise<void> {
  const { lookMs = limits.reachMs } = options
  for (const { load } of places) await load().catch(() => undefined)
  await eachAtOnce(limits.reachAtOnce, places, async ({ subject, look }) => {
    for (const found of await within(lookMs, look)) onFound({ subject, ...found })
  })
}

/** What is still asked when its time is up ends by itself. */
async function within(lookMs: number, look: () => Promise<Look[]>): Promise<Look[]> {
  const { promise, resolve } = Promise.withResolvers<Look[]>()
  const timer = setTimeout(() => {
    const message = `there was no answer within ${lookMs} ms; ${IS_IT_THERE}`
    resolve([{ level: 'problem', cause: 'outage', message }])
  }, lookMs)
  try {
    return await Promise.race([look(), promise])
  } catch (error) {
    return [troubleOf(error)]
  } finally {
    clearTimeout(timer)
  }
}

function bucketPlaces(options: ReachOptions, roots: ReadonlyMap<string, string>): Place[] {
  return Object.entries(options.config.objects.buckets).map(([name, { s3, prefix, describe, reconcile }]) => {
    const subject = `bucket ${name}`
    const say = (message: string): Place => ({ subject, load: nothing, look: async () => [{ level: 'note', message }] })
    if (name === '*') return say('buckets that only events name are looked at when they are named')
    if (roots.has(name)) return say(`stands for the directory ${roots.get(name)}, and is not asked for in a store`)
    const use = { use: 'objects', prefix, withTags: describe === 'all', isCompared: reconcile !== undefined } as const
    return bucketPlace(subject, options, name, s3, use)
  })
}

function warehousePlaces(options: ReachOptions): Place[] {
  const { location, s3 } = options.config.warehouse
  const place = location === undefined ? null : s3Place(location)
  if (place === null) return []
  const prefix = place.prefix === '' ? '' : `${place.prefix}/`
  const use = { use: 'tables', prefix, withTags: false, isCompared: false } as const
  return [bucketPlace('warehouse', options, place.bucket, s3, use)]
}

function bucketPlace(
  subject: string,
  { config, onRequest, lookMs = limits.reachMs }: ReachOptions,
  bucket: string,
  s3: string | undefined,
  use: BucketUse,
): Place {
  return {
    subject,
    load: async () => clientOf(s3Connection(config, s3)),
    look: async () => {
      const options = { connection: s3Connection(config, s3), bucket, attemptsMax: 2, requestMs: lookMs }
      return lookAtBucket(openS3Store({ ...options, ...(onRequest && { onRequest }) }), use)
    },
  }
}

const nothing = async (): Promise<void> => undefined

function queuePlaces({ config }: ReachOptions): Place[] {
  return Object.entries(config.objects.sources).flatMap(([name, settings]) => {
    if (settings.type !== 'sqs') return []
    const look = async (): Promise<Look[]> => {
      const { openSqsQueue } = await import('../source/sqs-queue.ts')
      const queue = openSqsQueue(queueConnection(settings, config.s3, `objects.sources.${name}`))
      try {
        const { waiting, inFlight } = await queue.depth()
        const message = `${settings.queueUrl} answers: ${waiting} messages wait, ${inFlight} are being worked on; whether they may be received and deleted shows with the first`
        return [{ level: 'ok', message }]
      } catch (error) {
        return [queueTrouble(error)]
      } finally {
        queue.close()
      }
    }
    return [{ subject: `queue ${name}`, load: () => import('../source/sqs-queue.ts'), look }]
  })
}

/** The right to ask for the length is not needed to receive. */
function queueTrouble(error: unknown): Look {
  const look = troubleOf(error)
  if (!isFault(error) || !/AccessDenied/.test(String(error.facts['code']))) return look
  const message = `${look.message}; only its length is asked for by that: whether it may be received from shows with the first`
  return { level: 'note', message }
}

function topicPlaces({ config, configDir }: ReachOptions): Place[] {
  const placeOf = (name: string, where: string, settings: Omit<KafkaSettings, 'columns' | 'keys'>): Place => ({
    subject: `topics ${name}`,
    load: () => import('../source/kafka-client.ts'),
    look: async () => {
      const group = kafkaGroup(name, settings)
      const missing = await lookAtTopics({ ...settings, where, group }, configDir)
      if (missing.length === 0) {
        const message = `${settings.topics.join(', ')} at ${settings.brokers.join(', ')}; whether group ${group} may read shows when it joins`
        return [{ level: 'ok', message }]
      }
      const message = `${settings.brokers.join(', ')} has no topic ${missing.join(', ')}, or does not show it to us; it is waited for`
      return [{ level: 'problem', cause: 'settings', message }]
    },
  })
  return [
    ...Object.entries(config.objects.sources).flatMap(([name, settings]) =>
      settings.type === 'kafka' ? [placeOf(name, `objects.sources.${name}`, settings)] : [],
    ),
    ...Object.entries(config.sources).flatMap(([name, { kafka }]) =>
      kafka === undefined ? [] : [placeOf(name, `sources.${name}.kafka`, kafka)],
    ),
  ]
}
