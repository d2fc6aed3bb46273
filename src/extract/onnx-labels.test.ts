/**
 * What the model is given, and what is made of its answer. The runtime here is a stand-in that answers as it is told and keeps what it was
 * given; the real one is in `test/interop/onnx.test.ts`.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import sharp from 'sharp'
import { isFault } from '../base/fault.ts'
import type { Extractor } from './extract.ts'
import { create, type OnnxOptions } from './onnx-labels.ts'
import { memorySource } from './source.ts'

const RUNTIME = `
export const env = { wasm: {} }
export class Tensor { constructor(type, data, dims) { Object.assign(this, { type, data, dims }) } }
export const InferenceSession = { create: async (bytes) => {
  const told = JSON.parse(new TextDecoder().decode(bytes))
  return {
    inputNames: told.inputs ?? ['in'],
    outputNames: ['out'],
    inputMetadata: told.shape === undefined ? [] : [{ name: 'in', type: told.type ?? 'float32', shape: told.shape }],
    run: async (feeds) => { globalThis.given = feeds; return { out: { data: told.scores.map((s) => s ?? NaN) } } },
  }
} }`

let folder: string
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidewater-onnx-'))
  writeFileSync(join(folder, 'runtime.mjs'), RUNTIME)
  writeFileSync(join(folder, 'names.json'), '["cat", "dog", "newt"]')
  writeFileSync(join(folder, 'names.txt'), 'cat \r\ndog\r\nnewt\r\n')
})
after(() => rmSync(folder, { recursive: true, force: true }))

interface Told {
  scores: (number | null)[]
  shape?: (number | string)[]
  inputs?: string[]
  type?: string
}

type Changes = Partial<Omit<OnnxOptions, 'input'>> & { input?: Partial<OnnxOptions['input']> }

function extractorOf(told: Told, { input, ...changes }: Changes = {}): Promise<Extractor> {
  const model = join(folder, 'model.json')
  writeFileSync(model, JSON.stringify(told))
  return create({
    model,
    labels: join(folder, 'names.txt'),
    runtime: { name: 'onnxruntime-web', file: join(folder, 'runtime.mjs') },
    version: 4,
    maxLabels: 3,
    minConfidence: 0,
    output: { activation: 'none' },
    ...changes,
    input: { colors: 'RGB', scale: 1, mean: [0, 0, 0], std: [1, 1, 1], fit: 'fill', ...input },
  })
}

/** Two pixels: the left one of 10, 20, 30, the right one of 110, 120, 130. */
const pair = () =>
  sharp(Buffer.from([10, 20, 30, 110, 120, 130]), { raw: { width: 2, height: 1, channels: 3 } })
    .png()
    .toBuffer()

async function labelsOf(extractor: Extractor, bytes?: Uint8Array) {
  const picture = bytes ?? (await pair())
  const subject = { bucket: 'b', key: 'k', versionId: 'null', sizeBytes: picture.length, sniffed: 'image/png' }
  assert.equal(extractor.appliesTo(subject), true)
  return (await extractor.extract(subject, memorySource(picture)))['labels'] as { Name: string; Confidence: number }[]
}

function given() {
  const { in: tensor } = (
    globalThis as unknown as { given: { in: { data: Float32Array; dims: number[]; type: string } } }
  ).given
  return { dims: tensor.dims, data: [...tensor.data], type: tensor.type }
}

test('samples come in the order of the model, scaled, less their mean, by their spread', async () => {
  const scores = [0, 0, 0]
  for (const [shape, input, dims, data] of [
    [['N', 3, 1, 2], {}, [1, 3, 1, 2], [10, 110, 20, 120, 30, 130]],
    [['N', 1, 2, 3], {}, [1, 1, 2, 3], [10, 20, 30, 110, 120, 130]],
    [['N', 3, 1, 2], { colors: 'BGR' }, [1, 3, 1, 2], [30, 130, 20, 120, 10, 110]],
    [
      [1, 3, 'H', 'W'],
      { width: 2, height: 1, scale: 0.5, mean: [5, 10, 15], std: [1, 2, 5] },
      [1, 3, 1, 2],
      [0, 50, 0, 25, 0, 10],
    ],
    [undefined, { layout: 'NHWC', width: 1, height: 1, name: 'in' }, [1, 1, 1, 3], [60, 70, 80]],
  ] as const) {
    const told: Told = { scores, ...(shape === undefined ? {} : { shape: [...shape] }) }
    await labelsOf(await extractorOf(told, { input }))
    assert.deepEqual(given(), { dims, data, type: 'float32' })
  }
})

test('grey, transparent, turned and animated pictures come as three upright colours', async () => {
  const extractor = await extractorOf({ scores: [0, 0, 0], shape: [1, 3, 1, 2] })
  const grey = sharp(Buffer.from([7, 200]), { raw: { width: 2, height: 1, channels: 1 } }).toColourspace('b-w')
  await labelsOf(extractor, await grey.png().toBuffer())
  assert.deepEqual(given().data, [7, 200, 7, 200, 7, 200])
  const clear = sharp(Buffer.from([1, 2, 3, 0, 4, 5, 6, 255]), { raw: { width: 2, height: 1, channels: 4 } })
  await labelsOf(extractor, await clear.png().toBuffer())
  assert.deepEqual(given().data, [255, 4, 255, 5, 255, 6])
  const turned = sharp(await pair()).withMetadata({ orientation: 3 })
  await labelsOf(extractor, await turned.png().toBuffer())
  assert.deepEqual(given().data, [110, 10, 120, 20, 130, 30])
})

test('the surest classes are named, in percent, down to the least confidence', async () => {
  const shape = [1, 3, 1, 2]
  const some = (scores: number[], changes: Changes = {}) => extractorOf({ scores, shape }, changes).then(labelsOf)
  assert.deepEqual(await some([0.2, 0.7, 0.1]), [
    { Name: 'dog', Confidence: 70 },
    { Name: 'cat', Confidence: 20 },
    { Name: 'newt', Confidence: 10 },
  ])
  assert.deepEqual(await some([0.2, 0.7, 0.1], { maxLabels: 1, labels: join(folder, 'names.json') }), [
    { Name: 'dog', Confidence: 70 },
  ])
  assert.deepEqual(await some([0.2, 0.7, 0.1], { minConfidence: 15 }).then((found) => found.length), 2)
  const soft = await some([1000, 1000, 998], { output: { activation: 'softmax' } })
  assert.deepEqual(
    soft.map(({ Confidence }) => Confidence),
    [46.8311, 46.8311, 6.3379],
  )
  const each = await some([0, 40, -40], { output: { activation: 'sigmoid' } })
  assert.deepEqual(
    each.map(({ Confidence }) => Confidence),
    [100, 50, 0],
  )
})

test('what the model cannot do is a fault of that picture', async () => {
  const broken = { scores: [1, 1, 1], shape: [1, 3, 1, 2] }
  await assert.rejects(
    extractorOf({ ...broken, scores: [1, null, 1] }).then((extractor) => labelsOf(extractor)),
    (error) => isFault(error, 'corrupt'),
  )
  await assert.rejects(
    extractorOf(broken).then((extractor) => labelsOf(extractor, Buffer.from('no picture'))),
    (error) => isFault(error, 'corrupt') && /cannot be decoded/.test(error.message),
  )
})

test('a model, names or settings that do not go together are refused when it is made', async () => {
  const good: Told = { scores: [1, 1, 1], shape: [1, 3, 1, 2] }
  for (const [told, changes, expected] of [
    [{ ...good, scores: [1, 1] }, {}, /tells of 2 classes, .*names\.txt names 3/],
    [{ ...good, type: 'uint8' }, {}, /is of uint8; only float32/],
    [{ ...good, shape: [1, 4, 1, 2] }, {}, /set input\.layout/],
    [{ ...good, shape: [1, 3, 'H', 2] }, {}, /takes any height: set input\.height/],
    [good, { input: { width: 3 } }, /takes pictures of width 2; width 3 is configured/],
    [{ ...good, inputs: ['in', 'other'] }, {}, /name one of its inputs.*in, other/],
    [good, { output: { activation: 'none', name: 'x' } }, /has no output "x": out/],
    [good, { labels: join(folder, 'none.txt') }, /names of the classes cannot be read/],
    [good, { model: folder }, /there is no model/],
  ] as [Told, Changes, RegExp][])
    await assert.rejects(extractorOf(told, changes), expected)
})
