/**
 * Labels by a model in a file, on the real runtime: `onnxruntime-web` as its users install it, put once into `TIDEWATER_CACHE`. The models
 * are small ones of our own (`test/golden/onnx/make_models.py`).
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import sharp from 'sharp'
import type { ConfigInput } from '../../src/app/config.ts'
import { reextractAll } from '../../src/app/reextract.ts'
import { sha256Hex } from '../../src/base/hash.ts'
import { EngineBench, eventOf } from '../support/engine-bench.ts'

const RUNTIME = 'onnxruntime-web@1.30.0'
const models = path.join(import.meta.dirname, '../golden/onnx')
let bench: EngineBench

before(
  async () => {
    const cache = path.join(process.env['TIDEWATER_CACHE'] ?? path.join(homedir(), '.cache/tidewater'), 'onnx')
    await mkdir(cache, { recursive: true })
    const manifest = path.join(cache, 'node_modules/onnxruntime-web/package.json')
    const has = await readFile(manifest, 'utf8').then(
      (text) => JSON.parse(text).version === '1.30.0',
      () => false,
    )
    if (!has) {
      await writeFile(path.join(cache, 'package.json'), '{ "private": true }\n')
      // Nothing of it runs at install.
      const npm = ['install', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', RUNTIME]
      await promisify(execFile)('npm', npm, { cwd: cache })
    }
    bench = await EngineBench.prepare()
    await symlink(path.join(cache, 'node_modules'), path.join(bench.dir, 'node_modules'))
    for (const name of ['colors-scores.onnx', 'colors-shares.onnx', 'colors.txt'])
      await cp(path.join(models, name), path.join(bench.dir, name))
  },
  { timeout: 300_000 },
)
after(() => bench.close())

type Onnx = Extract<NonNullable<NonNullable<ConfigInput['objects']>['labels']>, { type: 'onnx' }>
const plain = {
  scale: 1 / 255,
  mean: [0, 0, 0] as [number, number, number],
  std: [1, 1, 1] as [number, number, number],
}
const configured = (settings: Partial<Onnx>): ConfigInput => ({
  objects: {
    labels: { type: 'onnx', model: 'colors-scores.onnx', labels: 'colors.txt', input: plain, ...settings },
    content: { columns: { labels: { type: 'ARRAY<STRING>', jpath: '$.labels[*].Name' } } },
  },
})

let seconds = 0
async function put(key: string, bytes: Uint8Array | string) {
  const time = new Date(Date.UTC(2024, 4, 1) + 1000 * ++seconds).toISOString()
  return eventOf({ kind: 'create', key, time, ...(await bench.putObject('photos', key, bytes)) })
}
const picture = (r: number, g: number, b: number, size = 40) =>
  sharp({ create: { width: size, height: size + 10, channels: 3, background: { r, g, b } } })
const metadataOf = async (key: string) => {
  const [row] = await bench.sql(`SELECT metadata FROM default.s3_content_metadata WHERE key = '${key}'`)
  return JSON.parse(String(row?.['metadata']))
}

describe('labels by a model', () => {
  it('name what a picture shows, with shares in percent and the hash of the model', async () => {
    await bench.restart(configured({}))
    await bench.tell(
      await put('red.jpg', await picture(250, 0, 0).jpeg().toBuffer()),
      await put('green.png', await picture(0, 250, 0).png().toBuffer()),
      await put('blue.webp', await picture(0, 0, 250).webp().toBuffer()),
      await put('grey.png', await picture(90, 90, 90).toColourspace('b-w').png().toBuffer()),
      await put('note.txt', 'red'),
      await put('cut.jpg', (await picture(250, 0, 0, 800).jpeg().toBuffer()).subarray(0, 700)),
    )
    const rows = await bench.sql('SELECT key, labels FROM default.s3_content_metadata ORDER BY key')
    assert.deepEqual(
      rows.map(({ key, labels }) => `${key} ${String(labels)}`),
      ['blue.webp blue', 'cut.jpg ', 'green.png green', 'grey.png red,green,blue', 'note.txt ', 'red.jpg red'],
    )
    const red = await metadataOf('red.jpg')
    assert.deepEqual(red.label_model, {
      by: 'onnx',
      name: 'colors-scores.onnx',
      sha256: sha256Hex(await readFile(path.join(models, 'colors-scores.onnx'))),
    })
    assert.equal(red._extractors.onnx, 1)
    assert.ok(red.labels[0].Confidence > 99.9)
    // A third each, and together they are all.
    const grey = await metadataOf('grey.png')
    for (const { Confidence } of grey.labels) assert.ok(Math.abs(Confidence - 100 / 3) < 0.1)
    assert.deepEqual(
      (await metadataOf('cut.jpg')).faults.map(({ extractor, kind }: Record<string, string>) => [extractor, kind]),
      [['onnx', 'invalid']],
    )
  })

  it('come anew with another model, by the version that is raised with it', async () => {
    await bench.restart(
      configured({
        model: 'colors-shares.onnx',
        output: { activation: 'none' },
        input: { ...plain, colors: 'BGR' },
        version: 2,
      }),
    )
    const { rows, done } = await reextractAll(bench.engine, {}, () => undefined)
    assert.deepEqual([rows, done], [5, 5])
    const { labels, label_model } = await metadataOf('red.jpg')
    // Told of the colours the other way round, it takes red for blue.
    assert.deepEqual([labels[0].Name, label_model.name], ['blue', 'colors-shares.onnx'])
  })

  for (const [what, settings, told] of [
    ['a model that is not there', { model: 'none.onnx' }, /there is no model .*none\.onnx/],
    ['a file that is no model', { model: 'colors.txt' }, /colors\.txt cannot be loaded as an ONNX model/],
    ['names of other classes', { labels: 'two.txt' }, /tells of 3 classes, .*two\.txt names 2/],
    ['a size that the model does not take', { input: { ...plain, width: 9 } }, /takes pictures of width 8; width 9 is/],
    [
      'an order that the model does not take',
      { input: { ...plain, layout: 'NHWC' } },
      /does not take what it is given/,
    ],
    ['an input that it has not', { input: { ...plain, name: 'x' } }, /name one of its inputs.*pixels/],
  ] as const) {
    it(`are refused at start for ${what}`, async () => {
      await writeFile(path.join(bench.dir, 'two.txt'), 'one\ntwo\n')
      await assert.rejects(bench.restart(configured(settings as Partial<Onnx>)), told)
    })
  }
})
