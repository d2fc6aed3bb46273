/** `objects.labels`: what labels pictures, a model of the operator's or a service; see docs/extractors.md. */
import { z } from 'zod'
import { limits } from '../../base/limits.ts'
import { extractorLimits } from './extractors.ts'

const three = z.tuple([z.number(), z.number(), z.number()])

const onnx = z.strictObject({
  type: z.literal('onnx'),
  /** The model, and the names of its classes, one a line; paths from the configuration's file. */
  model: z.string().min(1),
  labels: z.string().min(1),
  /** Default: what is installed beside the configuration, the native one first. */
  runtime: z.enum(['onnxruntime-node', 'onnxruntime-web']).optional(),
  maxLabels: z.int().min(1).max(1000).default(3),
  /** Percent. */
  minConfidence: z.number().min(0).max(100).default(10),
  input: z
    .strictObject({
      name: z.string().optional(),
      width: z.int().min(1).max(4096).optional(),
      height: z.int().min(1).max(4096).optional(),
      layout: z.enum(['NCHW', 'NHWC']).optional(),
      colors: z.enum(['RGB', 'BGR']).default('RGB'),
      scale: z.number().default(1 / 255),
      mean: three.default([0.485, 0.456, 0.406]),
      std: three
        .refine((each) => !each.includes(0), 'expected three numbers other than 0')
        .default([0.229, 0.224, 0.225]),
      fit: z.enum(['cover', 'fill', 'contain']).default('cover'),
    })
    .prefault({}),
  output: z
    .strictObject({
      name: z.string().optional(),
      activation: z.enum(['softmax', 'sigmoid', 'none']).default('softmax'),
    })
    .prefault({}),
  workers: z.int().min(1).max(64).default(1),
  limits: extractorLimits.prefault({}),
  /** Raised with another model, to have rows labelled anew by `tidewater reextract`. */
  version: z.int().min(1).default(1),
})

const rekognition = z.strictObject({
  type: z.literal('rekognition'),
  /** Default: as AWS's own tools find it. */
  region: z.string().optional(),
  endpoint: z.string().optional(),
  maxLabels: z.int().min(1).max(1000).default(3),
  /** Percent. */
  minConfidence: z.number().min(0).max(100).default(55),
  /** How the service is told of a picture: by its name in S3, or by its bytes, which is the default. */
  image: z.enum(['s3', 'bytes']).optional(),
  callsPerSecond: z.number().positive().max(1000).default(5),
  callsAtOnce: z.int().min(1).max(limits.labelCallsAtOnceMax).default(4),
  /** The cap on what it costs: pictures beyond it wait. */
  callsPerHourMax: z.int().min(1).max(10_000_000).default(3600),
  /** Raised to have rows labelled anew by `tidewater reextract`. */
  version: z.int().min(1).default(1),
})

export const labelSettings = z.discriminatedUnion('type', [rekognition, onnx])
