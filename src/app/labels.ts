/** Labels of pictures as the configuration wants them: by a service, or by a model in workers. */
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Clock } from '../base/clock.ts'
import { Fault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { NULL_VERSION, type ObjectEvent } from '../change/object-event.ts'
import { packageFile } from '../extract/module-path.ts'
import type { OnnxOptions } from '../extract/onnx-labels.ts'
import type { OwnExtractor } from '../extract/pools.ts'
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

const RUNTIMES = ['onnxruntime-node', 'onnxruntime-web'] as const

/** The extractor of a model; null when none is configured. @throws Fault `invalid` when no runtime is installed */
export function onnxExtractor({ objects }: Config, configDir: string): OwnExtractor | null {
  const settings = objects.labels
  if (settings?.type !== 'onnx') return null
  const { model, labels, runtime, workers, limits: bounds, version, maxLabels, minConfidence, input, output } = settings
  const options: OnnxOptions = {
    model: path.resolve(configDir, model),
    labels: path.resolve(configDir, labels),
    runtime: runtimeFile(runtime === undefined ? RUNTIMES : [runtime], configDir),
    version,
    maxLabels,
    minConfidence,
    input,
    output,
  }
  const file = import.meta.url.endsWith('.ts') ? '../extract/onnx-labels.ts' : '../extract/onnx-labels.js'
  return {
    module: fileURLToPath(new URL(file, import.meta.url)),
    options,
    workers,
    limits: {
      timeMs: bounds.timeMs ?? limits.onnxTimeMs,
      heapMiB: bounds.memoryMiB ?? limits.onnxMemoryMiB,
      bytesMax: bounds.bytesMax ?? limits.onnxBytesMax,
    },
  }
}

function runtimeFile(names: readonly string[], configDir: string): OnnxOptions['runtime'] {
  for (const name of names) {
    const file = packageFile(name, '', configDir) ?? packageFile(name, '', import.meta.dirname)
    if (file !== null) return { name, file }
  }
  throw new Fault(
    'invalid',
    `objects.labels: a model needs ${names.join(' or ')}, which is not installed in ${configDir} or above it: run npm install onnxruntime-web there (nothing is downloaded or compiled at its install), or onnxruntime-node with ONNXRUNTIME_NODE_INSTALL=skip in the environment, which is faster`,
  )
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
