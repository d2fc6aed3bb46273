/** Labels of pictures as the configuration wants them. */
import type { Clock } from '../base/clock.ts'
import { limits } from '../base/limits.ts'
import { NULL_VERSION, type ObjectEvent } from '../change/object-event.ts'
import { shrunkPicture } from '../extract/shrink.ts'
import { CallBook } from '../service/objects/labels/call-book.ts'
import { type LabelSubject, Labels } from '../service/objects/labels/labels.ts'
import { Pace } from '../service/objects/labels/pace.ts'
import { openRekognition } from '../service/objects/labels/rekognition.ts'
import type { Store } from '../store/store.ts'
import type { Config } from './config.ts'
import type { Home } from './home.ts'

/** Null when no service is configured. @throws Fault */
export async function openLabels(
  { objects }: Config,
  home: Home,
  clock: Clock,
  onNotice: (text: string) => void,
): Promise<Labels | null> {
  const settings = objects.labels
  if (settings?.type !== 'rekognition') return null
  const client = await openRekognition(settings)
  try {
    return new Labels({
      client,
      book: CallBook.open(home.statePath('labels.db')),
      pace: new Pace({ atOnce: settings.callsAtOnce, perSecond: settings.callsPerSecond, clock }),
      clock,
      version: settings.version,
      callsPerHourMax: settings.callsPerHourMax,
      shrink: shrunkPicture,
      onNotice,
    })
  } catch (error) {
    client.close()
    throw error
  }
}

export interface LabelledObject {
  event: ObjectEvent
  store: Store
  /** Etag and size in that store. */
  etag: string
  sizeBytes: number
  /** The service can read the store by itself. */
  isInS3: boolean
}

/** An object as labels want to know of it. */
export function labelSubject({ event, store, etag, sizeBytes, isInS3 }: LabelledObject): LabelSubject {
  const { bucket, key, versionId, sequencer } = event
  const version = versionId === NULL_VERSION ? {} : { versionId }
  return {
    bucket,
    key,
    versionId,
    etag: event.etag,
    sequencer,
    sizeBytes,
    isInS3,
    bytes: () => store.get(key, { ...version, ifMatch: etag, range: { start: 0, end: limits.labelShrinkBytesMax } }),
    isStill: async () => (await store.head(key, version))?.etag === etag,
  }
}
