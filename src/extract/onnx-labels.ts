/**
 * `onnx`: labels of pictures by a model that the operator has as a file, without any service. The picture is decoded, brought to the
 * model's size, and run through it; its best classes become labels.
 *
 * The model is loaded once in each worker, and tried on an empty picture before the worker takes objects: so a model that wants
 * something else than it is given, or has other classes than there are names, is told of at start. Pure: the same bytes and the same
 * model give the same labels, which say the model's hash.
 */
import { readFile, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Fault, messageOf } from '../base/fault.ts'
import { sha256Hex } from '../base/hash.ts'
import type { Json } from '../base/json.ts'
import { limits } from '../base/limits.ts'
import type { ByteSource, Extractor } from './extract.ts'
import { isDecoded } from './pixels.ts'

export interface OnnxOptions {
  /** Absolute paths: the model, the names of its classes, the module of the runtime. */
  model: string
  labels: string
  runtime: { name: string; file: string }
  version: number
  /** Most labels, and the least confidence of one in percent. */
  maxLabels: number
  minConfidence: number
  input: {
    /** Default: the model's only input. */
    name?: string | undefined
    /** Pixels; default: what the model says. */
    width?: number | undefined
    height?: number | undefined
    /** Order of the dimensions; default: by where the model has 3. */
    layout?: 'NCHW' | 'NHWC' | undefined
    colors: 'RGB' | 'BGR'
    /** A value is (sample of 0 to 255 times scale - mean) / std. */
    scale: number
    mean: readonly number[]
    std: readonly number[]
    /** Of a picture of another shape: its middle, all of it squeezed, or all of it with black beside. */
    fit: 'cover' | 'fill' | 'contain'
  }
  output: {
    /** Default: the model's first output. */
    name?: string | undefined
    /** What makes shares of the scores. */
    activation: 'softmax' | 'sigmoid' | 'none'
  }
}

/** What is used of `onnxruntime-web` and `onnxruntime-node`, which have it alike. */
interface Runtime {
  env: { wasm?: { numThreads?: number }; logLevel?: string }
  InferenceSession: { create(model: Uint8Array, options: object): Promise<Session> }
  Tensor: new (type: 'float32', data: Float32Array, dims: readonly number[]) => Tensor
}

interface Tensor {
  readonly data: ArrayLike<number | bigint>
}

interface Session {
  readonly inputNames: readonly string[]
  readonly outputNames: readonly string[]
  readonly inputMetadata?: readonly { name: string; type?: string; shape?: readonly (number | string)[] }[]
  run(feeds: Record<string, Tensor>): Promise<Record<string, Tensor>>
}

/** What the model is given, settled by its own word and the settings. */
interface Shape {
  name: string
  width: number
  height: number
  layout: 'NCHW' | 'NHWC'
}

/** @throws Fault `invalid`, `not-found`, `limit`: the model, the names or the runtime do not fit */
export async function create(options: OnnxOptions): Promise<Extractor> {
  const bytes = await modelBytes(options.model)
  const names = await classNames(options.labels)
  const { runtime, session } = await openSession(options, bytes)
  const shape = shapeOf(session, options)
  const scores = async (pixels: Uint8Array): Promise<ArrayLike<number | bigint>> => {
    const { name, width, height, layout } = shape
    const dims = layout === 'NCHW' ? [1, 3, height, width] : [1, height, width, 3]
    const values = valuesOf(pixels, shape, options.input)
    const outputs = await session.run({ [name]: new runtime.Tensor('float32', values, dims) })
    const output = outputs[options.output.name ?? session.outputNames[0] ?? '']
    if (output === undefined)
      throw new Fault('invalid', `${options.model} has no output "${options.output.name}": ${session.outputNames}`)
    return output.data
  }
  await tried(options, names, () => scores(new Uint8Array(shape.width * shape.height * 3)))
  const label_model = { by: 'onnx', name: basename(options.model), sha256: sha256Hex(bytes) }
  return {
    name: 'onnx',
    version: options.version,
    appliesTo: ({ sniffed }) => isDecoded(sniffed),
    extract: async (_subject, source) => ({
      labels: labelsOf(await scores(await pixelsOf(source, shape, options.input.fit)), names, options),
      label_model,
    }),
  }
}

async function modelBytes(file: string): Promise<Uint8Array> {
  const found = await stat(file).catch(() => null)
  if (found === null || !found.isFile()) throw new Fault('not-found', `there is no model ${file}`)
  if (found.size > limits.onnxModelBytesMax)
    throw new Fault('limit', `${file} has ${found.size} bytes; a model may have ${limits.onnxModelBytesMax}`)
  return readFile(file)
}

/** One name a line, or a JSON array of names. */
async function classNames(file: string): Promise<readonly string[]> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new Fault('not-found', `the names of the classes cannot be read: ${messageOf(error)}`, {}, error)
  })
  if (!text.trimStart().startsWith('['))
    return text
      .trimEnd()
      .split(/\r?\n/)
      .map((line) => line.trim())
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (error) {
    throw new Fault('invalid', `${file} begins as a JSON array and is none: ${messageOf(error)}`, {}, error)
  }
  if (Array.isArray(parsed) && parsed.every((name) => typeof name === 'string')) return parsed
  throw new Fault('invalid', `${file}: expected a JSON array of names`)
}

async function openSession(
  { model, runtime: { name, file } }: OnnxOptions,
  bytes: Uint8Array,
): Promise<{ runtime: Runtime; session: Session }> {
  const loaded = (await import(pathToFileURL(file).href)) as Partial<Runtime> & { default?: Runtime }
  const runtime = loaded.InferenceSession === undefined ? loaded.default : (loaded as Runtime)
  if (runtime?.InferenceSession === undefined) throw new Fault('invalid', `${name} in ${file} is no ONNX runtime`)
  const isWeb = name === 'onnxruntime-web'
  // Each worker is a thread already.
  if (isWeb && runtime.env.wasm !== undefined) runtime.env.wasm.numThreads = 1
  runtime.env.logLevel = 'error'
  try {
    const session = await runtime.InferenceSession.create(bytes, {
      executionProviders: [isWeb ? 'wasm' : 'cpu'],
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
    })
    return { runtime, session }
  } catch (error) {
    throw new Fault('invalid', `${model} cannot be loaded as an ONNX model: ${messageOf(error)}`, {}, error)
  }
}

function shapeOf({ inputNames, inputMetadata = [] }: Session, { model, input }: OnnxOptions): Shape {
  const name = input.name ?? inputNames[0] ?? ''
  if (!inputNames.includes(name) || (input.name === undefined && inputNames.length !== 1))
    throw new Fault('invalid', `${model}: name one of its inputs (input.name): ${inputNames.join(', ')}`)
  const told = inputMetadata.find((each) => each.name === name)
  if (told?.type !== undefined && told.type !== 'float32')
    throw new Fault('unsupported', `${model}: its input ${name} is of ${told.type}; only float32 can be given`)
  const dims = told?.shape ?? []
  const layout = input.layout ?? (dims[1] === 3 ? 'NCHW' : dims[3] === 3 ? 'NHWC' : undefined)
  if (layout === undefined)
    throw new Fault('invalid', `${model} does not say where its colours are: set input.layout to NCHW or NHWC`)
  const side = (at: number, set: number | undefined, setting: string): number => {
    const own = dims[at]
    if (set !== undefined && typeof own === 'number' && own > 0 && own !== set)
      throw new Fault('invalid', `${model} takes pictures of ${setting} ${own}; ${setting} ${set} is configured`)
    const size = set ?? (typeof own === 'number' && own > 0 ? own : undefined)
    if (size === undefined) throw new Fault('invalid', `${model} takes any ${setting}: set input.${setting}`)
    return size
  }
  const [high, wide] = layout === 'NCHW' ? [2, 3] : [1, 2]
  return { name, layout, height: side(high, input.height, 'height'), width: side(wide, input.width, 'width') }
}

/** One run without a picture: do the model, its settings and the names go together? */
async function tried(
  { model, labels, output }: OnnxOptions,
  names: readonly string[],
  run: () => Promise<ArrayLike<number | bigint>>,
): Promise<void> {
  let scores: ArrayLike<number | bigint>
  try {
    scores = await run()
  } catch (error) {
    throw new Fault('invalid', `${model} does not take what it is given: ${messageOf(error)}`, {}, error)
  }
  if (scores.length === names.length) return
  throw new Fault(
    'invalid',
    `${model} tells of ${scores.length} classes${output.name === undefined ? '' : ` in ${output.name}`}, ${labels} names ${names.length}`,
  )
}

/** Red, green and blue of each pixel, row by row. @throws Fault `corrupt` */
async function pixelsOf(source: ByteSource, { width, height }: Shape, fit: OnnxOptions['input']['fit']) {
  const { default: sharp } = await import('sharp')
  sharp.cache(false)
  sharp.concurrency(1)
  const bytes = await source.read(0, source.sizeBytes)
  try {
    const { data, info } = await sharp(bytes, { limitInputPixels: limits.labelPixelsMax, pages: 1 })
      .autoOrient()
      .flatten({ background: '#ffffff' })
      .resize(width, height, { fit, background: '#000000' })
      .toColourspace('srgb')
      .raw()
      .toBuffer({ resolveWithObject: true })
    if (info.channels === 3) return data
    throw new Error(`${info.channels} channels came of it`)
  } catch (error) {
    throw new Fault('corrupt', `the picture cannot be decoded: ${messageOf(error)}`, {}, error)
  }
}

function valuesOf(pixels: Uint8Array, { width, height, layout }: Shape, input: OnnxOptions['input']): Float32Array {
  const { colors, scale, mean, std } = input
  const count = width * height
  const values = new Float32Array(count * 3)
  for (let channel = 0; channel < 3; channel++) {
    const from = colors === 'RGB' ? channel : 2 - channel
    const [low = 0, spread = 1] = [mean[channel], std[channel]]
    for (let at = 0; at < count; at++) {
      const to = layout === 'NCHW' ? channel * count + at : at * 3 + channel
      values[to] = ((pixels[at * 3 + from] ?? 0) * scale - low) / spread
    }
  }
  return values
}

/** The best classes, in percent, the surest first. @throws Fault `corrupt` when the model gave no numbers */
function labelsOf(
  scores: ArrayLike<number | bigint>,
  names: readonly string[],
  { maxLabels, minConfidence, output }: OnnxOptions,
): Json[] {
  const shares = sharesOf(Array.from(scores, Number), output.activation)
  if (shares.some((share) => !Number.isFinite(share)))
    throw new Fault('corrupt', 'the model gave something else than numbers')
  return shares
    .map((share, at) => ({ Name: names[at] ?? '', Confidence: Math.round(share * 1e6) / 1e4 }))
    .filter(({ Confidence }) => Confidence >= minConfidence)
    .sort((one, other) => other.Confidence - one.Confidence)
    .slice(0, maxLabels)
}

function sharesOf(scores: readonly number[], activation: OnnxOptions['output']['activation']): number[] {
  switch (activation) {
    case 'none':
      return [...scores]
    case 'sigmoid':
      return scores.map((score) => 1 / (1 + Math.exp(-score)))
    case 'softmax': {
      const top = scores.reduce((most, score) => Math.max(most, score), Number.NEGATIVE_INFINITY)
      const powers = scores.map((score) => Math.exp(score - top))
      const sum = powers.reduce((all, power) => all + power, 0)
      return powers.map((power) => power / sum)
    }
  }
}
